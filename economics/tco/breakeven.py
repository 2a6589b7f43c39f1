"""Break-even points: how busy an owned accelerator must be against renting it, how many tokens against an API."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from economics.tco.answer import BreakEvenTokens, BreakEvenUtilisation, OwnedRate
from economics.tco.case import Case
from economics.tco.compare import OptionCost, ownership, replica_tokens
from economics.tco.facts import FactBook, FactError
from economics.tco.ownership import (
    HOURS_PER_MONTH,
    HOURS_PER_YEAR,
    MONTHS_PER_YEAR,
    break_even_tokens_per_month,
    break_even_utilisation,
)
from economics.tco.rounding import rounded

MILLION = Decimal(10**6)


def owned_rate(case: Case) -> OwnedRate | None:
    """$/GPU-h of what is owned; None without an owned option, or where its price of an hour was given."""
    if case.owned is None or case.owned.given:
        return None
    one = ownership(case, case.owned)
    fixed = one.fixed_usd_per_year / HOURS_PER_YEAR / one.availability
    return OwnedRate(
        rounded(one.usd_per_gpu_hour), rounded(fixed), rounded(one.variable_usd_per_hour / one.availability)
    )


def against_rent(case: Case, facts: FactBook, comparable: bool) -> tuple[BreakEvenUtilisation, ...]:
    """The same accelerator at each on-demand list price, and at the scenario's own; cheapest rent first.

    Args:
        comparable: whether the scenario's rented option gives the service that is required.
    """
    if case.owned is None or case.owned.given:
        return ()
    one = ownership(case, case.owned)
    idle = one.variable_usd_per_hour * case.likely["owned.idle_power_share"]
    fixed, variable = one.fixed_usd_per_year + idle * HOURS_PER_YEAR, one.variable_usd_per_hour - idle
    offers: list[tuple[str, Decimal, str]] = []
    if case.owned.terms.accelerator:
        try:
            rent = facts.accelerator(case.owned.terms.accelerator).rent
        except FactError:
            rent = ()
        offers = [(f"{r.provider} {r.sku}", r.usd_per_gpu_hour, r.origin.as_of) for r in rent if r.kind == "on_demand"]
    if case.rented is not None and comparable:
        # Of another accelerator, as much of it as makes the same tokens.
        same = replica_tokens(case, "owned", case.owned) / case.owned.gpus_per_replica
        same /= replica_tokens(case, "rented", case.rented) / case.rented.gpus_per_replica
        offers.append(("the scenario's rented option", case.likely["rented.usd_per_gpu_hour"] * same, ""))
    return tuple(
        BreakEvenUtilisation(against, rounded(usd), rounded(break_even_utilisation(fixed, variable, usd)), as_of)
        for against, usd, as_of in sorted(offers, key=lambda offer: offer[1])
    )


def against_api(case: Case, costs: Mapping[str, OptionCost]) -> BreakEvenTokens | None:
    """Tokens a month that pay for the owned fleet; `case` holds only options that may be compared."""
    if case.api is None or case.owned is None or "api" not in costs or "owned" not in costs:
        return None
    api, owned = costs["api"].years[0], costs["owned"].years[0]
    scale = case.likely["demand.scale"] * HOURS_PER_YEAR / case.demand.hours / MONTHS_PER_YEAR
    output = case.demand.total("output_tokens") * scale
    tokens = output + case.demand.total("input_tokens") * scale
    per_month = Decimal(1) / MONTHS_PER_YEAR
    fixed = (owned.capital_usd + owned.running_usd) * per_month
    api_per_mtok = api.usd * per_month * MILLION / tokens
    variable = (owned.energy_usd + owned.egress_usd) * per_month * MILLION / tokens
    capacity = costs["owned"].owned_replicas * replica_tokens(case, "owned", case.owned) * HOURS_PER_MONTH
    found = break_even_tokens_per_month(fixed, api_per_mtok, variable)
    return BreakEvenTokens(
        tokens_per_month=rounded(found, 0),
        capacity_per_month=rounded(capacity * tokens / output, 0),
        wanted_per_month=rounded(tokens, 0),
    )
