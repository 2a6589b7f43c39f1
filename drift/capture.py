"""Capture a baseline: from stored telemetry, through a trial and its replay, into the control store.

Called by the command line, the API and, for `auto_baseline`, the monitor itself. A version is written once; a newer one
makes the monitor start anew where the new range ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from drift.baseline import Baseline, BaselineRefusedError, Progress, StillLearningError, fit, replay, training_windows
from drift.bins import Bins
from drift.records import DriftBaselineRecord
from drift.signals import Question, count_windows, edge_quantiles, shown_quantiles
from drift.standing import begin
from drift.windows import Window, aligned, closed_until
from settings import DriftMonitor
from store.control import ControlStore
from store.telemetry import TelemetryStore

LOOK_BACK = 50
"""Without a range, a baseline is looked for in the newest `LOOK_BACK x min_windows` closed windows."""
_ANY_CELL = (0.0,)


@dataclass(frozen=True)
class Range:
    """Whole windows [start, end) that a baseline is captured from, and how much they hold."""

    start: datetime
    end: datetime
    progress: Progress


def survey(
    telemetry: TelemetryStore,
    monitor: DriftMonitor,
    now: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Range:
    """What is stored for a baseline: of the given range, or the shortest newest range that reaches both minimums.

    Raises:
        BaselineRefusedError: the range holds no whole closed window.
    """
    question = Question.of(monitor)
    window = timedelta(microseconds=question.window_us)
    closed = closed_until(now, question.window_us, monitor.grace_seconds)
    last = closed if end is None else min(closed, aligned(end, question.window_us))
    first = last - LOOK_BACK * monitor.min_windows * window
    if start is not None:
        first = aligned(start, question.window_us)
        first = first if first == start else first + window
    if first >= last:
        raise BaselineRefusedError(
            f"the range {_at(first)} to {_at(last)} holds no whole closed window of {monitor.window_seconds:g} s "
            f"for the drift monitor {monitor.name!r}; choose an earlier start or a later end"
        )
    filled = count_windows(telemetry, question, _ANY_CELL, first, last, (last - first) // window)
    if start is None:
        filled = _newest(filled, monitor)
    progress = Progress(
        windows=sum(1 for found in filled if found.rows),
        windows_needed=monitor.min_windows,
        rows=sum(found.rows for found in filled),
        rows_needed=monitor.min_rows,
        not_numbers=sum(found.not_numbers for found in filled),
    )
    return Range(filled[0].start if filled and start is None else first, last, progress)


def capture(
    telemetry: TelemetryStore,
    control: ControlStore,
    monitor: DriftMonitor,
    now: datetime,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Baseline:
    """Capture and store the next version of a monitor's baseline from the whole closed windows in [start, end).

    Edges come from the first 70 % of the windows; the rest is replayed against what those say. Without `start`, the
    newest windows that reach both minimums are taken.

    Raises:
        StillLearningError: the range holds too few windows or rows; the message counts them.
        BaselineRefusedError: the replay alarms, or another capture of this monitor ran at the same time.
    """
    chosen = survey(telemetry, monitor, now, start, end)
    if not chosen.progress.enough:
        raise StillLearningError(chosen.progress)
    question = Question.of(monitor)
    windows, bins = _count(telemetry, question, chosen)
    with control.read() as session:
        version = 1 + _newest_version(session, monitor.name)
    quantiles = shown_quantiles(telemetry, question, chosen.start, chosen.end)
    filled = [window for window in windows if window.rows]
    split = training_windows(len(filled))
    trial = fit(filled[:split], bins, quantiles, version=version, question=question.key, captured_at=now)
    tried = replay(trial, filled[split:], monitor.average_run_length)
    if tried.alarmed:
        raise BaselineRefusedError(f"no baseline for the drift monitor {monitor.name!r}: {tried.detail}")
    baseline = fit(filled, bins, quantiles, version=version, question=question.key, captured_at=now)
    _store(control, monitor, baseline, chosen.progress)
    return baseline


def _count(telemetry: TelemetryStore, question: Question, chosen: Range) -> tuple[list[Window], Bins]:
    limit = (chosen.end - chosen.start) // timedelta(microseconds=question.window_us)
    coarse = [w for w in count_windows(telemetry, question, _ANY_CELL, chosen.start, chosen.end, limit) if w.rows]
    trained_until = coarse[training_windows(len(coarse)) - 1].end
    bins = Bins.from_quantiles(edge_quantiles(telemetry, question, chosen.start, trained_until))
    return count_windows(telemetry, question, bins.edges, chosen.start, chosen.end, limit), bins


def _newest(windows: list[Window], monitor: DriftMonitor) -> list[Window]:
    """The newest of `windows` that together reach both minimums, or all of them."""
    rows = filled = 0
    for index in range(len(windows) - 1, -1, -1):
        rows += windows[index].rows
        filled += windows[index].rows > 0
        if filled >= monitor.min_windows and rows >= monitor.min_rows:
            return windows[index:]
    return windows


def _newest_version(session: Session, monitor: str) -> int:
    newest = sa.select(sa.func.max(DriftBaselineRecord.version)).where(DriftBaselineRecord.monitor == monitor)
    return session.scalar(newest) or 0


def _store(control: ControlStore, monitor: DriftMonitor, baseline: Baseline, progress: Progress) -> None:
    """Write the version and point the monitor at it, in one transaction."""
    body = baseline.to_json()
    try:
        with control.write() as session:
            session.add(
                DriftBaselineRecord(
                    monitor=monitor.name, version=baseline.version, captured_at=baseline.captured_at, body=body
                )
            )
            session.flush()
            begin(session, monitor.name, baseline, progress, baseline.captured_at)
    except sa.exc.IntegrityError:
        raise BaselineRefusedError(
            f"another baseline of the drift monitor {monitor.name!r} was captured at the same moment; look at it first"
        ) from None


def _at(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
