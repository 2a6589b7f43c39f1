"""The options of `compare` in floats, for many values of the inputs at once: rows are draws, columns hours.

Used where 28 digits are not wanted: to choose the hybrid's base load, for the simulation and for the tornado. Egress
beyond the last known tier goes on at its price; `compare` refuses such a case before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from economics.tco.case import ApiPlan, Case, MachinePlan, OwnedPlan, Point, RentedPlan
from economics.tco.egress import Tariff
from economics.tco.ownership import HOURS_PER_YEAR, MONTHS_PER_YEAR
from economics.tco.spread import Floats

WHOLE = 1e-9
Values = Mapping[str, Floats]


@dataclass(frozen=True)
class Year:
    """One kind of year: factors on demand and prices, and the present worth of a dollar paid in such years."""

    growth: float
    api: float
    rent: float
    worth: Floats


@dataclass(frozen=True)
class Columns:
    """A year of demand: hours, tokens an hour, and what an hour costs at the API."""

    hours: Floats
    output: Floats
    input: Floats
    api_usd: Floats

    @classmethod
    def of(cls, curve: tuple[Point, ...], most: int | None = None) -> Columns:
        """At most `most` columns: hours of similar load become one of their mean; the busiest stays as it is."""
        ordered = sorted(curve, key=lambda point: point.output_tokens)
        table = np.array(
            [[float(p.hours), float(p.output_tokens), float(p.input_tokens), float(p.api_usd or 0)] for p in ordered]
        )
        if most is not None and len(table) > most:
            edges = np.unique(np.linspace(0, len(table) - 1, most).astype(int))
            weighted = table * np.column_stack([np.ones(len(table)), *(table[:, 0],) * 3])
            sums = np.add.reduceat(weighted, edges)
            sums[:, 1:] /= sums[:, :1]
            table = sums
        return cls(*(np.ascontiguousarray(column) for column in table.T))


class Projection:
    """Present values of the options, USD: one for each row of the values given."""

    def __init__(self, case: Case, most_columns: int | None = None) -> None:
        self._case = case
        self._columns = Columns.of(case.curve, most_columns)

    def option(self, name: str, values: Values, base: Floats | float = 0.0) -> Floats:
        """The present value of an option by its name; `base`: the hybrid's owned replicas."""
        case = self._case
        if name == "api" and case.api is not None:
            return self._api(case.api, values)
        if name == "rented" and case.rented is not None:
            return self._rented(case.rented, values)
        if name == "owned" and case.owned is not None:
            return self._owned(case.owned, values)
        return self._hybrid(values, base)

    def most_replicas(self, values: Values) -> Floats:
        """Owned replicas that serve the busiest hour of all years."""
        plan = self._case.owned
        if plan is None:
            return np.zeros(1)
        peak = float(self._columns.output[-1]) * values["demand.scale"]
        grown = max(year.growth for year in self._years(values))
        return np.ceil(peak * grown / self._each("owned", plan, values) - WHOLE)

    def _years(self, values: Values) -> Iterator[Year]:
        case, rate = self._case, values["finance.discount_rate"]
        growth = float(case.scenario.demand.growth_per_year)
        api = float(case.api.price_change) if case.api else 0.0
        rent = float(case.rented.terms.price_change_per_year) if case.rented else 0.0
        if not growth and not api and not rent:
            yield Year(
                1.0, 1.0, 1.0, sum(((1 + rate) ** -year for year in range(1, case.years + 1)), np.zeros_like(rate))
            )
            return
        for year in range(case.years):
            yield Year((1 + growth) ** year, (1 + api) ** year, (1 + rent) ** year, (1 + rate) ** -(year + 1))

    def _each(self, option: str, plan: MachinePlan, values: Values) -> Floats:
        speed = values.get(f"{option}.output_tokens_per_second")
        if speed is None:
            speed = values["rented.output_tokens_per_second"]
        return speed * 3600 * plan.gpus_per_replica * float(plan.good)

    def _api(self, plan: ApiPlan, values: Values) -> Floats:
        columns, scale = self._columns, values["demand.scale"]
        spent = float(columns.hours @ columns.api_usd) / float(plan.good)
        prompts = float(columns.hours @ columns.input) / float(plan.good)
        total = np.zeros_like(scale)
        for year in self._years(values):
            paid = spent * year.growth * year.api * scale * values["api.price_scale"]
            total += (paid + _prompts(plan, prompts * year.growth * scale, values)) * year.worth
        return total

    def _rented(self, plan: RentedPlan, values: Values) -> Floats:
        columns, scale = self._columns, values["demand.scale"]
        each = self._each("rented", plan, values)
        tokens = float(columns.hours @ columns.output) / float(plan.good)
        committed = float(plan.terms.commitment_gpu_hours_per_month) * MONTHS_PER_YEAR
        storage = float(plan.terms.storage_usd_per_month) * MONTHS_PER_YEAR
        total = np.zeros_like(scale)
        for year in self._years(values):
            needs = np.ceil(columns.output * (scale * year.growth / each)[:, None] - WHOLE)
            replicas = needs @ columns.hours if plan.terms.scaling == "hourly" else needs.max(axis=1) * HOURS_PER_YEAR
            billed = np.maximum(replicas * plan.gpus_per_replica, committed)
            paid = billed * values["rented.usd_per_gpu_hour"] * year.rent + storage
            total += (paid + _answers(plan.tariff, tokens * year.growth * scale, values)) * year.worth
        return total

    def _owned(self, plan: OwnedPlan, values: Values) -> Floats:
        columns, scale = self._columns, values["demand.scale"]
        each = self._each("owned", plan, values)
        replicas = self.most_replicas(values) + plan.terms.spare_replicas
        tokens = float(columns.hours @ columns.output) / float(plan.good)
        total = np.zeros_like(scale)
        for year in self._years(values):
            needs = np.ceil(columns.output * (scale * year.growth / each)[:, None] - WHOLE)
            paid = self._owned_year(plan, replicas, needs @ columns.hours, values)
            total += (paid + _answers(plan.tariff, tokens * year.growth * scale, values)) * year.worth
        return total

    def _owned_year(self, plan: OwnedPlan, replicas: Floats, busy_hours: Floats, values: Values) -> Floats:
        gpus = replicas * plan.gpus_per_replica
        if plan.given:
            return gpus * HOURS_PER_YEAR * values["owned.usd_per_gpu_hour"]
        rate, years = values["finance.discount_rate"], self._case.years
        capex = values["owned.purchase_usd"] * values["owned.system_markup"]
        growth = (1 + rate) ** years
        with np.errstate(invalid="ignore"):
            factor = np.where(rate > 0, rate * growth / np.where(rate > 0, growth - 1, 1), 1 / years)
        capital = capex * (1 - values["owned.residual_share"] / growth) * factor
        hosting = values["owned.hosting_usd_per_kw_month"] * MONTHS_PER_YEAR * float(plan.kw_provisioned)
        people = values["owned.staff_usd_per_year"] + values["owned.software_usd_per_year"]
        fixed = capital + values["owned.maintenance_share"] * capex + hosting + people
        hour = values["owned.kw"] * values["power.pue"] * values["power.usd_per_kwh"]
        busy = busy_hours * plan.gpus_per_replica
        idle = (gpus * HOURS_PER_YEAR - busy) * values["owned.idle_power_share"]
        return (fixed * gpus + hour * (busy + idle)) / values["owned.availability"]

    def _hybrid(self, values: Values, base: Floats | float) -> Floats:
        case, columns, scale = self._case, self._columns, values["demand.scale"]
        replicas = np.broadcast_to(np.asarray(base, dtype=float), scale.shape)
        plan = case.owned if case.owned is not None and replicas.any() else None
        total = np.zeros_like(scale)
        for year in self._years(values):
            wanted = columns.output * (scale * year.growth)[:, None]
            rest, own = wanted, None
            if plan is not None:
                each = self._each("owned", plan, values)[:, None]
                own = np.minimum(wanted, replicas[:, None] * each)
                busy = np.minimum(replicas[:, None], np.ceil(own / each - WHOLE)) @ columns.hours
                total += self._owned_year(plan, replicas, busy, values) * year.worth
                total += _answers(plan.tariff, own @ columns.hours / float(plan.good), values) * year.worth
                rest = wanted - own
            total += self._cloud(rest, year, values) * year.worth
        return total

    def _cloud(self, rest: Floats, year: Year, values: Values) -> Floats:
        case, columns = self._case, self._columns
        rate = np.full_like(rest, np.inf)
        if case.api is not None:
            usd = np.divide(
                columns.api_usd, columns.output, out=np.zeros_like(columns.output), where=columns.output > 0
            )
            rate = usd * (values["api.price_scale"] * year.api / float(case.api.good))[:, None]
        if case.rented is None:
            by_api = rest
            paid: Any = (rest * rate) @ columns.hours
            by_rent = np.zeros_like(rest)
        else:
            each = self._each("rented", case.rented, values)[:, None]
            price = (values["rented.usd_per_gpu_hour"] * year.rent * case.rented.gpus_per_replica)[:, None]
            cheap = price <= each * rate
            whole = np.where(cheap, np.floor(rest / each + WHOLE), 0.0)
            left = np.maximum(0.0, rest - whole * each)
            with np.errstate(invalid="ignore"):
                one_more = cheap & (left > each * WHOLE) & (left * rate > price)
            by_api = np.where(one_more, 0.0, left)
            by_api = np.where(np.isinf(rate), 0.0, by_api)
            by_rent = rest - by_api
            spent = by_api * np.where(np.isinf(rate), 0.0, rate)
            paid = ((whole + one_more) * price + spent) @ columns.hours
            rented_tokens = by_rent @ columns.hours
            storage = float(case.rented.terms.storage_usd_per_month) * MONTHS_PER_YEAR
            paid = paid + np.where(rented_tokens > 0, storage, 0.0)
            paid = paid + _answers(case.rented.tariff, rented_tokens / float(case.rented.good), values)
        if case.api is not None:
            ratio = np.divide(
                columns.input, columns.output, out=np.zeros_like(columns.output), where=columns.output > 0
            )
            paid = paid + _prompts(case.api, (by_api * ratio) @ columns.hours / float(case.api.good), values)
        result: Floats = paid
        return result


def _answers(tariff: Tariff | None, tokens: Floats, values: Values) -> Floats:
    return _carried(tariff, tokens * values["network.bytes_per_output_token"])


def _prompts(plan: ApiPlan, tokens: Floats, values: Values) -> Floats:
    if plan.tariff is None:
        return np.zeros_like(tokens)
    return _carried(plan.tariff, tokens * values["network.bytes_per_input_token"])


def _carried(tariff: Tariff | None, year_bytes: Floats) -> Floats:
    if tariff is None:
        return np.zeros_like(year_bytes)
    return tariff.usd_of(year_bytes / MONTHS_PER_YEAR / 1e9) * MONTHS_PER_YEAR
