"""The worker as a part of a process: fold, drift, checks, alerts and delivery, each done by one process at a time.

Delivery needs no lease of its own: every message is claimed by one deliverer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

from alerts.channel import Channel, load_channels
from alerts.delivery import Deliverer
from alerts.evaluator import Evaluator
from alerts.rules import Rule, load_rules
from checklist.runner import ChecklistRunner
from cli.background import Periodic
from cli.leasing import LeasedTask
from cli.upkeep import UPKEEP_SECONDS, retention_of
from cli.wiring import Signals, checklist_facts
from dashboard.board import utc_now
from drift.monitor import DriftMonitors, questions_of
from economics.fold import Fold
from economics.grains import DAYS, HOURS, MINUTES
from economics.merging import Merging
from economics.report import Reports
from economics.rollup import RollUp
from economics.rollups import rollups
from settings import Settings
from store.collectors import read_collectors, watched
from store.control import ControlStore
from store.lease import Grant, new_holder
from store.telemetry import TelemetryStore

DELIVER_SECONDS = 1.0
CALM = 5
# Slices are folded at most a tenth of the time, and yet so often that readers take them for fresh.
SPARING = 10
LONGEST_REST_SECONDS = 6.0
# From the finest on.
MERGED = ((MINUTES, HOURS), (HOURS, DAYS))


def sparing(work: Callable[[datetime, Grant], None]) -> Callable[[datetime, Grant], None]:
    """`work`, left out while it would take more than a tenth of the time."""
    rest_until = 0.0

    def spared(now: datetime, grant: Grant) -> None:
        nonlocal rest_until
        began = time.monotonic()
        if began >= rest_until:
            work(now, grant)
            took = time.monotonic() - began
            rest_until = began + min(took * SPARING, LONGEST_REST_SECONDS)

    return spared


class WorkerPart:
    """The background work. Rules, channels and monitors are read at once: a wrong one is told before all else."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._channels: dict[str, Channel] = dict(load_channels(settings.alerts.channels))
        self._rules: tuple[Rule, ...] = tuple(
            load_rules(settings.alerts, settings.checklist.poll_seconds, self._channels.keys())
        )
        questions_of(settings.drift.monitors)
        self._periodics: list[Periodic] = []
        self._tasks: list[LeasedTask] = []
        self._folds: dict[str, Fold] = {}

    def open(self, telemetry: TelemetryStore, control: ControlStore, dashboard_url: str, parts: ExitStack) -> None:
        """Start the threads.

        Args:
            dashboard_url: where people find the dashboard; stands in every message.
        """
        settings, holder = self._settings, new_holder()
        reports = Reports(telemetry, settings.pools)
        evaluator = Evaluator(
            control, self._rules, Signals(reports, control, settings), dashboard_url=dashboard_url, holder=holder
        )
        parts.callback(evaluator.release)
        folding = [self._folding(name, rollup, telemetry, control, holder, parts) for name, rollup in rollups().items()]
        self._periodics = [
            *folding,
            self._drifting(telemetry, control, holder, parts),
            self._checking(telemetry, control, holder, reports, parts),
            Periodic("alerts", settings.alerts.poll_seconds, evaluator.evaluate_once),
            Periodic("deliver", DELIVER_SECONDS, Deliverer(control, self._channels).deliver_once),
            self._keeping(telemetry, control),
        ]
        for periodic in self._periodics:
            periodic.start()
            parts.callback(periodic.stop)

    def health(self) -> dict[str, Any]:
        """Counts of every task (`leading` says whether this process does it), of the folds and of retention."""
        now = utc_now()
        leading = {task.name: task.grant is not None for task in self._tasks}
        return {
            "background": {
                one.name: {**one.health(), **({"leading": leading[one.name]} if one.name in leading else {})}
                for one in self._periodics
            },
            "fold": {table: fold.health(now) for table, fold in self._folds.items()},
            "retention": self.retention.health(),
        }

    def _folding(
        self,
        name: str,
        rollup: RollUp,
        telemetry: TelemetryStore,
        control: ControlStore,
        holder: str,
        parts: ExitStack,
    ) -> Periodic:
        limits = self._settings.collector
        live = rollup.kept is not None
        # Slices answer for what is live: what lasts need not hurry.
        seconds = limits.fold_seconds if live else CALM * limits.fold_seconds
        # The open slice is published as well, as it stands.
        grace = -rollup.grain.length if live else timedelta(seconds=limits.grace_seconds)
        task = self._task(control, name, holder, seconds, parts)
        fold = self._folds[rollup.grain.table] = Fold(telemetry, rollup, grace, task.check)
        merged = [Merging(telemetry, finer, grain, task.check) for finer, grain in MERGED if rollup.grain is MINUTES]
        task.least_token = lambda: max([fold.least_token(), *(merging.least_token() for merging in merged)])

        def work(now: datetime, grant: Grant) -> None:
            fold.run_once(now, None if live else watched(read_collectors(control)), grant.token)
            for merging in merged:
                merging.run_once(now, grant.token)

        return Periodic(name, seconds, task.led(sparing(work) if live else work))

    def _keeping(self, telemetry: TelemetryStore, control: ControlStore) -> Periodic:
        self.retention = retention_of(telemetry, control, self._settings)
        # Whoever leads the first fold also removes: one process does it, and needs no lease of its own for it.
        work = self._tasks[0].led(lambda now, _grant: self.retention.run_once(now))
        return Periodic("retention", UPKEEP_SECONDS, work)

    def _drifting(self, telemetry: TelemetryStore, control: ControlStore, holder: str, parts: ExitStack) -> Periodic:
        drift = self._settings.drift
        task = self._task(control, "drift", holder, drift.poll_seconds, parts)
        monitors = DriftMonitors(telemetry, task.store, drift.monitors)
        return Periodic("drift", drift.poll_seconds, task.led(lambda now, _grant: monitors.run_once(now)))

    def _checking(
        self, telemetry: TelemetryStore, control: ControlStore, holder: str, reports: Reports, parts: ExitStack
    ) -> Periodic:
        settings = self._settings
        seconds = settings.checklist.poll_seconds
        task = self._task(control, "checklist", holder, seconds, parts)
        facts = checklist_facts(reports, control, settings)
        checks = ChecklistRunner(settings, telemetry, task.store, facts=facts)
        return Periodic("checklist", seconds, task.led(lambda now, _grant: checks.run_once(now)))

    def _task(self, control: ControlStore, name: str, holder: str, seconds: float, parts: ExitStack) -> LeasedTask:
        task = LeasedTask(control, name, holder, seconds)
        self._tasks.append(task)
        parts.callback(task.release)
        return task
