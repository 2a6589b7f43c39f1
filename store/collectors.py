"""Which collectors run, and what each has not handed to the telemetry store yet: their heartbeats in the control store.

Every collector writes its own row; the fold reads all of them, because a minute without a span is silent only when no
collector still holds one. A collector that vanished with rows waiting is found here, not guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from store.control import Base, ControlStore, UtcDateTime
from store.lease import store_time

BEAT = timedelta(seconds=2)
VANISHED_AFTER = timedelta(seconds=20)
FORGOTTEN_AFTER = timedelta(days=1)
MINUTE = timedelta(minutes=1)


class CollectorRecord(Base):
    """One collector: its name outlives a restart, as its journal does."""

    __tablename__ = "collector"

    instance: Mapped[str] = mapped_column(sa.String, primary_key=True)
    host: Mapped[str] = mapped_column(sa.String)
    started: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    waiting_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    stopped: Mapped[bool] = mapped_column(sa.Boolean)


class CollectorState(StrEnum):
    """What is known of a collector by its last heartbeat."""

    LIVE = "live"
    STOPPED = "stopped"
    VANISHED = "vanished"


@dataclass(frozen=True)
class Collector:
    """One collector as its last heartbeat told it.

    Attributes:
        started: since when it has taken spans without a break.
        waiting_since: when the oldest acknowledged span was taken that is not in the telemetry store; None: all are.
    """

    instance: str
    host: str
    state: CollectorState
    started: datetime
    seen_at: datetime
    waiting_since: datetime | None

    @property
    def holds_rows_back(self) -> bool:
        """Whether it is gone and has taken acknowledged rows with it, until it is started again on its journal."""
        return self.state is not CollectorState.LIVE and self.waiting_since is not None


@dataclass(frozen=True)
class Watched:
    """Of which time it is known that every span that was taken is in the telemetry store.

    Minutes in [`since`, `before`) that touch none of `unknown` ([first minute, end)) are silent if no span is stored.
    """

    since: datetime
    before: datetime
    unknown: tuple[tuple[datetime, datetime], ...] = ()

    def covers(self, minute: datetime) -> bool:
        """Whether a minute without a stored span is known to be silent."""
        inside = self.since <= minute and minute + MINUTE <= self.before
        return inside and not any(start < minute + MINUTE and minute < end for start, end in self.unknown)


def beat(
    store: ControlStore,
    instance: str,
    host: str,
    running_seconds: float,
    waiting_seconds: Callable[[], float | None],
    *,
    stopped: bool = False,
) -> None:
    """Write one heartbeat; ages are told in seconds, so that the clock of the control store is the only one."""
    with store.write() as session:
        now = store_time(session)
        # Asked after the clock: what is taken from here on is not spoken for.
        waiting = waiting_seconds()
        session.merge(
            CollectorRecord(
                instance=instance,
                host=host,
                started=now - timedelta(seconds=running_seconds),
                seen_at=now,
                waiting_since=None if waiting is None else now - timedelta(seconds=waiting),
                stopped=stopped,
            )
        )


def read_collectors(store: ControlStore) -> tuple[Collector, ...]:
    """Every collector that is known, by name."""
    with store.read() as session:
        now = store_time(session)
        records = session.scalars(sa.select(CollectorRecord).order_by(CollectorRecord.instance)).all()
    found = (
        Collector(one.instance, one.host, _state(one, now), one.started, one.seen_at, one.waiting_since)
        for one in records
    )
    return tuple(one for one in found if one.holds_rows_back or now - one.seen_at < FORGOTTEN_AFTER)


def forget(session: Session, instance: str) -> bool:
    """Give up a collector that will never come back, with what its journal held; False when there is none."""
    gone = session.execute(
        sa.delete(CollectorRecord).where(CollectorRecord.instance == instance).returning(CollectorRecord.instance)
    )
    return gone.first() is not None


def watched(collectors: Sequence[Collector]) -> Watched | None:
    """Of which time everything is known; None while no collector runs."""
    live = [one for one in collectors if one.state is CollectorState.LIVE]
    if not live:
        return None
    # A live collector says nothing of the time since its last heartbeat.
    before = min(one.seen_at if one.waiting_since is None else min(one.waiting_since, one.seen_at) for one in live)
    unknown = tuple(
        (one.seen_at if one.waiting_since is None else one.waiting_since, one.seen_at + VANISHED_AFTER)
        for one in collectors
        if one.state is CollectorState.VANISHED or one.holds_rows_back
    )
    return Watched(max(one.started for one in live), before, unknown)


def _state(record: CollectorRecord, now: datetime) -> CollectorState:
    if record.stopped:
        return CollectorState.STOPPED
    return CollectorState.LIVE if now - record.seen_at < VANISHED_AFTER else CollectorState.VANISHED
