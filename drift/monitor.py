"""The monitors at work: find windows that have closed, count them, judge them, store the verdicts.

`run_once` is called again and again, by the server's thread or by `andon drift run`, also by two processes at once: a
window's verdict and the monitor's new state are one transaction, and a run that was overtaken throws its work away.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from drift import standing
from drift.baseline import BaselineRefusedError
from drift.capture import capture, survey
from drift.course import MonitorState, Verdict, follow
from drift.signals import Question, count_windows
from drift.windows import Window, closed_until
from settings import DriftMonitor, SettingsError
from store.control import ControlStore
from store.telemetry import TelemetryStore

WINDOWS_PER_RUN = 500
"""Windows with rows that one run judges per monitor at most; after a long pause the next runs go on."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judged:
    """What one run did for one monitor: windows judged, the state after them (None: unknown), what stood in the way."""

    monitor: str
    windows: int
    state: MonitorState | None
    problem: str | None = None


def questions_of(monitors: Sequence[DriftMonitor]) -> dict[str, Question]:
    """What each monitor asks, by its name.

    Raises:
        SettingsError: two monitors share a name, or a signal does not exist.
    """
    names = [monitor.name for monitor in monitors]
    for name in names:
        if names.count(name) > 1:
            raise SettingsError(f"two drift monitors are named {name!r}; names under [[drift.monitors]] are unique")
    return {monitor.name: Question.of(monitor) for monitor in monitors}


class DriftMonitors:
    """Every monitor of the settings, judged against its newest baseline."""

    def __init__(self, telemetry: TelemetryStore, control: ControlStore, monitors: Sequence[DriftMonitor]) -> None:
        """Check the monitors' definitions.

        Raises:
            SettingsError: two monitors share a name, or a signal does not exist.
        """
        self._questions = questions_of(monitors)
        self._telemetry = telemetry
        self._control = control
        self._monitors = tuple(monitors)
        self._surveyed_until: dict[str, datetime] = {}

    def run_once(self, now: datetime) -> tuple[Judged, ...]:
        """Judge the windows of every monitor that have closed by `now` (UTC) and are not judged yet.

        A store that cannot answer for one monitor does not stop the others; the problem is stored and returned.
        """
        return tuple(self._run(monitor, now) for monitor in self._monitors)

    def _run(self, monitor: DriftMonitor, now: datetime) -> Judged:
        try:
            found = standing.load(self._control, monitor.name, self._questions[monitor.name])
            return self._learn(monitor, now) if found is None else self._judge(monitor, found, now)
        except SQLAlchemyError as error:
            problem = f"could not be judged: {str(error).splitlines()[0]}"
            _log.warning("drift monitor %s %s", monitor.name, problem)
            standing.note_problem(self._control, monitor.name, self._questions[monitor.name], problem, now)
            return Judged(monitor.name, 0, None, problem)

    def _learn(self, monitor: DriftMonitor, now: datetime) -> Judged:
        question = self._questions[monitor.name]
        end = closed_until(now, question.window_us, monitor.grace_seconds)
        if self._surveyed_until.get(monitor.name) == end:
            # Nothing has closed since the last look, and a survey reads far back.
            return Judged(monitor.name, 0, MonitorState.LEARNING)
        progress = survey(self._telemetry, monitor, now).progress
        problem = None
        if monitor.auto_baseline and progress.enough:
            try:
                capture(self._telemetry, self._control, monitor, now)
                return Judged(monitor.name, 0, MonitorState.QUIET)
            except BaselineRefusedError as refused:
                problem = str(refused)
        standing.note_learning(self._control, monitor.name, question, progress, problem, now)
        self._surveyed_until[monitor.name] = end
        return Judged(monitor.name, 0, MonitorState.LEARNING, problem)

    def _judge(self, monitor: DriftMonitor, before: standing.Standing, now: datetime) -> Judged:
        question = self._questions[monitor.name]
        end = closed_until(now, question.window_us, monitor.grace_seconds)
        if end <= before.judged_until:
            return Judged(monitor.name, 0, before.course.state)
        edges = before.baseline.bins.edges
        windows = count_windows(self._telemetry, question, edges, before.judged_until, end, WINDOWS_PER_RUN)
        verdicts: list[tuple[Window, Verdict]] = []
        course = before.course
        for window in windows:
            course, verdict = follow(course, before.baseline, window, monitor.average_run_length)
            verdicts.append((window, verdict))
        reached = windows[-1].end if len(windows) == WINDOWS_PER_RUN else end
        if not standing.store(self._control, monitor.name, before, course, verdicts, reached, now):
            return Judged(monitor.name, 0, before.course.state, "another run judged these windows first")
        return Judged(monitor.name, len(verdicts), course.state)
