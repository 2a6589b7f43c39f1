"""What is measured and configured fills what a scenario leaves out: its model, the pool that serves it, its speed.

Only whole parts are filled: a scenario that writes `[rented]` says itself what is rented. Speed is that of the busiest
hour, a floor of what the accelerators can do, and named as such.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from economics.tco.facts import Origin
from economics.tco.measured import Measured
from economics.tco.scenario import ApiTerms, Delivered, OwnedTerms, RentedTerms, Scenario
from economics.tco.spread import Spread
from settings import Pool, TcoSettings

CONFIGURED = Origin("your settings: [[pools]]", "", "yours")
CHECKLIST = Origin("your settings: [checklist.tco]", "", "yours")
SEEN = Origin("measured: the model of the demand", "", "measured")


def prefill(
    scenario: Scenario, measured: Measured, pools: Sequence[Pool], tco: TcoSettings
) -> tuple[Scenario, dict[str, Origin]]:
    """The scenario with what is known of the demand's own servers, and where each filled field comes from."""
    origins: dict[str, Origin] = {}
    changes: dict[str, Any] = {}
    model = measured.demand.model or None
    if scenario.service.model is None and model is not None:
        changes["service"] = scenario.service.model_copy(update={"model": model})
        origins["service.model"] = SEEN
    if scenario.api is None:
        changes |= _api(measured, tco, origins)
    pool = next((each for each in pools if each.name == measured.pool), None)
    if pool is not None and scenario.rented is None and scenario.owned is None:
        changes |= _machines(pool, measured, tco, origins)
    if scenario.network.bytes_per_output_token is None and tco.egress_bytes_per_output_token is not None:
        given = Spread.sure(tco.egress_bytes_per_output_token)
        changes["network"] = scenario.network.model_copy(update={"bytes_per_output_token": given})
        origins["network.bytes_per_output_token"] = CHECKLIST
    return scenario.model_copy(update=changes), origins


def _api(measured: Measured, tco: TcoSettings, origins: dict[str, Origin]) -> dict[str, Any]:
    if tco.baseline_provider and tco.baseline_model:
        provider, model = tco.baseline_provider, tco.baseline_model
        origins["api.provider"] = CHECKLIST
    elif measured.provider:
        provider, model = measured.provider, measured.demand.model
        origins["api.provider"] = SEEN
    else:
        return {}
    return {"api": ApiTerms(provider=provider, model=model, service=Delivered(model=model))}


def _machines(pool: Pool, measured: Measured, tco: TcoSettings, origins: dict[str, Origin]) -> dict[str, Any]:
    """The pool as what it is, rented or owned; beside a rented one, the same accelerator owned at list prices."""
    speed = _speed(pool, measured)
    shared: dict[str, Any] = {"accelerator": pool.accelerator, "service": Delivered(model=measured.demand.model)}
    if tco.egress_usd_per_gb is not None:
        shared["egress_usd_per_gb"] = tco.egress_usd_per_gb
    price = Spread.sure(pool.usd_per_hour) if pool.usd_per_hour > 0 else None
    filled: dict[str, Any] = {}
    if pool.basis == "owned":
        filled["owned"] = OwnedTerms(usd_per_gpu_hour=price, output_tokens_per_second=speed, **shared)
    else:
        filled["rented"] = RentedTerms(usd_per_gpu_hour=price, output_tokens_per_second=speed, **shared)
        filled["owned"] = OwnedTerms(**shared)
    for option in filled:
        origins[f"{option}.usd_per_gpu_hour"] = CONFIGURED
        origins[f"{option}.egress_usd_per_gb"] = CHECKLIST
        origins[f"{option}.output_tokens_per_second"] = Origin(
            f"measured: busiest hour of pool {pool.name}, by its {pool.count} accelerators",
            "",
            "measured",
            "a floor: they may be able to do more, which would make rented and owned cheaper",
        )
    return filled


def _speed(pool: Pool, measured: Measured) -> Spread | None:
    tokens = measured.busiest.get(pool.name, 0)
    return Spread.sure(Decimal(tokens) / 3600 / pool.count) if tokens else None
