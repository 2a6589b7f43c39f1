"""What alerting keeps in the control store: the state of every alert, its history, and the outbox.

Written by the evaluator and the deliverer, each change in one transaction; read by `alerts.status`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from store.control import Base, UtcDateTime


class MessageStatus(StrEnum):
    """What became of a message; only `pending` is still being sent."""

    PENDING = "pending"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"


class AlertInstance(Base):
    """One alert: a rule and one set of labels."""

    __tablename__ = "alert_instance"

    fingerprint: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    rule: Mapped[str] = mapped_column(sa.String)
    expression: Mapped[str] = mapped_column(sa.String)
    severity: Mapped[str] = mapped_column(sa.String)
    labels: Mapped[dict[str, str]] = mapped_column(sa.JSON)
    state: Mapped[str] = mapped_column(sa.String)
    episode: Mapped[int] = mapped_column(sa.Integer)
    pending_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    firing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    resolved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    held: Mapped[timedelta] = mapped_column(sa.Interval)
    clock_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    number: Mapped[float | None] = mapped_column(sa.Float)
    text: Mapped[str | None] = mapped_column(sa.String)
    no_data: Mapped[bool] = mapped_column(sa.Boolean)
    channels: Mapped[list[str]] = mapped_column(sa.JSON)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AlertEvent(Base):
    """One transition, kept as history."""

    __tablename__ = "alert_event"

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    fingerprint: Mapped[str] = mapped_column(sa.String(64))
    episode: Mapped[int] = mapped_column(sa.Integer)
    transition: Mapped[str] = mapped_column(sa.String)
    rule: Mapped[str] = mapped_column(sa.String)
    severity: Mapped[str] = mapped_column(sa.String)
    labels: Mapped[dict[str, str]] = mapped_column(sa.JSON)
    number: Mapped[float | None] = mapped_column(sa.Float)
    text: Mapped[str | None] = mapped_column(sa.String)
    summary: Mapped[str] = mapped_column(sa.String)


class OutboxMessage(Base):
    """One message for one channel; `id` gives the order, `message_id` is the `webhook-id` of every attempt."""

    __tablename__ = "outbox"
    __table_args__ = (
        sa.Index("ix_outbox_due", "status", "next_at"),
        sa.Index("ix_outbox_order", "fingerprint", "channel", "id"),
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=True)
    message_id: Mapped[str] = mapped_column(sa.String, unique=True)
    dedup_key: Mapped[str] = mapped_column(sa.String, unique=True)
    event_id: Mapped[int] = mapped_column(sa.ForeignKey("alert_event.id", name="fk_outbox_event"), index=True)
    channel: Mapped[str] = mapped_column(sa.String)
    fingerprint: Mapped[str] = mapped_column(sa.String(64))
    episode: Mapped[int] = mapped_column(sa.Integer)
    transition: Mapped[str] = mapped_column(sa.String)
    body: Mapped[str] = mapped_column(sa.Text)
    status: Mapped[str] = mapped_column(sa.String)
    attempts: Mapped[int] = mapped_column(sa.Integer)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_status: Mapped[int | None] = mapped_column(sa.Integer)
    last_error: Mapped[str | None] = mapped_column(sa.String)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class DeliveryAttempt(Base):
    """One try to deliver one message."""

    __tablename__ = "delivery_attempt"

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=True)
    outbox_id: Mapped[int] = mapped_column(sa.ForeignKey("outbox.id", name="fk_delivery_attempt_outbox"), index=True)
    attempt: Mapped[int] = mapped_column(sa.Integer)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    duration_seconds: Mapped[float] = mapped_column(sa.Float)
    status: Mapped[int | None] = mapped_column(sa.Integer)
    error: Mapped[str | None] = mapped_column(sa.String)


class ChannelRecord(Base):
    """What deliveries taught about a channel; `target` changes when the settings point it elsewhere."""

    __tablename__ = "alert_channel"

    name: Mapped[str] = mapped_column(sa.String, primary_key=True)
    target: Mapped[str] = mapped_column(sa.String(64))
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_reason: Mapped[str | None] = mapped_column(sa.String)
    consecutive_failures: Mapped[int] = mapped_column(sa.Integer)
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)
