"""A case whose every figure can be worked out by hand, and ways to change it.

Three of four hours ask for 3.6 M output tokens, one for 7.2 M: 39.42 G a year. An accelerator makes 1000 tok/s, that is
3.6 M an hour: one is needed always, two in a quarter of the 8760 hours. The API takes $2 per million output tokens,
renting costs $2 an hour, and owning $35 040 over 4 years without interest: $1 an hour. Nothing else costs anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from economics.tco.answer import Comparison, OptionAnswer, TcoAnswer
from economics.tco.calculate import calculate
from economics.tco.case import Case
from economics.tco.demand import written_demand
from economics.tco.facts import fact_book
from economics.tco.scenario import Scenario
from economics.tco.terms import resolve

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SERVICE = {
    "model": "m",
    "context_tokens": 8192,
    "time_to_first_token_seconds": 1,
    "time_per_output_token_seconds": "0.05",
}
DELIVERED = {**SERVICE, "good_share": 1}

PLAIN: dict[str, Any] = {
    "demand": {"levels": [{"hours": 3, "output_tokens": 3_600_000}, {"hours": 1, "output_tokens": 7_200_000}]},
    "service": SERVICE,
    "api": {"usd_per_mtok_input": 0, "usd_per_mtok_output": 2, "egress_usd_per_gb": 0, "service": DELIVERED},
    "rented": {
        "usd_per_gpu_hour": 2,
        "output_tokens_per_second": 1000,
        "egress_usd_per_gb": 0,
        "service": DELIVERED,
    },
    "owned": {
        "purchase_usd": 35_040,
        "system_markup": 1,
        "kw": "0.001",
        "hosting_usd_per_kw_month": 0,
        "kw_provisioned": 1,
        "maintenance_share": 0,
        "staff_usd_per_year": 0,
        "software_usd_per_year": 0,
        "availability": 1,
        "residual_share": 0,
        "output_tokens_per_second": 1000,
        "egress_usd_per_gb": 0,
        "service": DELIVERED,
    },
    "power": {"usd_per_kwh": 0, "pue": 1},
    "network": {"bytes_per_output_token": 0, "bytes_per_input_token": 0},
    "finance": {"years": 4, "discount_rate": 0},
}


def changed(base: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """`base` with fields named by `part__field`; None removes, also a whole part."""
    values: dict[str, Any] = {name: dict(part) if isinstance(part, Mapping) else part for name, part in base.items()}
    for path, value in changes.items():
        *steps, last = path.split("__")
        place = values
        for step in steps:
            place[step] = dict(place.get(step, {}))
            place = place[step]
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return values


def scenario(**changes: Any) -> Scenario:
    return Scenario.model_validate(changed(PLAIN, **changes))


def case(**changes: Any) -> Case:
    asked = scenario(**changes)
    return resolve(asked, written_demand(asked.demand.levels, ""), fact_book(), NOW)


def answer(**changes: Any) -> TcoAnswer:
    asked = scenario(**changes)
    return calculate(asked, written_demand(asked.demand.levels, ""), fact_book(), NOW)


def option(found: TcoAnswer, name: str) -> OptionAnswer:
    return next(each for each in found.options if each.name == name)


def comparison(found: TcoAnswer, name: str) -> Comparison:
    return next(each for each in found.comparisons if each.option == name)
