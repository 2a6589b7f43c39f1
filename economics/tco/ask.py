"""A scenario answered from the stores: measured demand where the scenario writes none, configured pools, facts."""

from __future__ import annotations

from datetime import datetime

from economics.report import Reports
from economics.tco.answer import TcoAnswer
from economics.tco.calculate import calculate
from economics.tco.demand import written_demand
from economics.tco.facts import fact_book
from economics.tco.measured import measure
from economics.tco.prefill import prefill
from economics.tco.scenario import Scenario
from settings import Settings
from store.telemetry import TelemetryStore


def needs_store(scenario: Scenario) -> bool:
    """Whether the demand is the measured one."""
    return not scenario.demand.levels


def answer_written(scenario: Scenario, now: datetime) -> TcoAnswer:
    """The answer to a scenario that writes its demand.

    Raises:
        ScenarioError: the scenario names what is not known.
    """
    return calculate(scenario, written_demand(scenario.demand.levels, scenario.service.model or ""), fact_book(), now)


def answer_measured(
    scenario: Scenario, store: TelemetryStore, reports: Reports, settings: Settings, now: datetime
) -> TcoAnswer:
    """The answer to a scenario for the measured demand.

    Raises:
        ScenarioError: the scenario names what is not known.
    """
    measured = measure(store, reports, settings.pools, scenario.demand, now)
    filled, origins = prefill(scenario, measured, settings.pools, settings.checklist.tco)
    return calculate(filled, measured.demand, fact_book(), now, origins)
