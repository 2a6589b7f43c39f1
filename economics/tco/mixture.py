"""Options with a base load of one's own, in `Decimal`: all of it owned, or what exceeds it rented or from the API.

An hour above the base goes to whole rented replicas or to the API, whichever is cheaper; so does the rest that fills no
replica. `hybrid` chooses the base load.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from economics.tco.case import Case, OwnedPlan, Point
from economics.tco.compare import (
    WHOLE,
    OptionCost,
    UnknownPriceError,
    YearCost,
    answers_usd,
    api_hour_usd,
    each_year,
    grown,
    ownership,
    prompts_usd,
    rent_per_hour_usd,
    replica_tokens,
    replicas_for,
)
from economics.tco.ownership import HOURS_PER_YEAR, MONTHS_PER_YEAR


@dataclass(frozen=True)
class Served:
    """What served an hour, or many: good output tokens by who made them, the owned replicas in use, money.

    `prompts`: input tokens that went to the API with its share.
    """

    owned: Decimal = Decimal(0)
    rented: Decimal = Decimal(0)
    api: Decimal = Decimal(0)
    prompts: Decimal = Decimal(0)
    busy: Decimal = Decimal(0)
    rent_usd: Decimal = Decimal(0)
    api_usd: Decimal = Decimal(0)

    # Written out: this is added up for every hour of every year.
    def __add__(self, other: Served) -> Served:
        return Served(
            self.owned + other.owned,
            self.rented + other.rented,
            self.api + other.api,
            self.prompts + other.prompts,
            self.busy + other.busy,
            self.rent_usd + other.rent_usd,
            self.api_usd + other.api_usd,
        )

    def times(self, factor: Decimal) -> Served:
        return Served(
            self.owned * factor,
            self.rented * factor,
            self.api * factor,
            self.prompts * factor,
            self.busy * factor,
            self.rent_usd * factor,
            self.api_usd * factor,
        )


def owned_option(case: Case, plan: OwnedPlan) -> OptionCost:
    """Every token from accelerators of one's own, enough for the busiest hour of all years."""
    peak = max(point.output_tokens for point in case.curve)
    most = max(grown(case, year) for year in range(1, case.years + 1))
    replicas = replicas_for(peak * most, replica_tokens(case, "owned", plan)) + plan.terms.spare_replicas
    return _with_base(case, "owned", plan, replicas)


def hybrid_option(case: Case, replicas: int) -> OptionCost:
    """A base load of so many owned replicas, and the cloud above it."""
    return _with_base(case, "hybrid", case.owned if replicas else None, replicas)


def _with_base(case: Case, name: str, plan: OwnedPlan | None, replicas: int) -> OptionCost:

    def served_in(year: int) -> Served:
        return sum((_serve(case, point, year, plan, replicas).times(point.hours) for point in case.curve), Served())

    served = each_year(case, served_in)
    years = tuple(_year(case, plan, replicas, each) for each in served)
    gpus = replicas * plan.gpus_per_replica if plan is not None else 0
    capex, residual = _purchase(case, plan, gpus)
    first = served[0]
    by = {"owned": first.owned, "rented": first.rented, "api": first.api}
    total = sum(by.values(), Decimal(0))
    busy = first.busy * plan.gpus_per_replica if plan is not None else Decimal(0)
    return OptionCost(
        name,
        years,
        owned_replicas=replicas,
        gpus=gpus,
        capex_usd=capex,
        residual_usd=residual,
        utilisation=busy / (gpus * HOURS_PER_YEAR) if gpus else None,
        shares={who: tokens / total for who, tokens in by.items() if tokens} if total else {},
    )


def _serve(case: Case, point: Point, year: int, plan: OwnedPlan | None, replicas: int) -> Served:
    """One of these hours in a year."""
    wanted = point.output_tokens * grown(case, year)
    if plan is None:
        return _cloud(case, point, wanted, year)
    each = replica_tokens(case, "owned", plan)
    own = min(wanted, replicas * each)
    base = Served(owned=own, busy=Decimal(min(replicas, replicas_for(own, each))))
    return base + _cloud(case, point, wanted - own, year) if wanted > own else base


def _cloud(case: Case, point: Point, rest: Decimal, year: int) -> Served:
    """The cheapest way to serve `rest` good tokens of an hour.

    Raises:
        UnknownPriceError: nothing serves it.
    """
    if not rest:
        return Served()
    by_api = Served()
    if case.api is not None:
        # The share of the hour that goes there costs its share of the hour and takes its share of the prompts.
        share = rest / (point.output_tokens * grown(case, year))
        prompts = point.input_tokens * grown(case, year) * share
        by_api = Served(api=rest, prompts=prompts, api_usd=api_hour_usd(case, case.api, point, year) * share)
        if case.rented is None:
            return by_api
    if case.rented is None:
        raise UnknownPriceError("nothing serves what exceeds the base load", "add [rented] or [api]")
    each = replica_tokens(case, "rented", case.rented)
    price = rent_per_hour_usd(case, case.rented, year) * case.rented.gpus_per_replica
    if case.api is None:
        return Served(rented=rest, rent_usd=replicas_for(rest, each) * price)
    if price > each * by_api.api_usd / rest:
        return by_api
    whole = int((rest / each + WHOLE).to_integral_value(ROUND_FLOOR))
    left = max(Decimal(0), rest - whole * each)
    partly = by_api.times(left / rest)
    if partly.api_usd > price:
        return Served(rented=rest, rent_usd=(whole + 1) * price)
    return Served(rented=rest - left, rent_usd=whole * price) + partly


def _year(case: Case, plan: OwnedPlan | None, replicas: int, served: Served) -> YearCost:
    base = _owned_year(case, plan, replicas, served.busy) if plan is not None else YearCost()
    egress, storage = Decimal(0), Decimal(0)
    if plan is not None:
        egress += answers_usd(case, "owned", plan, served.owned / plan.good)
    if case.rented is not None and served.rented:
        egress += answers_usd(case, "rented", case.rented, served.rented / case.rented.good)
        storage = case.rented.terms.storage_usd_per_month * MONTHS_PER_YEAR
    if case.api is not None:
        egress += prompts_usd(case, case.api, served.prompts / case.api.good)
    return YearCost(
        capital_usd=base.capital_usd,
        running_usd=base.running_usd,
        energy_usd=base.energy_usd,
        rent_usd=served.rent_usd + storage,
        api_usd=served.api_usd,
        egress_usd=egress,
    )


def _owned_year(case: Case, plan: OwnedPlan, replicas: int, busy_hours: Decimal) -> YearCost:
    """`busy_hours`: of replicas. An accelerator that must be there takes 1 / availability accelerators."""
    gpus = replicas * plan.gpus_per_replica
    if plan.given:
        return YearCost(running_usd=case.likely["owned.usd_per_gpu_hour"] * gpus * HOURS_PER_YEAR)
    one = ownership(case, plan)
    busy = busy_hours * plan.gpus_per_replica
    idle = (gpus * HOURS_PER_YEAR - busy) * case.likely["owned.idle_power_share"]
    return YearCost(
        capital_usd=one.capital_usd_per_year * gpus / one.availability,
        running_usd=one.running_usd_per_year * gpus / one.availability,
        energy_usd=one.variable_usd_per_hour * (busy + idle) / one.availability,
    )


def _purchase(case: Case, plan: OwnedPlan | None, gpus: int) -> tuple[Decimal, Decimal]:
    """What is paid today and got back at the end; nothing where the price of an hour was given."""
    if plan is None or plan.given:
        return Decimal(0), Decimal(0)
    one = ownership(case, plan)
    return one.capex_usd * gpus / one.availability, one.residual_usd * gpus / one.availability
