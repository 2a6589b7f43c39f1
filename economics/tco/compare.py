"""What options cost, year by year, in `Decimal`: the API and rented accelerators; `mixture` has those with a base load.

Every option serves the same good tokens of the same hours. `projection` holds the same model in floats, for the
simulation and for choosing the hybrid's base load; a test holds both together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from decimal import ROUND_CEILING, Decimal
from typing import TypeVar

from economics.tco.case import ApiPlan, Case, MachinePlan, OwnedPlan, Point, RentedPlan, ScenarioError
from economics.tco.egress import Tariff, gigabytes
from economics.tco.ownership import HOURS_PER_YEAR, MONTHS_PER_YEAR, Ownership

T = TypeVar("T")
SECONDS_PER_HOUR = 3600
# A billionth of a replica is a rounding of the division, not demand.
WHOLE = Decimal("1e-9")
MOST_REPLICAS = 10**7


class UnknownPriceError(ValueError):
    """A cost that no known price covers; `fix` says what to set."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fix = fix


@dataclass(frozen=True)
class YearCost:
    """What one year costs by what it is paid for, USD; capital as equal yearly payments."""

    capital_usd: Decimal = Decimal(0)
    running_usd: Decimal = Decimal(0)
    energy_usd: Decimal = Decimal(0)
    rent_usd: Decimal = Decimal(0)
    api_usd: Decimal = Decimal(0)
    egress_usd: Decimal = Decimal(0)

    @property
    def usd(self) -> Decimal:
        return sum((getattr(self, each.name) for each in fields(self)), Decimal(0))


@dataclass(frozen=True)
class OptionCost:
    """One option over the years.

    Attributes:
        owned_replicas: how many are owned; spare ones included.
        capex_usd, residual_usd: paid today, and got back at the end; 0 without a purchase.
        utilisation: share of paid accelerator hours in the first year that serve; None without accelerators.
        shares: share of the first year's output tokens by who serves them.
    """

    name: str
    years: tuple[YearCost, ...]
    owned_replicas: int = 0
    gpus: int = 0
    capex_usd: Decimal = Decimal(0)
    residual_usd: Decimal = Decimal(0)
    utilisation: Decimal | None = None
    shares: Mapping[str, Decimal] = field(default_factory=dict)

    def present_usd(self, rate: Decimal) -> Decimal:
        """Present value of what it costs; each year is paid at its end."""
        return sum((cost.usd / (1 + rate) ** year for year, cost in enumerate(self.years, start=1)), Decimal(0))

    def flows(self) -> tuple[Decimal, ...]:
        """What goes out: the purchase today, then each year's payments without capital; what is sold comes back."""
        paid = [cost.usd - cost.capital_usd for cost in self.years]
        paid[-1] -= self.residual_usd
        return (self.capex_usd, *paid)


def each_year(case: Case, cost_of: Callable[[int], T]) -> tuple[T, ...]:
    """`cost_of` for every year of the case; computed once where nothing changes over the years."""
    api = case.api.price_change if case.api else 0
    rent = case.rented.terms.price_change_per_year if case.rented else 0
    if not (case.scenario.demand.growth_per_year or api or rent):
        return (cost_of(1),) * case.years
    return tuple(cost_of(year) for year in range(1, case.years + 1))


def grown(case: Case, year: int) -> Decimal:
    """Factor on the demand in a year; the first is year 1."""
    return case.likely["demand.scale"] * (1 + case.scenario.demand.growth_per_year) ** (year - 1)


def replica_tokens(case: Case, option: str, plan: MachinePlan) -> Decimal:
    """Good output tokens that one replica makes in an hour."""
    likely = case.likely
    speed = likely.get(f"{option}.output_tokens_per_second", likely.get("rented.output_tokens_per_second"))
    if speed is None:
        raise KeyError(f"{option}.output_tokens_per_second")
    return speed * SECONDS_PER_HOUR * plan.gpus_per_replica * plan.good


def replicas_for(tokens: Decimal, each: Decimal) -> int:
    """Whole replicas that serve so many tokens of an hour.

    Raises:
        ScenarioError: they would be more than anybody has.
    """
    count = int((tokens / each - WHOLE).to_integral_value(ROUND_CEILING))
    if count > MOST_REPLICAS:
        allowed = f"it takes more than {MOST_REPLICAS} replicas; correct it, or output_tokens_per_second"
        raise ScenarioError("demand", f"{tokens:.4g} output tokens in an hour", allowed)
    return count


def ownership(case: Case, plan: OwnedPlan) -> Ownership:
    """The owned accelerator at its likeliest.

    Raises:
        ValueError: its price of an hour is given, so there is no purchase to compute with.
    """
    if plan.given:
        raise ValueError("owned.usd_per_gpu_hour is given")
    likely = case.likely
    return Ownership(
        capex_usd=likely["owned.purchase_usd"] * likely["owned.system_markup"],
        residual_share=likely["owned.residual_share"],
        rate=likely["finance.discount_rate"],
        years=case.years,
        maintenance_share=likely["owned.maintenance_share"],
        hosting_usd_per_year=likely["owned.hosting_usd_per_kw_month"] * MONTHS_PER_YEAR * plan.kw_provisioned,
        staff_usd_per_year=likely["owned.staff_usd_per_year"],
        software_usd_per_year=likely["owned.software_usd_per_year"],
        kw=likely["owned.kw"],
        pue=likely["power.pue"],
        usd_per_kwh=likely["power.usd_per_kwh"],
        availability=likely["owned.availability"],
    )


def api_option(case: Case, plan: ApiPlan) -> OptionCost:
    """Every token from the API."""

    def cost_of(year: int) -> YearCost:
        tokens = sum((point.hours * point.input_tokens for point in case.curve), Decimal(0)) * grown(case, year)
        spent = sum((api_hour_usd(case, plan, point, year) * point.hours for point in case.curve), Decimal(0))
        return YearCost(api_usd=spent, egress_usd=prompts_usd(case, plan, tokens / plan.good))

    return OptionCost("api", each_year(case, cost_of), shares={"api": Decimal(1)})


def rented_option(case: Case, plan: RentedPlan) -> OptionCost:
    """Every token from rented accelerators: max(billed hours, commitment) x price, storage, egress."""
    each = replica_tokens(case, "rented", plan)

    def hours_of(year: int) -> tuple[int, Decimal, Decimal]:
        """Replicas at the peak; accelerator hours in use; accelerator hours billed."""
        needs = [(point, replicas_for(point.output_tokens * grown(case, year), each)) for point in case.curve]
        peak = max(count for _, count in needs)
        used = sum((point.hours * count for point, count in needs), Decimal(0)) * plan.gpus_per_replica
        billed = used if plan.terms.scaling == "hourly" else Decimal(peak * HOURS_PER_YEAR * plan.gpus_per_replica)
        return peak, used, max(billed, plan.terms.commitment_gpu_hours_per_month * MONTHS_PER_YEAR)

    def cost_of(year: int) -> YearCost:
        billed = hours_of(year)[2]
        rent = billed * rent_per_hour_usd(case, plan, year) + plan.terms.storage_usd_per_month * MONTHS_PER_YEAR
        egress = answers_usd(case, "rented", plan, _tokens(case, year) / plan.good)
        return YearCost(rent_usd=rent, egress_usd=egress)

    peak, used, billed = hours_of(1)
    return OptionCost(
        "rented",
        each_year(case, cost_of),
        gpus=peak * plan.gpus_per_replica,
        utilisation=used / billed if billed else None,
        shares={"rented": Decimal(1)},
    )


def api_hour_usd(case: Case, plan: ApiPlan, point: Point, year: int) -> Decimal:
    """USD of one of these hours at the API, for good tokens alone."""
    if point.api_usd is None:
        raise UnknownPriceError("the API's price is unknown", "set api.provider and api.model")
    price = case.likely["api.price_scale"] * (1 + plan.price_change) ** (year - 1)
    return point.api_usd * grown(case, year) * price / plan.good


def rent_per_hour_usd(case: Case, plan: RentedPlan, year: int) -> Decimal:
    """Of one accelerator in a year."""
    return case.likely["rented.usd_per_gpu_hour"] * (1 + plan.terms.price_change_per_year) ** (year - 1)


def _tokens(case: Case, year: int) -> Decimal:
    return sum((point.hours * point.output_tokens for point in case.curve), Decimal(0)) * grown(case, year)


def answers_usd(case: Case, option: str, plan: MachinePlan, tokens: Decimal) -> Decimal:
    """USD of a year in which so many output tokens leave."""
    return _carried(option, plan.tariff, tokens, case.likely["network.bytes_per_output_token"])


def prompts_usd(case: Case, plan: ApiPlan, tokens: Decimal) -> Decimal:
    """USD of a year in which so many input tokens go to the API."""
    return _carried("api", plan.tariff, tokens, case.likely.get("network.bytes_per_input_token", Decimal(0)))


def _carried(option: str, tariff: Tariff | None, tokens: Decimal, bytes_per_token: Decimal) -> Decimal:
    if tariff is None:
        return Decimal(0)
    month = gigabytes(tokens / MONTHS_PER_YEAR, bytes_per_token)
    usd = tariff.usd(month)
    if usd is None:
        what = f"{month:.0f} GB of egress a month: {tariff.name} has no known price for so much"
        raise UnknownPriceError(what, f"set {option}.egress_usd_per_gb")
    return usd * MONTHS_PER_YEAR
