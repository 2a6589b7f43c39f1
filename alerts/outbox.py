"""The outbox: messages that are stored with the change they tell of, and are sent until taken.

`enqueue` runs inside the evaluator's transaction; the deliverer claims, sends and records. Per alert and channel the
messages leave in the order of their making, and nobody is told that something ended who was not told that it began.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from alerts.channel import Outcome
from alerts.records import AlertEvent, AlertInstance, ChannelRecord, DeliveryAttempt, MessageStatus, OutboxMessage
from alerts.retry import next_attempt
from alerts.states import State, Transition

LEASE = timedelta(seconds=60)
UNSENT = "resolved before it was sent"
UNTOLD = "not sent: the receiver was never told that it fired"


@dataclass(frozen=True)
class Claim:
    """A message that one deliverer may send now; `attempt` tells its lease from later ones."""

    id: int
    message_id: str
    channel: str
    body: str
    attempt: int


def new_message_id() -> str:
    """A fresh `webhook-id`."""
    return f"msg_{uuid.uuid4().hex}"


def enqueue(
    session: Session,
    event: AlertEvent,
    body: str,
    channels: Sequence[str],
    new_id: Callable[[], str] = new_message_id,
) -> None:
    """Store one message for each channel, in the transaction of the change itself.

    A resolution cancels a firing message that nobody has tried to send yet, and is then not sent either.
    """
    session.flush()
    for name in channels:
        message = OutboxMessage(
            message_id=new_id(),
            dedup_key=f"{event.fingerprint}:{event.episode}:{event.transition}:{name}",
            event_id=event.id,
            channel=name,
            fingerprint=event.fingerprint,
            episode=event.episode,
            transition=event.transition,
            body=body,
            status=MessageStatus.PENDING,
            attempts=0,
            next_at=event.at,
            created_at=event.at,
        )
        disabled = session.scalar(
            sa.select(ChannelRecord.disabled_reason).where(
                ChannelRecord.name == name, ChannelRecord.disabled_at.is_not(None)
            )
        )
        if disabled is not None:
            _finish(message, MessageStatus.CANCELLED, event.at, f"channel is disabled: {disabled}")
        elif event.transition == Transition.RESOLVED and not _was_told(session, event, name):
            _finish(message, MessageStatus.CANCELLED, event.at, UNTOLD)
        session.add(message)


def claim(session: Session, channel: str, now: datetime) -> Claim | None:
    """Lease the channel's oldest due message, or None; the lease ends by itself when its deliverer dies."""
    earlier = aliased(OutboxMessage)
    blocked = sa.exists().where(
        earlier.fingerprint == OutboxMessage.fingerprint,
        earlier.channel == OutboxMessage.channel,
        earlier.id < OutboxMessage.id,
        earlier.status == MessageStatus.PENDING,
    )
    throttled = sa.exists().where(ChannelRecord.name == OutboxMessage.channel, ChannelRecord.not_before > now)
    message = session.scalar(
        sa.select(OutboxMessage)
        .where(
            OutboxMessage.channel == channel,
            OutboxMessage.status == MessageStatus.PENDING,
            OutboxMessage.next_at <= now,
            sa.or_(OutboxMessage.lease_until.is_(None), OutboxMessage.lease_until <= now),
            ~blocked,
            ~throttled,
        )
        .order_by(OutboxMessage.next_at, OutboxMessage.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=OutboxMessage)
    )
    if message is None:
        return None
    message.lease_until = now + LEASE
    message.attempts += 1
    return Claim(message.id, message.message_id, message.channel, message.body, message.attempts)


def record(
    session: Session,
    claimed: Claim,
    outcome: Outcome,
    at: datetime,
    duration_seconds: float,
    uniform: Callable[[float, float], float] = random.uniform,
) -> None:
    """Store what an attempt came to: done, another try, or dead; and what it says about the channel.

    A deliverer that lost its lease meanwhile only adds its attempt to the history, unless the message was taken.
    """
    # The channel is locked first by everyone: a channel that is given up touches messages that others may hold.
    channel = session.get(ChannelRecord, claimed.channel, with_for_update=True, populate_existing=True)
    message = session.get_one(OutboxMessage, claimed.id, with_for_update=True, populate_existing=True)
    session.add(
        DeliveryAttempt(
            outbox_id=claimed.id,
            attempt=claimed.attempt,
            at=at,
            duration_seconds=duration_seconds,
            status=outcome.status,
            error=outcome.error,
        )
    )
    if channel is not None:  # a process with newer settings may have removed it
        _learn(channel, outcome, at)
    if message.status != MessageStatus.PENDING:
        return
    if outcome.delivered:
        message.last_status = outcome.status
        _finish(message, MessageStatus.DONE, at, None)
    elif message.attempts == claimed.attempt:
        message.last_status, message.last_error = outcome.status, outcome.error
        message.lease_until = None
        again = next_attempt(message.attempts, at, outcome.retry_after, uniform)
        if again is not None:
            message.next_at = again
        else:
            _finish(message, MessageStatus.DEAD, at, outcome.error)
            _cancel_resolution(session, message, at)
    if outcome.gone:
        give_up(session, [claimed.channel], at, f"channel is disabled: {outcome.error}")


def give_up(session: Session, channels: Collection[str], at: datetime, reason: str) -> None:
    """Cancel every waiting message of channels that will not be used any more; the reason is kept with each."""
    waiting = sa.select(OutboxMessage).where(
        OutboxMessage.channel.in_(channels), OutboxMessage.status == MessageStatus.PENDING
    )
    for message in session.scalars(waiting.order_by(OutboxMessage.id).with_for_update()):
        _finish(message, MessageStatus.CANCELLED, at, reason)


def prune(session: Session, before: datetime) -> int:
    """Delete finished messages, history and forgotten alerts older than `before`; return how many events went.

    Nothing goes that belongs to an episode which is still firing, or to a message still being sent.
    """
    firing = sa.exists().where(
        AlertInstance.fingerprint == AlertEvent.fingerprint,
        AlertInstance.episode == AlertEvent.episode,
        AlertInstance.state == State.FIRING,
    )
    sending = sa.exists().where(OutboxMessage.event_id == AlertEvent.id, OutboxMessage.status == MessageStatus.PENDING)
    old = sa.select(AlertEvent.id).where(AlertEvent.at < before, ~firing, ~sending)
    messages = sa.select(OutboxMessage.id).where(OutboxMessage.event_id.in_(old))
    session.execute(sa.delete(DeliveryAttempt).where(DeliveryAttempt.outbox_id.in_(messages)))
    session.execute(sa.delete(OutboxMessage).where(OutboxMessage.event_id.in_(old)))
    gone = session.execute(sa.delete(AlertEvent).where(AlertEvent.id.in_(old)).returning(AlertEvent.id)).all()
    remembered = sa.exists().where(AlertEvent.fingerprint == AlertInstance.fingerprint)
    session.execute(
        sa.delete(AlertInstance).where(
            AlertInstance.seen_at < before,
            AlertInstance.state.in_([State.INACTIVE, State.RESOLVED]),
            ~remembered,
        )
    )
    return len(gone)


def _was_told(session: Session, event: AlertEvent, channel: str) -> bool:
    firing = session.scalar(
        sa.select(OutboxMessage)
        .where(
            OutboxMessage.fingerprint == event.fingerprint,
            OutboxMessage.episode == event.episode,
            OutboxMessage.transition == Transition.FIRING,
            OutboxMessage.channel == channel,
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if firing is None:
        return False
    if firing.status == MessageStatus.PENDING and firing.attempts == 0:
        _finish(firing, MessageStatus.CANCELLED, event.at, UNSENT)
    # A failed attempt may still have been read by the receiver, so both messages are sent, in order.
    return firing.status in {MessageStatus.DONE, MessageStatus.PENDING}


def _cancel_resolution(session: Session, firing: OutboxMessage, at: datetime) -> None:
    if firing.transition != Transition.FIRING:
        return
    waiting = session.scalars(
        sa.select(OutboxMessage).where(
            OutboxMessage.fingerprint == firing.fingerprint,
            OutboxMessage.episode == firing.episode,
            OutboxMessage.transition == Transition.RESOLVED,
            OutboxMessage.channel == firing.channel,
            OutboxMessage.status == MessageStatus.PENDING,
        )
    )
    for message in waiting:
        _finish(message, MessageStatus.CANCELLED, at, UNTOLD)


def _learn(channel: ChannelRecord, outcome: Outcome, at: datetime) -> None:
    if outcome.delivered:
        channel.consecutive_failures, channel.not_before = 0, None
        return
    channel.consecutive_failures += 1
    if outcome.retry_after is not None:
        channel.not_before = at + outcome.retry_after
    if outcome.gone and channel.disabled_at is None:
        channel.disabled_at, channel.disabled_reason = at, outcome.error


def _finish(message: OutboxMessage, status: MessageStatus, at: datetime, reason: str | None) -> None:
    message.status, message.finished_at, message.lease_until, message.last_error = status, at, None, reason
