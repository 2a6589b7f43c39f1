"""What is measured and configured fills what a scenario leaves out: its model, the pool that serves it, its speed.

What a scenario writes stands. Speed is that of the busiest hour, a floor of what the accelerators can do, and named as
such. A scenario that names neither `[rented]` nor `[owned]` gets both from its pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel

from economics.tco.facts import fact_book
from economics.tco.measured import Measured
from economics.tco.origin import Origin
from economics.tco.scenario import ApiTerms, MachineTerms, OwnedTerms, RentedTerms, Scenario
from economics.tco.spread import Spread
from settings import Pool, TcoSettings

CONFIGURED = Origin("your settings: [[pools]]", "", "yours")
CHECKLIST = Origin("your settings: [checklist.tco]", "", "yours")
SEEN = Origin("measured: the model of the demand", "", "measured")

T = TypeVar("T", bound=BaseModel)
M = TypeVar("M", bound=MachineTerms)


def prefill(
    scenario: Scenario, measured: Measured, pools: Sequence[Pool], tco: TcoSettings
) -> tuple[Scenario, dict[str, Origin]]:
    """The scenario with what is known of the demand's own servers, and where each filled field comes from."""
    filling = _Filling(measured, tco)
    pool = next((each for each in pools if each.name == measured.pool), None)
    rented, owned = scenario.rented, scenario.owned
    if pool is not None and rented is None and owned is None:
        owned = OwnedTerms()
        rented = None if pool.basis == "owned" else RentedTerms()
    changes = {
        "service": filling.fill("service", scenario.service, model=(measured.demand.model or None, SEEN)),
        "network": filling.fill(
            "network",
            scenario.network,
            bytes_per_output_token=(_sure(tco.egress_bytes_per_output_token), CHECKLIST),
        ),
        "api": filling.api(scenario.api),
        "rented": rented if rented is None or pool is None else filling.rented(rented, pool),
        "owned": owned if owned is None or pool is None else filling.owned(owned, pool),
    }
    return scenario.model_copy(update=changes), filling.origins


class _Filling:
    def __init__(self, measured: Measured, tco: TcoSettings) -> None:
        self._measured = measured
        self._tco = tco
        self.origins: dict[str, Origin] = {}

    def fill(self, path: str, part: T, **known: tuple[Any, Origin]) -> T:
        """The part with its empty fields filled by what is known."""
        new = {name: value for name, (value, _) in known.items() if value is not None and getattr(part, name) is None}
        self.origins |= {f"{path}.{name}": known[name][1] for name in new}
        return part.model_copy(update=new) if new else part

    def api(self, api: ApiTerms | None) -> ApiTerms | None:
        """The API that the checklist names as the alternative, or the one that the demand goes to."""
        if api is not None and (api.provider or api.model or api.usd_per_mtok_output is not None):
            return api
        if self._tco.baseline_provider and self._tco.baseline_model:
            provider, model, origin = self._tco.baseline_provider, self._tco.baseline_model, CHECKLIST
        elif self._measured.provider:
            provider, model, origin = self._measured.provider, self._measured.demand.model, SEEN
        else:
            return api
        return self.fill("api", api or ApiTerms(), provider=(provider, origin), model=(model, origin))

    def rented(self, rented: RentedTerms, pool: Pool) -> RentedTerms:
        """The pool, where it is the rented one; of another accelerator nothing is known."""
        if not _same(rented.accelerator, pool):
            return rented
        listed = rented.provider is not None or pool.basis == "owned"
        price = (None if listed else _price(pool), CONFIGURED)
        return self._machines("rented", rented, pool, usd_per_gpu_hour=price)

    def owned(self, owned: OwnedTerms, pool: Pool) -> OwnedTerms:
        """The pool, where it is the owned one; else the same accelerator at list prices."""
        if not _same(owned.accelerator, pool):
            return owned
        computed = owned.purchase_usd is not None or pool.basis != "owned"
        price = (None if computed else _price(pool), CONFIGURED)
        return self._machines("owned", owned, pool, usd_per_gpu_hour=price)

    def _machines(self, option: str, terms: M, pool: Pool, **more: tuple[Any, Origin]) -> M:
        note = "a floor: they may be able to do more, which would make rented and owned cheaper"
        busiest = Origin(f"measured: busiest hour of pool {pool.name}, by its {pool.count} GPUs", "", "measured", note)
        model = (self._measured.demand.model or None, SEEN)
        filled = self.fill(
            option,
            terms,
            accelerator=(pool.accelerator, CONFIGURED),
            output_tokens_per_second=(self._speed(pool), busiest),
            egress_usd_per_gb=(self._tco.egress_usd_per_gb if terms.egress is None else None, CHECKLIST),
            **more,
        )
        return filled.model_copy(update={"service": self.fill(f"{option}.service", terms.service, model=model)})

    def _speed(self, pool: Pool) -> Spread | None:
        tokens = self._measured.busiest.get(pool.name, 0)
        return Spread.sure(Decimal(tokens) / 3600 / pool.count) if tokens else None


def _same(accelerator: str | None, pool: Pool) -> bool:
    return accelerator is None or fact_book().same_accelerator(accelerator, pool.accelerator)


def _price(pool: Pool) -> Spread | None:
    return _sure(pool.usd_per_hour if pool.usd_per_hour > 0 else None)


def _sure(value: Decimal | None) -> Spread | None:
    return None if value is None else Spread.sure(value)
