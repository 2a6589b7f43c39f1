"""Sends what stands in the outbox: one thread for each channel, so that a slow receiver holds up nobody else's news.

Any number of processes may deliver from one store. A claim is committed before the attempt and its result after it: a
process that dies in between leaves a lease that runs out, and the message goes again under the same `webhook-id`.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from alerts import outbox
from alerts.channel import Channel, Outcome
from alerts.records import ChannelRecord, MessageStatus, OutboxMessage
from store.control import ControlStore

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Delivery:
    """What one round did."""

    delivered: int = 0
    failed: int = 0

    def __add__(self, other: Delivery) -> Delivery:
        return Delivery(self.delivered + other.delivered, self.failed + other.failed)


class Deliverer:
    """Delivers through the given channels; `elapsed` is a steady clock in seconds."""

    def __init__(
        self,
        store: ControlStore,
        channels: Mapping[str, Channel],
        *,
        elapsed: Callable[[], float] = time.monotonic,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._store = store
        self._channels = channels
        self._elapsed = elapsed
        self._uniform = uniform
        self._registered = False

    def deliver_once(self, now: datetime) -> Delivery:
        """Send every message that is due at `now`, each channel until nothing is due or nobody answers."""
        if not self._registered:
            with self._store.write() as session:
                register(session, self._channels)
            self._registered = True
        due = self._due(now)
        lost = due - self._channels.keys()
        if lost:
            with self._store.write() as session:
                outbox.give_up(session, lost, now, "channel is no longer configured")
        names = sorted(due & self._channels.keys())
        if not names:
            return Delivery()
        began = self._elapsed()

        def drain(name: str) -> Delivery:
            return self._drain(self._channels[name], lambda: now + timedelta(seconds=self._elapsed() - began))

        with ThreadPoolExecutor(len(names), thread_name_prefix="andon-deliver") as threads:
            return sum(threads.map(drain, names), Delivery())

    def _due(self, now: datetime) -> set[str]:
        with self._store.read() as session:
            return set(
                session.scalars(
                    sa.select(OutboxMessage.channel)
                    .where(OutboxMessage.status == MessageStatus.PENDING, OutboxMessage.next_at <= now)
                    .distinct()
                )
            )

    def _drain(self, channel: Channel, clock: Callable[[], datetime]) -> Delivery:
        total = Delivery()
        while True:
            with self._store.write() as session:
                claimed = outbox.claim(session, channel.name, clock())
            if claimed is None:
                return total
            began, at = self._elapsed(), clock()
            outcome = _attempt(channel, claimed, at)
            with self._store.write() as session:
                outbox.record(session, claimed, outcome, clock(), self._elapsed() - began, self._uniform)
            total += Delivery(delivered=1) if outcome.delivered else Delivery(failed=1)
            if not outcome.delivered:
                _log.warning("alert %s to %s: %s", claimed.message_id, channel.name, outcome.error)
                if outcome.status is None:
                    return total


def register(session: Session, channels: Mapping[str, Channel]) -> None:
    """Make sure that every channel has its record, and no other; one that was pointed elsewhere starts anew."""
    session.execute(sa.delete(ChannelRecord).where(ChannelRecord.name.not_in(channels)))
    for name, channel in channels.items():
        known = session.get(ChannelRecord, name, with_for_update=True)
        if known is None:
            try:
                with session.begin_nested():
                    session.add(ChannelRecord(name=name, target=channel.target, consecutive_failures=0))
            except IntegrityError:
                continue  # another process registered it at the same time
        elif known.target != channel.target:
            known.target = channel.target
            _enable(known)


def enable_channel(store: ControlStore, name: str) -> bool:
    """Use a disabled channel again; False when there is no such channel. What was cancelled stays so."""
    with store.write() as session:
        known = session.get(ChannelRecord, name, with_for_update=True)
        if known is None:
            return False
        _enable(known)
        return True


def _enable(channel: ChannelRecord) -> None:
    channel.disabled_at = channel.disabled_reason = channel.not_before = None
    channel.consecutive_failures = 0


def _attempt(channel: Channel, claimed: outbox.Claim, at: datetime) -> Outcome:
    try:
        return channel.send(claimed.message_id, claimed.body, at)
    except Exception as error:  # noqa: BLE001  a foreign channel must not stop the others' messages
        return Outcome(error=f"{type(error).__name__}: {error}"[:300])
