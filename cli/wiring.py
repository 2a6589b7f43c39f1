"""Adapters between the rooms: economics and drift as facts for the checklist, everything as signals for the alerts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from alerts.signals import Signal
from checklist.context import Facts, MonitorFact, TcoFacts, UnpricedModel
from checklist.context import MonitorState as CheckedState
from checklist.status import read_checklist
from drift.course import MonitorState
from drift.status import read_status
from economics.answers import Window
from economics.quantities import Facts as Measured
from economics.report import Reports
from settings import Settings
from store.control import ControlStore

_USAGE: Final = "usage."
_STEPS: Final = 60
_LONGEST_STEP: Final = timedelta(seconds=20)
_Answer = TypeVar("_Answer")

_CHECKED_STATES = {
    MonitorState.LEARNING: CheckedState.LEARNING,
    MonitorState.DRIFTING: CheckedState.DRIFTING,
    MonitorState.NO_DATA: CheckedState.NO_DATA,
}


def checklist_facts(reports: Reports, control: ControlStore, settings: Settings) -> Facts:
    """What the checks ask of economics and drift."""

    def tco(start: datetime, end: datetime) -> TcoFacts:
        first = reports.first_seen()
        window = Window(min(max(start, first), end) if first else start, end)
        # Without a pool nothing is made in one: the ledger need not be asked.
        pools = reports.pool_facts(window) if settings.pools else Measured()
        inputs = settings.checklist.tco
        baseline = None
        if inputs.baseline_provider and inputs.baseline_model:
            baseline = reports.baseline_usd(window, inputs.baseline_provider, inputs.baseline_model)
        return TcoFacts(
            window_from=window.start,
            window_to=window.end,
            calls=pools.calls,
            calls_without_usage=pools.calls_without_usage,
            input_tokens=pools.input_tokens,
            output_tokens=pools.output_tokens,
            cache_read_tokens=pools.cache_read_tokens,
            cache_write_tokens=pools.cache_write_tokens,
            capacity_usd=pools.usd_capacity if settings.pools else None,
            baseline_usd=baseline,
        )

    def unpriced_models(start: datetime, end: datetime) -> Sequence[UnpricedModel]:
        return [
            UnpricedModel(line.provider, line.model or line.service, line.tokens)
            for line in reports.unpriced(Window(start, end))
        ]

    def monitors(_now: datetime) -> Sequence[MonitorFact]:
        return [
            MonitorFact(
                status.name,
                _CHECKED_STATES.get(status.state, CheckedState.STABLE),
                status.decided_until,
                status.window_seconds,
            )
            for status in read_status(control, settings.drift.monitors)
        ]

    return Facts(tco=stepwise(tco), unpriced_models=stepwise(unpriced_models), monitors=monitors)


def stepwise(ask: Callable[[datetime, datetime], _Answer]) -> Callable[[datetime, datetime], _Answer]:
    """`ask` of a window that slides, asked anew when it has slid by a sixtieth of its length, or by twenty seconds.

    What the ledger sums over an hour is hardly another a quarter of a minute later, and costs a query of its whole.
    """
    last: list[tuple[datetime, datetime, _Answer]] = []

    def answer(start: datetime, end: datetime) -> _Answer:
        if last:
            start_before, end_before, known = last[0]
            step = min((end - start) / _STEPS, _LONGEST_STEP)
            if end_before - start_before == end - start and timedelta() <= end - end_before < step:
                return known
        last[:] = [(start, end, ask(start, end))]
        return last[0][2]

    return answer


class Signals:
    """Everything that alert rules can watch, read afresh at each call; usage, which is dear, only if a rule does."""

    def __init__(self, reports: Reports, control: ControlStore, settings: Settings) -> None:
        self._reports = reports
        self._control = control
        self._settings = settings
        # None of the default rules does.
        self._usage_is_watched = any(rule.signal.startswith(_USAGE) for rule in settings.alerts.rules)

    def __call__(self, now: datetime) -> list[Signal]:
        usage = self._usage(now) if self._usage_is_watched else []
        return [*self._checks(now), *self._monitors(now), *usage]

    def _checks(self, now: datetime) -> list[Signal]:
        return [
            Signal("checklist.state", {"check": item.name}, item.status.value, at=now)
            for item in read_checklist(self._control, self._settings, now).checks
            if item.name not in unconfigured_checks(self._settings)
        ]

    def _monitors(self, now: datetime) -> list[Signal]:
        signals = []
        for status in read_status(self._control, self._settings.drift.monitors):
            labels = {"monitor": status.name, "signal": status.signal}
            labels |= {"pipeline": status.pipeline} if status.pipeline else {}
            labels |= {"model": status.model} if status.model else {}
            signals.append(Signal("drift.state", labels, status.state.value, at=now))
        return signals

    def _usage(self, now: datetime) -> list[Signal]:
        summary = self._reports.summary(self._reports.live_window(now, self._settings.window_seconds))
        signals = []
        tables = (({}, summary.quantities), *((row.labels, row.quantities) for row in summary.pipelines))
        for labels, found in tables:
            values = {
                "usage.tps_per_usd_h": found.tps_per_usd_h,
                "usage.usd_per_mtok_blended": found.usd_per_mtok_blended,
                "usage.usd_per_hour": found.usd_per_hour,
                "usage.output_tps": found.tps.output,
                "usage.error_ratio": found.errors / found.calls if found.calls else None,
                "usage.cost_coverage": found.cost_coverage,
            }
            signals += [Signal(name, labels, value, at=now) for name, value in values.items()]
        return signals


def unconfigured_checks(settings: Settings) -> frozenset[str]:
    """Checks that nobody has set up: UNKNOWN on the page, with what to do, but no reason to wake anybody."""
    tco = settings.checklist.tco
    inputs = (tco.egress_usd_per_gb, tco.egress_bytes_per_output_token, tco.baseline_provider, tco.baseline_model)
    missing = set()
    if not settings.checklist.cdc:
        missing.add("cdc")
    if not settings.pools or any(value is None for value in inputs):
        missing.add("tco")
    if not settings.checklist.observability.expected_pipelines and not settings.drift.monitors:
        missing.add("observability")
    return frozenset(missing)
