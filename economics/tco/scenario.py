"""What is compared, as a person writes it: a TOML file or the JSON body of `POST /api/v1/tco`.

Everything may be left out: `terms` and `prefill` fill in facts and measurements with their source, and name what is
missing. Field descriptions are what `docs/tco.md` prints.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from economics.tco.spread import Distribution, Spread, Uncertain

OptionName = Literal["api", "rented", "owned"]
Growth = Annotated[Decimal, Field(gt=-1, le=10)]
MOST_TOKENS = 10**13  # in one hour


def _bounded(above: Decimal | None, least: Decimal, most: Decimal | None) -> Callable[[Spread], Spread]:
    def check(spread: Spread) -> Spread:
        if above is not None and spread.low <= above:
            raise ValueError(f"{spread.low} must be above {above}")
        if spread.low < least:
            raise ValueError(f"{spread.low} must be at least {least}")
        if most is not None and spread.high > most:
            raise ValueError(f"{spread.high} must be at most {most}")
        return spread

    return check


Positive = Annotated[Uncertain, AfterValidator(_bounded(Decimal(0), Decimal(0), None))]
NotNegative = Annotated[Uncertain, AfterValidator(_bounded(None, Decimal(0), None))]
Share = Annotated[Uncertain, AfterValidator(_bounded(None, Decimal(0), Decimal(1)))]
PositiveShare = Annotated[Uncertain, AfterValidator(_bounded(Decimal(0), Decimal(0), Decimal(1)))]
AtLeastOne = Annotated[Uncertain, AfterValidator(_bounded(None, Decimal(1), None))]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Level(_Part):
    """So many hours in which the same was asked for."""

    hours: Decimal = Field(ge=Decimal("0.001"), le=10**6, description="how many hours were like this")
    output_tokens: int = Field(ge=0, le=MOST_TOKENS, description="output tokens in each of them, reasoning included")
    input_tokens: int = Field(0, ge=0, le=MOST_TOKENS, description="input tokens in each, those from a cache included")
    cached_input_tokens: int = Field(0, ge=0, description="of the input: read from a cache")
    calls: int | None = Field(
        None, ge=1, description="calls in each hour: they decide the price tier; left out: the lowest"
    )

    @model_validator(mode="after")
    def _cached_is_a_part(self) -> Level:
        if self.cached_input_tokens > self.input_tokens:
            raise ValueError(
                f"cached_input_tokens = {self.cached_input_tokens} is a part of input_tokens = {self.input_tokens}"
            )
        return self


class DemandTerms(_Part):
    """How many tokens are wanted, hour by hour."""

    days: int = Field(30, ge=1, le=730, description="measured demand: whole hours of the last so many days")
    model: str | None = Field(None, description="measured demand of this model; left out: of the one with most output")
    project: str | None = Field(None, description="measured demand of this project alone")
    levels: tuple[Level, ...] = Field(
        (), max_length=17_568, description="a histogram of hours, not the measured demand"
    )
    scale: Positive = Field(Spread.sure(1), description="factor on all tokens")
    growth_per_year: Growth = Field(Decimal(0), description="growth of the tokens each year: 0.5 is half as much again")


class Required(_Part):
    """The service that every option must give, or it is not compared."""

    model: str | None = Field(None, description="model whose answers are good enough")
    equivalent_models: tuple[str, ...] = Field((), description="models that were found to be as good")
    equivalence: str | None = Field(None, description="how that was found: the evaluation and its date")
    context_tokens: int | None = Field(None, gt=0, description="context that requests need")
    time_to_first_token_seconds: Decimal | None = Field(None, gt=0, description="95th percentile, at most")
    time_per_output_token_seconds: Decimal | None = Field(None, gt=0, description="95th percentile, at most")

    @model_validator(mode="after")
    def _equivalence_is_found(self) -> Required:
        if self.equivalent_models and not self.equivalence:
            raise ValueError(
                "equivalent_models needs equivalence: the evaluation that found them as good, and its date"
            )
        return self


class Delivered(_Part):
    """What an option gives."""

    model: str | None = Field(None, description="model that answers")
    context_tokens: int | None = Field(None, gt=0, description="longest context")
    time_to_first_token_seconds: Decimal | None = Field(None, gt=0, description="95th percentile")
    time_per_output_token_seconds: Decimal | None = Field(None, gt=0, description="95th percentile")
    good_share: Decimal | None = Field(
        None,
        ge=Decimal("0.001"),
        le=1,
        description="share of its tokens in requests that succeed within the SLO",
    )


class ApiTerms(_Part):
    """An API, by its list price or prices of one's own."""

    provider: str | None = Field(None, description="provider, as in gen_ai.provider.name: for its list price")
    model: str | None = Field(None, description="model of the list price")
    usd_per_mtok_input: Decimal | None = Field(None, ge=0, le=10**6, description="own price, USD per million input")
    usd_per_mtok_cached_input: Decimal | None = Field(
        None, ge=0, le=10**6, description="own price of cached input; left out: as input"
    )
    usd_per_mtok_output: Decimal | None = Field(None, ge=0, le=10**6, description="own price, USD per million output")
    price_scale: NotNegative = Field(Spread.sure(1), description="factor on all prices: 0.8 is a fifth off")
    price_change_per_year: Growth = Field(Decimal(0), description="-0.5: half as dear each year")
    egress: str | None = Field(None, description="tariff by which prompts leave the application's cloud")
    egress_usd_per_gb: Decimal | None = Field(None, ge=0, le=10**6, description="or a price of one's own")
    service: Delivered = Delivered()

    @model_validator(mode="after")
    def _prices_are_whole(self) -> ApiTerms:
        if (self.usd_per_mtok_input is None) != (self.usd_per_mtok_output is None):
            raise ValueError("give usd_per_mtok_input and usd_per_mtok_output together, or neither")
        return self


class MachineTerms(_Part):
    """What rented and owned accelerators have in common."""

    accelerator: str | None = Field(None, description="accelerator, such as H100")
    output_tokens_per_second: Positive | None = Field(
        None,
        description="sustained output tokens per second of ONE accelerator, at the SLO and with the demand's input",
    )
    gpus_per_replica: int = Field(1, ge=1, le=10**5, description="accelerators that serve together, all roles counted")
    egress: str | None = Field(None, description="tariff by which answers leave: AWS, Azure, GCP premium, Lambda, ...")
    egress_usd_per_gb: Decimal | None = Field(None, ge=0, le=10**6, description="or a price of one's own")
    service: Delivered = Delivered()


class RentedTerms(MachineTerms):
    """Accelerators rented by the hour."""

    provider: str | None = Field(None, description="provider, for its list price")
    kind: str = Field("on_demand", description="kind of list price: on_demand, spot, capacity_block, rental_3y")
    usd_per_gpu_hour: Positive | None = Field(
        None, description="own price, USD for one accelerator and hour; left out: list price of provider and kind"
    )
    price_change_per_year: Growth = Field(Decimal(0), description="-0.2: a fifth cheaper each year")
    scaling: Literal["hourly", "fixed"] = Field(
        "hourly", description="hourly: each hour bills the replicas it needs; fixed: the peak's replicas, always"
    )
    commitment_gpu_hours_per_month: Decimal = Field(Decimal(0), ge=0, le=10**10, description="billed at least")
    storage_usd_per_month: Decimal = Field(Decimal(0), ge=0, le=10**12, description="disks and images")


class OwnedTerms(MachineTerms):
    """Accelerators of one's own."""

    usd_per_gpu_hour: Positive | None = Field(
        None, description="own figure, everything included; left out: by the formula"
    )
    purchase_usd: Positive | None = Field(None, description="price of one bare accelerator; left out: of the facts")
    system_markup: AtLeastOne | None = Field(None, description="factor for server, network, storage and racks")
    kw: Positive | None = Field(
        None,
        description="average draw of one while it serves, with its share of the host; left out: kw_provisioned / pue",
    )
    kw_provisioned: Decimal | None = Field(
        None, gt=0, le=10**6, description="utility power that is provisioned for one; left out: of the facts"
    )
    idle_power_share: Share = Field(Spread.sure(0), description="draw while idle, as a share of kw")
    hosting_usd_per_kw_month: NotNegative | None = Field(None, description="rent of a place, per provisioned kW")
    maintenance_share: Share | None = Field(None, description="of the purchase, each year")
    staff_usd_per_year: NotNegative | None = Field(None, description="people, for one accelerator")
    software_usd_per_year: NotNegative | None = Field(None, description="licences, for one accelerator")
    availability: PositiveShare | None = Field(None, description="share of the hours in which one can serve")
    residual_share: Share | None = Field(None, description="of the purchase, what it is sold for at the end")
    spare_replicas: int = Field(0, ge=0, le=10**6, description="replicas that stand by")


class PowerTerms(_Part):
    """Electricity of what is owned."""

    region: str = Field("US average, industrial", description="whose price of electricity")
    usd_per_kwh: NotNegative | None = Field(None, description="own price")
    facility: str = Field("liquid-cooled AI hall (design)", description="whose power usage effectiveness")
    pue: AtLeastOne | None = Field(None, description="own power usage effectiveness")


class NetworkTerms(_Part):
    """Bytes of tokens on their way."""

    transport: Literal["sse", "unary"] = Field("sse", description="answers streamed token by token, or in one piece")
    bytes_per_output_token: NotNegative | None = Field(
        None, description="own measurement; left out: 217 for sse, 6.6 for unary"
    )
    bytes_per_input_token: NotNegative | None = Field(
        None, description="of prompts that go to an API; left out: their egress is not in the cost"
    )


class FinanceTerms(_Part):
    """Time and interest."""

    years: int | None = Field(None, ge=1, le=15, description="life of what is owned, and horizon of the comparison")
    discount_rate: Annotated[Uncertain, AfterValidator(_bounded(None, Decimal(0), Decimal(1)))] | None = Field(
        None, description="what capital costs, a year: 0.1 is 10 %"
    )


class SimulationTerms(_Part):
    """How uncertainty is counted."""

    seed: int = Field(0, ge=0, lt=2**63, description="the same seed gives the same answer")
    draws: int = Field(10_000, ge=100, le=20_000, description="how many")
    distribution: Distribution = Field("pert", description="between low, likely and high")
    claimed_ratio: Decimal = Field(Decimal(3), gt=0, le=10**6, description="the cost ratio that is claimed: 3 for 3:1")


class Scenario(_Part):
    """The whole question."""

    name: str = Field("", max_length=200, description="shown with the answer")
    baseline: OptionName = Field("api", description="what the others are compared with")
    demand: DemandTerms = DemandTerms()
    service: Required = Required()
    api: ApiTerms | None = None
    rented: RentedTerms | None = None
    owned: OwnedTerms | None = None
    power: PowerTerms = PowerTerms()
    network: NetworkTerms = NetworkTerms()
    finance: FinanceTerms = FinanceTerms()
    simulation: SimulationTerms = SimulationTerms()
