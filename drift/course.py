"""The course of a monitor: quiet, suspect, drifting and back, one window after the other.

Pure: a course, a baseline and a window go in, the next course and what is to be stored of the window come out.
`monitor` feeds it from the telemetry store and keeps it in the control store.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from drift.baseline import Baseline
from drift.edetector import DetectorState, Kind, Leader, Z, leader, log_evidence, step, window_phi
from drift.effects import Effects, measure
from drift.windows import Window, merge_cells

CALM_WINDOWS = 3
"""Windows in a row within the tolerance after which a drift is over."""


class MonitorState(StrEnum):
    """What a monitor says now."""

    LEARNING = "learning"
    QUIET = "quiet"
    SUSPECT = "suspect"
    DRIFTING = "drifting"
    NO_DATA = "no_data"


@dataclass(frozen=True)
class Alarm:
    """One drift that was found: when it was decided, on what evidence, what changed and since when."""

    at: datetime
    log_evidence: float
    kind: Kind
    sign: int
    change_time: datetime | None
    closed_at: datetime | None = None


@dataclass(frozen=True)
class Course:
    """Where a monitor stands after the last window. `calm_*` count towards the end of a drift."""

    state: MonitorState
    since: datetime
    judged: int
    detector: DetectorState
    alarm: Alarm | None = None
    calm_windows: int = 0
    calm_cells: tuple[int, ...] = ()

    @classmethod
    def begin(cls, since: datetime) -> Course:
        """No window judged yet."""
        return cls(MonitorState.QUIET, since, 0, DetectorState.fresh())

    def to_json(self) -> dict[str, Any]:
        """The course as JSON values."""
        body: dict[str, Any] = _COURSE.dump_python(self, mode="json")
        return body

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Course:
        """The course that `to_json` wrote."""
        return _COURSE.validate_python(body)


@dataclass(frozen=True)
class Verdict:
    """What is stored of one judged window. `log10_evidence` is None when the window held no number."""

    state: MonitorState
    log10_evidence: float | None
    kind: Kind | None
    sign: int | None
    effects: Effects
    cells: tuple[int, ...]
    missing: int
    nan: int
    infinite: int
    text: int

    def to_json(self) -> dict[str, Any]:
        """The verdict as JSON values."""
        body: dict[str, Any] = _VERDICT.dump_python(self, mode="json")
        return body

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Verdict:
        """The verdict that `to_json` wrote."""
        return _VERDICT.validate_python(body)


_COURSE = TypeAdapter(Course)
_VERDICT = TypeAdapter(Verdict)


def follow(course: Course, baseline: Baseline, window: Window, average_run_length: float) -> tuple[Course, Verdict]:
    """Judge one window.

    Alarms when the evidence M reaches `average_run_length`; is suspect from its square root on. A drift is over after
    `CALM_WINDOWS` windows in a row within the tolerance whose pooled effect is too; the evidence then starts anew.
    """
    if window.rows == 0:
        return course, _verdict(course.state, None, None, baseline, window, average_run_length)
    detector = step(course.detector, baseline.log_e(window.cells), window.start)
    evidence = log_evidence(detector)
    best = leader(detector)
    course = replace(course, detector=detector, judged=course.judged + 1)
    if course.state is MonitorState.DRIFTING:
        course = _towards_calm(course, baseline, window)
    elif best is not None and evidence >= math.log(average_run_length):
        alarm = Alarm(window.end, evidence, best.kind, best.sign, best.change_time)
        course = replace(course, state=MonitorState.DRIFTING, since=window.end, alarm=alarm)
    else:
        suspect = evidence >= math.log(average_run_length) / 2
        state = MonitorState.SUSPECT if suspect else MonitorState.QUIET
        if state is not course.state:
            course = replace(course, state=state, since=window.end)
    return course, _verdict(course.state, evidence, best, baseline, window, average_run_length)


def _towards_calm(course: Course, baseline: Baseline, window: Window) -> Course:
    if not _within(baseline, window.cells, Z):
        return replace(course, calm_windows=0, calm_cells=())
    pooled = merge_cells(course.calm_cells, window.cells)
    calm = course.calm_windows + 1
    if calm < CALM_WINDOWS or not _within(baseline, pooled, 0.0):
        return replace(course, calm_windows=calm, calm_cells=pooled)
    alarm = replace(course.alarm, closed_at=window.end) if course.alarm else None
    return Course(MonitorState.QUIET, window.end, course.judged, DetectorState.fresh(), alarm)


def _within(baseline: Baseline, cells: tuple[int, ...], errors: float) -> bool:
    """Whether every score's mean is within its tolerance, plus that many standard errors of the window itself."""
    known = baseline.tolerances
    noise = np.asarray(known.sd) * np.sqrt(window_phi(known, sum(cells)) / sum(cells))
    return bool((np.abs(baseline.means(cells)) <= np.asarray(known.eps) + errors * noise).all())


def _verdict(
    state: MonitorState,
    evidence: float | None,
    best: Leader | None,
    baseline: Baseline,
    window: Window,
    average_run_length: float,
) -> Verdict:
    return Verdict(
        state=state,
        log10_evidence=None if evidence is None else evidence / math.log(10),
        kind=best.kind if best else None,
        sign=best.sign if best else None,
        effects=measure(
            baseline.cells,
            baseline.quantiles,
            baseline.scores,
            baseline.tolerances,
            window.cells,
            window.quantiles,
            average_run_length,
        ),
        cells=window.cells,
        missing=window.missing,
        nan=window.nan,
        infinite=window.infinite,
        text=window.text,
    )
