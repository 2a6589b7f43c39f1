"""What the page and the API show of alerting: what fires now, what happened, and who was told or why not.

Reads the control store only; every answer is a frozen value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from alerts.records import AlertEvent, AlertInstance, ChannelRecord, MessageStatus, OutboxMessage
from alerts.states import State, Transition
from store.control import ControlStore

RECENT = timedelta(hours=1)


@dataclass(frozen=True)
class Alert:
    """One alert that is pending, firing, or was resolved a short while ago; `no_data`: its signal is silent now."""

    rule: str
    severity: str
    labels: Mapping[str, str]
    expression: str
    state: State
    value: float | str | None
    no_data: bool
    pending_since: datetime | None
    firing_since: datetime | None
    resolved_at: datetime | None
    fingerprint: str
    episode: int


@dataclass(frozen=True)
class Told:
    """What became of one message to one channel; `explanation` is for people.

    `next_at` is set while another attempt will be made, `sent_at` once the receiver took it.
    """

    channel: str
    message_id: str
    status: MessageStatus
    attempts: int
    sent_at: datetime | None
    next_at: datetime | None
    last_status: int | None
    last_error: str | None
    explanation: str


@dataclass(frozen=True)
class Event:
    """One transition with its messages; `untold` says why nobody is told, None when somebody is or will be."""

    id: int
    at: datetime
    rule: str
    severity: str
    labels: Mapping[str, str]
    transition: Transition
    value: float | str | None
    summary: str
    fingerprint: str
    episode: int
    told: tuple[Told, ...]
    untold: str | None


@dataclass(frozen=True)
class ChannelStatus:
    """What deliveries taught about a channel."""

    name: str
    disabled_at: datetime | None
    disabled_reason: str | None
    consecutive_failures: int
    waiting: int


def current_alerts(store: ControlStore, now: datetime, recent: timedelta = RECENT) -> list[Alert]:
    """Alerts that fire, wait to fire, or were resolved within `recent`; firing first, the newest first in each."""
    with store.read() as session:
        found = session.scalars(
            sa.select(AlertInstance).where(
                sa.or_(
                    AlertInstance.state.in_([State.PENDING, State.FIRING]),
                    sa.and_(AlertInstance.state == State.RESOLVED, AlertInstance.resolved_at >= now - recent),
                )
            )
        ).all()
    alerts = [_alert(record) for record in found]
    return sorted(alerts, key=lambda alert: (_ORDER[alert.state], -_changed(alert).timestamp()))


def recent_events(store: ControlStore, limit: int = 50, *, waits: bool = True) -> list[Event]:
    """The last transitions, newest first, each with what became of its messages.

    `waits = False` leaves out what is never told: alerts that began to wait, or stopped waiting without firing.
    """
    chosen = sa.select(AlertEvent)
    if not waits:
        chosen = chosen.where(AlertEvent.transition.not_in(_WAITS))
    with store.read() as session:
        events = session.scalars(chosen.order_by(AlertEvent.id.desc()).limit(limit)).all()
        messages = session.scalars(
            sa.select(OutboxMessage)
            .where(OutboxMessage.event_id.in_([event.id for event in events]))
            .order_by(OutboxMessage.id)
        ).all()
    by_event: dict[int, list[Told]] = {}
    for message in messages:
        by_event.setdefault(message.event_id, []).append(_told(message))
    return [_event(event, by_event.get(event.id, [])) for event in events]


def channel_status(store: ControlStore) -> list[ChannelStatus]:
    """Every channel that was ever used, by name."""
    waiting = (
        sa.select(sa.func.count())
        .where(OutboxMessage.channel == ChannelRecord.name, OutboxMessage.status == MessageStatus.PENDING)
        .scalar_subquery()
    )
    with store.read() as session:
        found = session.execute(sa.select(ChannelRecord, waiting).order_by(ChannelRecord.name)).all()
    return [
        ChannelStatus(
            name=known.name,
            disabled_at=known.disabled_at,
            disabled_reason=known.disabled_reason,
            consecutive_failures=known.consecutive_failures,
            waiting=count,
        )
        for known, count in found
    ]


_WAITS = (Transition.PENDING, Transition.CLEARED)
_ORDER = {State.FIRING: 0, State.PENDING: 1, State.RESOLVED: 2}


def _changed(alert: Alert) -> datetime:
    at = {State.FIRING: alert.firing_since, State.PENDING: alert.pending_since}.get(alert.state, alert.resolved_at)
    if at is None:
        raise ValueError(f"alert {alert.fingerprint} is {alert.state} since no time")
    return at


def _alert(record: AlertInstance) -> Alert:
    return Alert(
        rule=record.rule,
        severity=record.severity,
        labels=record.labels,
        expression=record.expression,
        state=State(record.state),
        value=record.text if record.text is not None else record.number,
        no_data=record.no_data,
        pending_since=record.pending_since,
        firing_since=record.firing_since,
        resolved_at=record.resolved_at,
        fingerprint=record.fingerprint,
        episode=record.episode,
    )


def _event(record: AlertEvent, told: Sequence[Told]) -> Event:
    return Event(
        id=record.id,
        at=record.at,
        rule=record.rule,
        severity=record.severity,
        labels=record.labels,
        transition=Transition(record.transition),
        value=record.text if record.text is not None else record.number,
        summary=record.summary,
        fingerprint=record.fingerprint,
        episode=record.episode,
        told=tuple(told),
        untold=_untold(Transition(record.transition), told),
    )


def _untold(transition: Transition, told: Sequence[Told]) -> str | None:
    if transition in _WAITS:
        return "only firing and resolved alerts are told"
    if not told:
        return "there was no channel to tell"
    if all(message.status in {MessageStatus.CANCELLED, MessageStatus.DEAD} for message in told):
        return "; ".join(dict.fromkeys(f"{message.channel}: {message.explanation}" for message in told))
    return None


def _told(message: OutboxMessage) -> Told:
    status = MessageStatus(message.status)
    return Told(
        channel=message.channel,
        message_id=message.message_id,
        status=status,
        attempts=message.attempts,
        sent_at=message.finished_at if status is MessageStatus.DONE else None,
        next_at=message.next_at if status is MessageStatus.PENDING else None,
        last_status=message.last_status,
        last_error=message.last_error,
        explanation=_explanation(status, message),
    )


def _explanation(status: MessageStatus, message: OutboxMessage) -> str:
    reason = message.last_error or "no reason was recorded"
    match status:
        case MessageStatus.DONE:
            return f"sent at attempt {message.attempts}"
        case MessageStatus.DEAD:
            return f"given up after {message.attempts} attempts: {reason}"
        case MessageStatus.CANCELLED:
            return f"not sent: {reason.removeprefix('not sent: ')}"
        case MessageStatus.PENDING if message.attempts == 0:
            return "waiting to be sent"
        case MessageStatus.PENDING:
            return f"attempt {message.attempts} failed or is under way, another follows: {message.last_error or '-'}"
