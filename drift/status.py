"""What the page, the API, the alerts and the command line read of the monitors.

Built from the control store alone, so that looking costs the telemetry store nothing; every figure is defined in
`docs/drift.md`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from drift.baseline import Baseline, Progress, spaced
from drift.course import Alarm, Course, MonitorState, Verdict
from drift.edetector import Kind, leader, log_evidence
from drift.effects import Effects
from drift.records import DriftBaselineRecord, DriftMonitorRecord, DriftWindowRecord
from drift.signals import Question
from settings import DriftMonitor
from store.control import ControlStore

RECENT_WINDOWS = 60
NO_DATA_WINDOWS = 3
"""Closed windows without a number after which a monitor that was not drifting says that it has no data."""
_CALM = {MonitorState.QUIET, MonitorState.SUSPECT}


@dataclass(frozen=True)
class BaselineStatus:
    """The baseline a monitor uses."""

    version: int
    captured_at: datetime
    range_start: datetime
    range_end: datetime
    windows: int
    rows: int
    design_effect: float
    constant: bool


@dataclass(frozen=True)
class WindowStatus:
    """One judged window, for a sparkline. `log10_evidence` and `shift` are None when it held no number."""

    start: datetime
    end: datetime
    rows: int
    not_numbers: int
    state: MonitorState
    log10_evidence: float | None
    shift: float | None
    median: float | None


@dataclass(frozen=True)
class MonitorStatus:
    """One monitor now. `evidence` is M, to be compared with `threshold` A; None before a window was judged.

    `log10_ratio` is log10(M/A): 0 or more is an alarm. `kind`, `sign` and `change_time` are set while suspect or
    drifting. `judged_until` tells how far windows were looked at, `decided_until` is the end of the last one with rows.
    """

    name: str
    signal: str
    pipeline: str | None
    stage: str | None
    model: str | None
    window_seconds: float
    state: MonitorState
    since: datetime | None
    evidence: float | None
    threshold: float
    log10_ratio: float | None
    effects: Effects | None
    kind: Kind | None
    sign: int | None
    change_time: datetime | None
    last_alarm: Alarm | None
    baseline: BaselineStatus | None
    progress: Progress | None
    last_window: WindowStatus | None
    windows_judged: int
    judged_until: datetime | None
    decided_until: datetime | None
    looked_at: datetime | None
    problem: str | None
    detail: str
    recent: tuple[WindowStatus, ...]


def read_status(control: ControlStore, monitors: Sequence[DriftMonitor]) -> list[MonitorStatus]:
    """The status of every configured monitor, in the order of the settings."""
    with control.read() as session:
        return [_status(session, monitor) for monitor in monitors]


def _status(session: Session, monitor: DriftMonitor) -> MonitorStatus:
    record = session.get(DriftMonitorRecord, monitor.name)
    if record is None or record.question != Question.of(monitor).key or record.course is None:
        return _learning(monitor, record)
    stored = session.get_one(DriftBaselineRecord, (monitor.name, record.baseline_version))
    baseline = Baseline.from_json(stored.body)
    course = Course.from_json(record.course)
    verdicts = _verdicts(session, monitor.name, baseline.version)
    recent = tuple(_window(window, verdict) for window, verdict in verdicts)
    effects = next((verdict.effects for window, verdict in reversed(verdicts) if window.rows), None)
    state, since, silent = _overlaid(course, record, monitor)
    logged = log_evidence(course.detector) if course.detector.windows else None
    what = _what(course, state)
    return MonitorStatus(
        name=monitor.name,
        signal=monitor.signal,
        pipeline=monitor.pipeline,
        stage=monitor.stage,
        model=monitor.model,
        window_seconds=monitor.window_seconds,
        state=state,
        since=since,
        evidence=None if logged is None else math.exp(min(logged, 700.0)),
        threshold=monitor.average_run_length,
        log10_ratio=None if logged is None else (logged - math.log(monitor.average_run_length)) / math.log(10),
        effects=effects,
        kind=what[0],
        sign=what[1],
        change_time=what[2],
        last_alarm=course.alarm,
        baseline=baseline_status(baseline),
        progress=Progress.from_json(record.progress) if record.progress else None,
        last_window=recent[-1] if recent else None,
        windows_judged=course.judged,
        judged_until=record.judged_until,
        decided_until=record.rows_until,
        looked_at=record.looked_at,
        problem=record.problem,
        detail=_detail(monitor, state, what, effects, baseline, silent, record.problem),
        recent=recent,
    )


def _learning(monitor: DriftMonitor, record: DriftMonitorRecord | None) -> MonitorStatus:
    progress = Progress(0, monitor.min_windows, 0, monitor.min_rows)
    if record is not None and record.progress and record.question == Question.of(monitor).key:
        progress = Progress.from_json(record.progress)
    detail = progress.sentence
    if progress.enough:
        detail = f"enough is stored: capture a baseline with `andon drift baseline {monitor.name}`"
    if record is not None and record.problem:
        detail = f"{detail}; {record.problem}"
    return MonitorStatus(
        name=monitor.name,
        signal=monitor.signal,
        pipeline=monitor.pipeline,
        stage=monitor.stage,
        model=monitor.model,
        window_seconds=monitor.window_seconds,
        state=MonitorState.LEARNING,
        since=record.since if record else None,
        evidence=None,
        threshold=monitor.average_run_length,
        log10_ratio=None,
        effects=None,
        kind=None,
        sign=None,
        change_time=None,
        last_alarm=None,
        baseline=None,
        progress=progress,
        last_window=None,
        windows_judged=0,
        judged_until=None,
        decided_until=None,
        looked_at=record.looked_at if record else None,
        problem=record.problem if record else None,
        detail=detail,
        recent=(),
    )


def _overlaid(course: Course, record: DriftMonitorRecord, monitor: DriftMonitor) -> tuple[MonitorState, datetime, int]:
    """State, since when, and for how many closed windows no number came; an open drift stays open in silence."""
    if record.judged_until is None or record.rows_until is None:
        return course.state, course.since, 0
    window = timedelta(microseconds=Question.of(monitor).window_us)
    silent = (record.judged_until - record.rows_until) // window
    if silent >= NO_DATA_WINDOWS and course.state in _CALM:
        return MonitorState.NO_DATA, record.rows_until, silent
    return course.state, course.since, silent


def _what(course: Course, state: MonitorState) -> tuple[Kind | None, int | None, datetime | None]:
    if state is MonitorState.DRIFTING and course.alarm is not None:
        return course.alarm.kind, course.alarm.sign, course.alarm.change_time
    best = leader(course.detector) if state is MonitorState.SUSPECT else None
    return (best.kind, best.sign, best.change_time) if best else (None, None, None)


_WORDS = {
    (Kind.LOCATION, 1): "values are higher",
    (Kind.LOCATION, -1): "values are lower",
    (Kind.SCALE, 1): "values spread wider",
    (Kind.SCALE, -1): "values spread less",
    (Kind.UPPER_TAIL, 1): "more very high values",
    (Kind.UPPER_TAIL, -1): "fewer very high values",
    (Kind.LOWER_TAIL, 1): "more very low values",
    (Kind.LOWER_TAIL, -1): "fewer very low values",
}


def _detail(
    monitor: DriftMonitor,
    state: MonitorState,
    what: tuple[Kind | None, int | None, datetime | None],
    effects: Effects | None,
    baseline: Baseline,
    silent: int,
    problem: str | None,
) -> str:
    """One sentence for a person: what is different, since when, by how much."""
    kind, sign, change_time = what
    parts = []
    if state is MonitorState.NO_DATA:
        parts.append(f"no numbers of {monitor.signal} in the last {spaced(silent)} windows")
    elif kind is not None and sign is not None:
        lead = "" if state is MonitorState.DRIFTING else "perhaps "
        since = f" since {change_time:%Y-%m-%d %H:%M:%S} UTC" if change_time else ""
        parts.append(f"{monitor.signal}: {lead}{_WORDS[kind, sign]}{since}")
    else:
        parts.append(f"{monitor.signal}: nothing beyond the tolerance")
    if effects is not None and effects.median is not None and effects.baseline_median is not None:
        parts.append(f"median {effects.median:.4g} against {effects.baseline_median:.4g} in the baseline")
    if state is MonitorState.DRIFTING and silent:
        parts.append(f"no numbers in the last {spaced(silent)} windows, so the drift stays open")
    if baseline.constant:
        parts.append("the baseline is constant: any other value is a change")
    if problem:
        parts.append(problem)
    return "; ".join(parts)


def baseline_status(baseline: Baseline) -> BaselineStatus:
    """A baseline as it is shown."""
    return BaselineStatus(
        version=baseline.version,
        captured_at=baseline.captured_at,
        range_start=baseline.range_start,
        range_end=baseline.range_end,
        windows=baseline.windows,
        rows=baseline.rows,
        design_effect=max(baseline.tolerances.phi),
        constant=baseline.constant,
    )


def _verdicts(session: Session, monitor: str, version: int) -> list[tuple[DriftWindowRecord, Verdict]]:
    newest_first = (
        sa.select(DriftWindowRecord)
        .where(DriftWindowRecord.monitor == monitor, DriftWindowRecord.baseline_version == version)
        .order_by(DriftWindowRecord.window_start.desc())
        .limit(RECENT_WINDOWS)
    )
    return [(record, Verdict.from_json(record.body)) for record in reversed(session.scalars(newest_first).all())]


def _window(record: DriftWindowRecord, verdict: Verdict) -> WindowStatus:
    return WindowStatus(
        start=record.window_start,
        end=record.window_end,
        rows=record.rows,
        not_numbers=verdict.missing + verdict.nan + verdict.infinite + verdict.text,
        state=verdict.state,
        log10_evidence=verdict.log10_evidence,
        shift=verdict.effects.shift,
        median=verdict.effects.median,
    )
