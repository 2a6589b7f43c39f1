"""API prices: what a call costs by its provider's list price at the time of the call, through `genai-prices`.

Prices have tiers that reprice a whole request when its input crosses an edge. Usage is therefore stored by tier
(`input_band`); within one tier a price is linear in its token counts, so a rate card per tier prices sums exactly.
A model or provider that the price list does not know has no price: unknown, never zero.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Protocol

from genai_prices import Usage as PricedUsage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, StartDateConstraint, TieredPrices, TimeOfDateConstraint

VERSION = f"genai-prices {importlib.metadata.version('genai-prices')}"


class Counts(Protocol):
    """Calls and tokens, as the ledger and the facts count them."""

    @property
    def calls(self) -> int: ...
    @property
    def calls_without_usage(self) -> int: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def cache_read_tokens(self) -> int: ...
    @property
    def cache_write_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def reasoning_tokens(self) -> int: ...


@dataclass(frozen=True)
class RateCard:
    """USD per token of each class, for requests of one tier of one model. Cached and reasoning tokens are subsets:
    their rates are what such a token costs more (or, negative, less) than a plain input or output token."""

    per_call: Decimal
    input_token: Decimal
    cache_read_token: Decimal
    cache_write_token: Decimal
    output_token: Decimal
    reasoning_token: Decimal

    def usd(self, usage: Counts) -> Decimal:
        """Cost of `usage`, whose requests all lie in this card's tier."""
        paid_calls = usage.calls - usage.calls_without_usage
        return (
            self.per_call * paid_calls
            + self.input_token * usage.input_tokens
            + self.cache_read_token * usage.cache_read_tokens
            + self.cache_write_token * usage.cache_write_tokens
            + self.output_token * usage.output_tokens
            + self.reasoning_token * usage.reasoning_tokens
        )


def rate_card(provider: str, model: str, input_band: int, at: datetime) -> RateCard | None:
    """The card of one tier of a model at the time `at`; None when unknown.

    A provider must be named: the same open model is served by many, and by machines of one's own.
    """
    info = _find(provider, model)
    if info is None:
        return None
    return _card(_Priced(info.get_prices(at)), input_band)


def price_changes(provider: str, model: str, start: datetime, end: datetime) -> list[datetime]:
    """When within (start, end) the card of a model may change: on a date, or at a time of every day."""
    info = _find(provider, model)
    if info is None or isinstance(info.prices, ModelPrice):
        return []
    found = []
    for conditional in info.prices:
        constraint = conditional.constraint
        if isinstance(constraint, StartDateConstraint):
            found.append(datetime.combine(constraint.start_date, time(), UTC))
        elif isinstance(constraint, TimeOfDateConstraint):
            days = ((start + timedelta(days=n)).date() for n in range((end - start).days + 2))
            clocks = (constraint.start_time, constraint.end_time)
            found += [datetime.combine(day, clock).astimezone(UTC) for day in days for clock in clocks]
    return sorted({at for at in found if start < at < end})


@lru_cache(maxsize=1)
def input_bands() -> tuple[int, ...]:
    """Every edge of a price tier in the price list, in input tokens, rising."""
    edges = {
        tier.start
        for provider in get_snapshot().providers
        for model in provider.models
        for price in _all_prices(model)
        for value in vars(price).values()
        if isinstance(value, TieredPrices)
        for tier in value.tiers
    }
    return tuple(sorted(edges))


def _all_prices(model: ModelInfo) -> list[ModelPrice]:
    if isinstance(model.prices, ModelPrice):
        return [model.prices]
    return [conditional.prices for conditional in model.prices]


@lru_cache(maxsize=4096)
def _find(provider: str, model: str) -> ModelInfo | None:
    if not provider or not model:
        return None
    try:
        return get_snapshot().find_provider_model(model, None, _LIST_NAMES.get(provider, provider), None)[1]
    except LookupError:
        return None


# OpenTelemetry's provider names where the price list has another one.
_LIST_NAMES = {
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
}


class _Priced:
    """A ModelPrice that can be a cache key: the price list makes each of them once."""

    def __init__(self, price: ModelPrice) -> None:
        self.price = price

    def __hash__(self) -> int:
        return id(self.price)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Priced) and other.price is self.price


@lru_cache(maxsize=4096)
def _card(priced: _Priced, input_band: int) -> RateCard:
    """Slopes of the library's own price around a small request inside the tier."""
    base = _tier_start(priced.price, input_band) + 2

    def usd(**more: int) -> Decimal:
        counts = {"input_tokens": base, "output_tokens": 0, **more}
        return priced.price.calc_price(PricedUsage(**counts))["total_price"]

    zero = usd()
    input_token = usd(input_tokens=base + 1) - zero
    output_token = usd(output_tokens=1) - zero
    return RateCard(
        per_call=zero - input_token * base,
        input_token=input_token,
        cache_read_token=usd(cache_read_tokens=1) - zero,
        cache_write_token=usd(cache_write_tokens=1) - zero,
        output_token=output_token,
        reasoning_token=_reasoning_extra(priced, base, zero, output_token),
    )


def _tier_start(price: ModelPrice, input_band: int) -> int:
    """The start of this model's own tier for requests whose band of the whole list is `input_band`."""
    starts = (tier.start for value in vars(price).values() if isinstance(value, TieredPrices) for tier in value.tiers)
    return max((start for start in starts if start <= input_band), default=0)


def _reasoning_extra(priced: _Priced, base: int, zero: Decimal, output_token: Decimal) -> Decimal:
    counts = PricedUsage(input_tokens=base, output_tokens=1, output_reasoning_tokens=1)
    return priced.price.calc_price(counts)["total_price"] - zero - output_token
