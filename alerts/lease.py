"""One evaluator at a time, however many processes run: a row in the control store says who, and until when."""

from __future__ import annotations

import os
import socket
import uuid
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from alerts.records import EvaluatorLease

EVALUATOR = "evaluator"


def new_holder() -> str:
    """A name for this process that no other has."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def take(session: Session, holder: str, now: datetime, length: timedelta) -> bool:
    """Take or prolong the lease; False while another holds it.

    The row stays locked to the end of the transaction, so evaluations never overlap, not even of one holder.
    """
    lease = session.scalar(sa.select(EvaluatorLease).where(EvaluatorLease.name == EVALUATOR).with_for_update())
    if lease is None:
        try:
            with session.begin_nested():
                session.add(EvaluatorLease(name=EVALUATOR, holder=holder, until=now + length))
        except IntegrityError:
            return False
        return True
    # A lease that ends later than any could was written before the clock was set back.
    if lease.holder != holder and now < lease.until <= now + length:
        return False
    lease.holder, lease.until = holder, now + length
    return True


def wait(session: Session) -> None:
    """Wait for an evaluation that is under way, and hold off the next one to the end of the transaction."""
    session.execute(sa.select(EvaluatorLease.name).where(EvaluatorLease.name == EVALUATOR).with_for_update())


def release(session: Session, holder: str) -> None:
    """Let go, so that the next process need not wait for the lease to run out."""
    session.execute(sa.delete(EvaluatorLease).where(EvaluatorLease.name == EVALUATOR, EvaluatorLease.holder == holder))
