"""The whole answer to a scenario: options, comparisons of equal service, break-even points and the verdict.

Pure: demand, facts and time are given. `ask` brings them from the stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime
from decimal import Decimal

from economics import prices
from economics.tco import breakeven
from economics.tco.answer import Comparison, OptionAnswer, TcoAnswer
from economics.tco.case import Case, Missing
from economics.tco.cashflow import Returns, judge_flows
from economics.tco.compare import OptionCost, UnknownPriceError, YearCost, api_option, rented_option
from economics.tco.demand import Demand
from economics.tco.demand_answer import describe
from economics.tco.facts import FactBook
from economics.tco.hybrid import base_load
from economics.tco.mixture import hybrid_option, owned_option
from economics.tco.origin import Origin
from economics.tco.ownership import HOURS_PER_YEAR, MONTHS_PER_YEAR
from economics.tco.rounding import rounded
from economics.tco.scenario import ApiTerms, Scenario
from economics.tco.service import Refusal, refusals
from economics.tco.simulate import Simulated, simulate
from economics.tco.terms import resolve
from economics.tco.verdict import Verdict, cost_ratio, judge_claim

MILLION = Decimal(10**6)


def calculate(
    scenario: Scenario,
    demand: Demand,
    facts: FactBook,
    now: datetime,
    origins: Mapping[str, Origin] | None = None,
) -> TcoAnswer:
    """Answer a scenario.

    Args:
        origins: of fields that the scenario's author did not write.

    Raises:
        ScenarioError: the scenario names what is not known.
    """
    case = resolve(scenario, demand, facts, now, origins)
    costs, case = _single_options(case)
    refused = {name: _refusals(name, case) for name in costs}
    equal = _only(case, [name for name in costs if not refused[name]])
    base = 0
    sides = [side for side in (equal.api, equal.rented, equal.owned) if side is not None]
    missing = list(case.missing)
    if len(sides) >= 2:
        base = base_load(equal)
        costs["hybrid"], refused["hybrid"] = hybrid_option(equal, base), ()
    elif case.curve:
        fix = "give at least two options with equal service"
        missing.append(Missing("hybrid", "a mixture of options that may be compared", fix, blocks=True))
    return TcoAnswer(
        name=scenario.name,
        now=now,
        baseline=scenario.baseline,
        basis=_basis(demand),
        price_version=prices.VERSION,
        facts_taken=facts.taken,
        years=case.years,
        demand=describe(demand),
        options=tuple(_option(case, cost, refused[name], missing) for name, cost in costs.items()),
        comparisons=_comparisons(equal, costs, refused, base),
        owned_rate=breakeven.owned_rate(case),
        break_even_utilisation=breakeven.against_rent(case, facts, comparable="rented" in _equal(refused)),
        break_even_tokens=breakeven.against_api(equal, costs),
        missing=tuple(missing),
        refusals=tuple(refusal for each in refused.values() for refusal in each),
        assumptions=case.assumptions,
    )


def _single_options(case: Case) -> tuple[dict[str, OptionCost], Case]:
    """The options that are no mixture; one that meets an unknown price on the way is taken out of the case."""
    costs: dict[str, OptionCost] = {}
    for name in ("api", "rented", "owned"):
        try:
            if name == "api" and case.api is not None:
                costs[name] = api_option(case, case.api)
            elif name == "rented" and case.rented is not None:
                costs[name] = rented_option(case, case.rented)
            elif name == "owned" and case.owned is not None:
                costs[name] = owned_option(case, case.owned)
        except UnknownPriceError as error:
            missing = (*case.missing, Missing(name, str(error), error.fix, blocks=True))
            case = replace(
                _only(case, [other for other in ("api", "rented", "owned") if other != name]), missing=missing
            )
    return costs, case


def _only(case: Case, names: list[str]) -> Case:
    return replace(
        case,
        api=case.api if "api" in names else None,
        rented=case.rented if "rented" in names else None,
        owned=case.owned if "owned" in names else None,
    )


def _refusals(name: str, case: Case) -> tuple[Refusal, ...]:
    sides = {"api": case.scenario.api, "rented": case.scenario.rented, "owned": case.scenario.owned}
    side = sides[name]
    if side is None:
        return ()
    delivered = side.service
    if delivered.model is None and isinstance(side, ApiTerms):
        delivered = delivered.model_copy(update={"model": side.model})
    return refusals(name, case.scenario.service, delivered)


def _equal(refused: Mapping[str, tuple[Refusal, ...]]) -> set[str]:
    return {name for name, reasons in refused.items() if not reasons}


def _option(case: Case, cost: OptionCost, refused: tuple[Refusal, ...], missing: list[Missing]) -> OptionAnswer:
    first = cost.years[0]
    demand, scale = case.demand, case.likely["demand.scale"]
    year = scale * HOURS_PER_YEAR / demand.hours
    output, prompts = demand.total("output_tokens") * year, demand.total("input_tokens") * year
    total = output + prompts
    parts = YearCost(**{each.name: rounded(getattr(first, each.name) / MONTHS_PER_YEAR) for each in fields(YearCost)})
    used = set(cost.shares) if cost.name == "hybrid" else {cost.name}
    return OptionAnswer(
        name=cost.name,
        compared=not refused,
        refusals=refused,
        usd_per_month=rounded(first.usd / MONTHS_PER_YEAR),
        present_usd=rounded(cost.present_usd(case.likely["finance.discount_rate"])),
        usd_per_mtok_blended=rounded(first.usd * MILLION / total) if total else None,
        usd_per_mtok_output=rounded(first.usd * MILLION / output) if output else None,
        parts_per_month=parts,
        egress_share=rounded(first.egress_usd / first.usd) if first.usd and _egress_is_known(case, used) else None,
        gpus=cost.gpus,
        owned_replicas=cost.owned_replicas,
        utilisation=rounded(cost.utilisation),
        shares={who: rounded(share) for who, share in cost.shares.items()},
        left_out=tuple(each.what for each in missing if each.option in used and not each.blocks),
    )


def _egress_is_known(case: Case, used: set[str]) -> bool:
    plans = {"api": case.api, "rented": case.rented, "owned": case.owned}
    return all(plan is None or plan.tariff is not None for name, plan in plans.items() if name in used)


def _comparisons(
    case: Case, costs: Mapping[str, OptionCost], refused: Mapping[str, tuple[Refusal, ...]], base: int
) -> tuple[Comparison, ...]:
    baseline = case.scenario.baseline
    equal = _equal(refused)
    others = [name for name in costs if name != baseline]
    if baseline not in equal:
        return tuple(_not_compared(case, name, baseline, costs, refused) for name in others)
    rate = case.likely["finance.discount_rate"]
    judged = [name for name in others if name in equal and costs[name].present_usd(rate) > 0]
    simulated = simulate(case, judged, base) if judged else {}
    return tuple(
        _comparison(case, costs[name], costs[baseline], simulated[name])
        if name in judged
        else _not_compared(case, name, name, costs, refused)
        for name in others
    )


def _comparison(case: Case, cost: OptionCost, baseline: OptionCost, simulated: Simulated) -> Comparison:
    rate = case.likely["finance.discount_rate"]
    discounts = [(1 + rate) ** year for year in range(1, case.years + 1)]
    ratio = cost_ratio(
        [year.usd / by for year, by in zip(baseline.years, discounts, strict=True)],
        [year.usd / by for year, by in zip(cost.years, discounts, strict=True)],
    )
    returns = None
    if cost.capex_usd:
        flows = [before - after for before, after in zip(baseline.flows(), cost.flows(), strict=True)]
        returns = _rounded_returns(judge_flows(flows, rate))
    claimed = case.scenario.simulation.claimed_ratio
    verdict = judge_claim(simulated.probability_of_claim)
    likely = "no input is uncertain" if simulated.certain else f"over {simulated.draws} draws"
    return Comparison(
        option=cost.name,
        baseline=baseline.name,
        cost_ratio=rounded(ratio),
        saved_share=rounded(1 - 1 / ratio) if ratio else None,
        returns=returns,
        simulated=simulated,
        claimed_ratio=claimed,
        verdict=verdict,
        text=f"{claimed}:1 as a cost ratio against {baseline.name}: {verdict} "
        f"(P(R >= {claimed}) = {simulated.probability_of_claim:.3f}, {likely})",
    )


def _rounded_returns(found: Returns) -> Returns:
    return Returns(
        investment_usd=rounded(found.investment_usd),
        npv_usd=rounded(found.npv_usd),
        irr=rounded(found.irr),
        payback_months=rounded(found.payback_months),
        discounted_payback_months=rounded(found.discounted_payback_months),
        benefit_cost_ratio=rounded(found.benefit_cost_ratio),
        roi=rounded(found.roi),
    )


def _not_compared(
    case: Case, option: str, to_blame: str, costs: Mapping[str, OptionCost], refused: Mapping[str, tuple[Refusal, ...]]
) -> Comparison:
    if refused.get(to_blame):
        text = f"{to_blame} does not give, or does not state, the service that is required"
    elif to_blame in costs:
        text = f"{to_blame} costs nothing, so there is no ratio"
    else:
        text = f"the baseline {to_blame} has no cost; see what is missing"
    baseline, claimed = case.scenario.baseline, case.scenario.simulation.claimed_ratio
    return Comparison(option, baseline, None, None, None, None, claimed, Verdict.NOT_JUDGED, f"not compared: {text}")


def _basis(demand: Demand) -> str:
    if demand.source == "measured":
        return "list prices and your scenario, on measured demand; costs to come are a projection, not a bill"
    return "list prices and your scenario, on a written demand; costs to come are a projection, not a bill"
