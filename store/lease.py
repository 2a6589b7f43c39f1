"""One worker at a time for each task, however many processes run: a row in the control store says who, and until when.

Every change of holder raises the row's token. What a holder writes is fenced by it: `confirm` inside the transaction
of the write refuses one that was paused and woke after another had taken over.
"""

from __future__ import annotations

import os
import socket
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, Session, mapped_column

from store.control import Base, UtcDateTime


class LeaseLostError(RuntimeError):
    """Another process has taken this task over; nothing of the refused write is stored."""


class LeaseRecord(Base):
    """Who works on a task; one row a task."""

    __tablename__ = "lease"

    name: Mapped[str] = mapped_column(sa.String, primary_key=True)
    holder: Mapped[str] = mapped_column(sa.String)
    token: Mapped[int] = mapped_column(sa.BigInteger)
    until: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True)
class Grant:
    """A lease as it was given; `token` is higher than that of every earlier holder."""

    name: str
    holder: str
    token: int


def new_holder() -> str:
    """A name for this process that no other has."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


class _StoreClock(sa.sql.functions.GenericFunction[datetime]):
    type = UtcDateTime()
    inherit_cache = True
    name = "andon_store_clock"


@compiles(_StoreClock, "postgresql")
def _clock_of_postgresql(_element: _StoreClock, _compiler: Any, **_kw: Any) -> str:
    return "clock_timestamp()"


@compiles(_StoreClock, "sqlite")
def _clock_of_sqlite(_element: _StoreClock, _compiler: Any, **_kw: Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f', 'now') || '000'"


def store_time(session: Session) -> datetime:
    """The time of the control store, the one clock that all processes share."""
    return session.scalars(sa.select(_StoreClock())).one()


def take(
    session: Session, name: str, holder: str, now: datetime, length: timedelta, *, least_token: int = 1
) -> Grant | None:
    """Take or prolong a lease; None while another holds it.

    The row stays locked to the end of the transaction, so two transactions that begin with this never overlap.

    Args:
        now: UTC; `store_time` where holders live on several machines.
        least_token: a new holder's token is at least this, also when the control store knows no earlier one.
    """
    lease = session.scalar(sa.select(LeaseRecord).where(LeaseRecord.name == name).with_for_update())
    if lease is None:
        try:
            with session.begin_nested():
                session.add(LeaseRecord(name=name, holder=holder, token=least_token, until=now + length))
        except IntegrityError:
            return None
        return Grant(name, holder, least_token)
    if lease.holder != holder:
        # A lease that ends later than any could was written before the clock was set back. Clocks of several machines
        # may differ by a length, and a holder's `now` may be as old.
        if now < lease.until <= now + 2 * length:
            return None
        lease.holder, lease.token = holder, max(lease.token + 1, least_token)
    elif now + length / 2 < lease.until <= now + length:
        return Grant(name, holder, lease.token)
    lease.until = now + length
    return Grant(name, holder, lease.token)


def confirm(session: Session, grant: Grant) -> None:
    """Refuse to go on unless `grant` still stands, and keep it so to the end of the transaction.

    Raises:
        LeaseLostError: another process took the task over.
    """
    lease = session.scalar(
        sa.select(LeaseRecord)
        .where(LeaseRecord.name == grant.name)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    )
    if lease is None or (lease.holder, lease.token) != (grant.holder, grant.token):
        raise LeaseLostError(f"another process has taken over {grant.name}; it goes on there")


def wait(session: Session, name: str) -> None:
    """Wait for a transaction that began with `take`, and hold off the next one to the end of this transaction."""
    session.execute(sa.select(LeaseRecord.name).where(LeaseRecord.name == name).with_for_update())


def release(session: Session, name: str, holder: str, now: datetime) -> None:
    """Let go, so that the next process need not wait for the lease to run out; the token stays, it never falls."""
    session.execute(
        sa.update(LeaseRecord)
        .where(LeaseRecord.name == name, LeaseRecord.holder == holder)
        .values(holder="", until=now)
    )
