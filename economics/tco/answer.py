"""What the calculator answers: frozen, typed, ready to become JSON. Money is USD; None is unknown or not defined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from economics.tco.case import Assumption, Missing
from economics.tco.cashflow import Returns
from economics.tco.compare import YearCost
from economics.tco.service import Refusal
from economics.tco.simulate import Simulated
from economics.tco.verdict import Verdict


@dataclass(frozen=True)
class Bin:
    """Hours whose output tokens lie above the edge before, up to `upto_tokens`."""

    upto_tokens: int
    hours: Decimal


@dataclass(frozen=True)
class DemandAnswer:
    """What was asked for, as it was measured or written: before `demand.scale` and growth.

    Attributes:
        coverage: share of the window's hours that are known: Andon watched for nine tenths of their minutes.
        base_tokens: output tokens of the quietest hour, 95 % of the hours asked for more: the base load.
    """

    source: str
    model: str
    window_start: datetime | None
    window_end: datetime | None
    hours: Decimal
    unknown_hours: int
    coverage: Decimal | None
    vantage: tuple[str, ...]
    calls: Decimal
    calls_without_usage: Decimal
    input_tokens_per_month: Decimal
    cached_input_tokens_per_month: Decimal
    output_tokens_per_month: Decimal
    mean_tokens: Decimal
    base_tokens: int
    peak_tokens: int
    histogram: tuple[Bin, ...]
    other_models: Mapping[str, int]


@dataclass(frozen=True)
class OptionAnswer:
    """What one option costs. Rates are of the first year; the present value is over all years.

    Attributes:
        egress_share: of the first year's cost; None where a price of egress is not known.
        compared: whether it gives the service that is required; if not, `refusals` say why.
        usd_per_mtok_output: all cost on output tokens, "output-loaded".
        left_out: parts of its cost that are not known and not in it.
    """

    name: str
    compared: bool
    refusals: tuple[Refusal, ...]
    usd_per_month: Decimal
    present_usd: Decimal
    usd_per_mtok_blended: Decimal | None
    usd_per_mtok_output: Decimal | None
    parts_per_month: YearCost
    egress_share: Decimal | None
    gpus: int
    owned_replicas: int
    utilisation: Decimal | None
    shares: Mapping[str, Decimal]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """One option against the baseline.

    Attributes:
        cost_ratio: R = present value of the baseline's cost over that of the option's.
        saved_share: 1 - 1 / R.
        returns: of what is invested; None where nothing is bought.
        text: the verdict on the claimed ratio, in words.
    """

    option: str
    baseline: str
    cost_ratio: Decimal | None
    saved_share: Decimal | None
    returns: Returns | None
    simulated: Simulated | None
    claimed_ratio: Decimal
    verdict: Verdict
    text: str


@dataclass(frozen=True)
class BreakEvenUtilisation:
    """From which share of a year's hours in use owning one accelerator is cheaper than renting it there."""

    against: str
    usd_per_gpu_hour: Decimal
    utilisation: Decimal | None
    as_of: str


@dataclass(frozen=True)
class OwnedRate:
    """An hour of an owned accelerator that serves in all of them, and its parts, USD."""

    usd_per_gpu_hour: Decimal
    fixed_usd_per_hour: Decimal
    variable_usd_per_hour: Decimal


@dataclass(frozen=True)
class BreakEvenTokens:
    """Tokens a month (input and output) from which the owned fleet is cheaper than the API, and what it can make."""

    tokens_per_month: Decimal | None
    capacity_per_month: Decimal
    wanted_per_month: Decimal


@dataclass(frozen=True)
class TcoAnswer:
    """Everything, with what it rests on."""

    name: str
    now: datetime
    baseline: str
    basis: str
    price_version: str
    facts_taken: str
    years: int
    demand: DemandAnswer
    options: tuple[OptionAnswer, ...]
    comparisons: tuple[Comparison, ...]
    owned_rate: OwnedRate | None
    break_even_utilisation: tuple[BreakEvenUtilisation, ...]
    break_even_tokens: BreakEvenTokens | None
    missing: tuple[Missing, ...]
    refusals: tuple[Refusal, ...]
    assumptions: tuple[Assumption, ...]
