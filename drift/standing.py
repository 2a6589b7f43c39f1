"""Where a monitor stands, read from and written to the control store, each in one transaction.

Runs may overlap: whoever stores first wins, and the other is told that its work was overtaken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from drift.baseline import Baseline, Progress
from drift.course import Course, Verdict
from drift.records import DriftBaselineRecord, DriftMonitorRecord, DriftWindowRecord
from drift.signals import Question
from drift.windows import Window
from store.control import ControlStore

WINDOWS_KEPT = 10_000
"""Length of a monitor's stored history in windows; older verdicts are deleted, the telemetry can be judged again."""


@dataclass(frozen=True)
class Standing:
    """The baseline in use, the course so far, and the end of the last window that was looked at."""

    baseline: Baseline
    course: Course
    judged_until: datetime


def load(control: ControlStore, monitor: str, question: Question) -> Standing | None:
    """Where a monitor stands; None while it has no baseline for this question."""
    with control.read() as session:
        record = session.get(DriftMonitorRecord, monitor)
        if record is None:
            return None
        if record.question == question.key and record.baseline_version is not None:
            if record.course is None or record.judged_until is None:
                return None
            stored = session.get_one(DriftBaselineRecord, (monitor, record.baseline_version))
            return Standing(Baseline.from_json(stored.body), Course.from_json(record.course), record.judged_until)
    return _readopt(control, monitor, question)


def store(
    control: ControlStore,
    monitor: str,
    before: Standing,
    after: Course,
    verdicts: Sequence[tuple[Window, Verdict]],
    reached: datetime,
    now: datetime,
) -> bool:
    """Store verdicts and the new course together; False when another run or a newer baseline came first."""
    with control.write() as session:
        record = session.get_one(DriftMonitorRecord, monitor, with_for_update=True)
        if record.judged_until != before.judged_until or record.baseline_version != before.baseline.version:
            return False
        session.add_all(_window(monitor, before.baseline.version, window, verdict) for window, verdict in verdicts)
        record.course = after.to_json()
        record.since = after.since
        record.judged_until = reached
        record.rows_until = max((window.end for window, _ in verdicts if window.rows), default=record.rows_until)
        record.looked_at = now
        record.problem = None
        if verdicts:
            window = verdicts[-1][0]
            _forget(session, monitor, window.start - WINDOWS_KEPT * (window.end - window.start))
    return True


def note_learning(
    control: ControlStore, monitor: str, question: Question, progress: Progress, problem: str | None, now: datetime
) -> None:
    """Store how far a monitor without a baseline is; a monitor that got one meanwhile is left alone."""
    with control.write() as session:
        record = session.get(DriftMonitorRecord, monitor, with_for_update=True)
        if record is None:
            record = DriftMonitorRecord(monitor=monitor, question=question.key, since=now, looked_at=now)
            session.add(record)
        elif record.question != question.key:
            record.since = now
        elif record.baseline_version is not None:
            return
        record.question = question.key
        record.baseline_version = record.course = record.judged_until = record.rows_until = None
        record.progress = progress.to_json()
        record.problem = problem
        record.looked_at = now


def note_problem(control: ControlStore, monitor: str, question: Question, problem: str, now: datetime) -> None:
    """Store why a monitor could not be judged; its state and evidence stay as they are."""
    with control.write() as session:
        record = session.get(DriftMonitorRecord, monitor, with_for_update=True)
        if record is None:
            record = DriftMonitorRecord(monitor=monitor, question=question.key, since=now, looked_at=now)
            session.add(record)
        record.problem = problem


def begin(session: Session, monitor: str, baseline: Baseline, progress: Progress | None, now: datetime) -> None:
    """Point a monitor at a baseline: no evidence, judging goes on where the range ends or this version was left."""
    judged = session.scalar(
        sa.select(sa.func.max(DriftWindowRecord.window_end)).where(
            DriftWindowRecord.monitor == monitor, DriftWindowRecord.baseline_version == baseline.version
        )
    )
    reached = baseline.range_end if judged is None else max(judged, baseline.range_end)
    session.merge(
        DriftMonitorRecord(
            monitor=monitor,
            question=baseline.question,
            baseline_version=baseline.version,
            since=reached,
            judged_until=reached,
            rows_until=reached,
            looked_at=now,
            course=Course.begin(reached).to_json(),
            progress=progress.to_json() if progress else None,
            problem=None,
        )
    )


def _readopt(control: ControlStore, monitor: str, question: Question) -> Standing | None:
    """A definition that came back takes up its own newest baseline again."""
    with control.write() as session:
        newest_first = (
            sa.select(DriftBaselineRecord)
            .where(DriftBaselineRecord.monitor == monitor)
            .order_by(DriftBaselineRecord.version.desc())
        )
        for stored in session.scalars(newest_first):
            if stored.body["question"] == question.key:
                baseline = Baseline.from_json(stored.body)
                record = session.get_one(DriftMonitorRecord, monitor, with_for_update=True)
                begin(session, monitor, baseline, None, record.looked_at)
                session.flush()
                reached = record.judged_until or baseline.range_end
                return Standing(baseline, Course.begin(reached), reached)
    return None


def _window(monitor: str, version: int, window: Window, verdict: Verdict) -> DriftWindowRecord:
    return DriftWindowRecord(
        monitor=monitor,
        baseline_version=version,
        window_start=window.start,
        window_end=window.end,
        rows=window.rows,
        state=verdict.state.value,
        body=verdict.to_json(),
    )


def _forget(session: Session, monitor: str, before: datetime) -> None:
    session.execute(
        sa.delete(DriftWindowRecord).where(
            DriftWindowRecord.monitor == monitor, DriftWindowRecord.window_start < before
        )
    )
