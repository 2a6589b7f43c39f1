"""The case that is computed: every input a number with its origin, and what is not known.

`terms` makes it of a scenario, facts and a demand; `compare`, `projection` and `calculate` read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from economics.tco.demand import Demand
from economics.tco.egress import Tariff
from economics.tco.scenario import ApiTerms, OwnedTerms, RentedTerms, Scenario
from economics.tco.spread import Spread


class ScenarioError(ValueError):
    """A scenario that cannot be used: the field, its value, and what is allowed."""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        super().__init__(f"{field} = {str(value)!r} cannot be used: {allowed}")
        self.field, self.value, self.allowed = field, str(value), allowed


@dataclass(frozen=True)
class Assumption:
    """One input and where it comes from; `stale`: its source is older than 90 days."""

    name: str
    value: str
    unit: str
    source: str
    as_of: str
    confidence: str
    note: str
    stale: bool


@dataclass(frozen=True)
class Missing:
    """What is not known. `blocks`: without it the option has no cost; otherwise its cost is without this part."""

    option: str
    what: str
    fix: str
    blocks: bool


@dataclass(frozen=True)
class Point:
    """Hours of a year that ask for the same, each for so much; `api_usd`: at the API's price, None when unknown."""

    hours: Decimal
    output_tokens: Decimal
    input_tokens: Decimal
    api_usd: Decimal | None


@dataclass(frozen=True)
class ApiPlan:
    """The API, apart from what `Case.spreads` holds."""

    tariff: Tariff | None
    price_change: Decimal
    good: Decimal
    terms: ApiTerms


@dataclass(frozen=True)
class MachinePlan:
    """Machines, apart from what `Case.spreads` holds."""

    tariff: Tariff | None
    gpus_per_replica: int
    good: Decimal


@dataclass(frozen=True)
class RentedPlan(MachinePlan):
    terms: RentedTerms


@dataclass(frozen=True)
class OwnedPlan(MachinePlan):
    """`kw_provisioned` None: nothing is hosted by the kW. `given`: the price of an hour is given, not computed."""

    terms: OwnedTerms
    kw_provisioned: Decimal
    given: bool


@dataclass(frozen=True)
class Case:
    """What is computed: `curve` is a year of demand, `spreads` every uncertain input by the name of its field."""

    scenario: Scenario
    demand: Demand
    curve: tuple[Point, ...]
    years: int
    spreads: Mapping[str, Spread]
    api: ApiPlan | None
    rented: RentedPlan | None
    owned: OwnedPlan | None
    assumptions: tuple[Assumption, ...]
    missing: tuple[Missing, ...]

    @cached_property
    def likely(self) -> dict[str, Decimal]:
        """Every input at its likeliest."""
        return {name: spread.likely for name, spread in self.spreads.items()}
