"""Hours of demand at an API's price: its list price, or prices of the scenario's own."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from economics import prices
from economics.tco.demand import Hours
from economics.tco.scenario import ApiTerms

MILLION = Decimal(10**6)


def api_usd(level: Hours, api: ApiTerms, at: datetime) -> Decimal | None:
    """One of these hours at the API's price, USD, request tier by request tier; None when a price is unknown."""
    total = Decimal(0)
    for usage in level.usages:
        card = own_card(api) or prices.rate_card(api.provider or "", api.model or "", usage.input_band, at)
        if card is None:
            return None
        total += card.usd(usage)
    return total


def own_card(api: ApiTerms) -> prices.RateCard | None:
    """The card of the scenario's own prices; None when it gives none."""
    if api.usd_per_mtok_input is None or api.usd_per_mtok_output is None:
        return None
    plain = api.usd_per_mtok_input
    cached = plain if api.usd_per_mtok_cached_input is None else api.usd_per_mtok_cached_input
    return prices.RateCard(
        per_call=Decimal(0),
        input_token=plain / MILLION,
        cache_read_token=(cached - plain) / MILLION,
        cache_write_token=Decimal(0),
        output_token=api.usd_per_mtok_output / MILLION,
        reasoning_token=Decimal(0),
    )
