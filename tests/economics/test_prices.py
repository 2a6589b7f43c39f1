"""Rate cards agree with the price list request by request, and unknown stays unknown."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage as PricedUsage
from genai_prices import calc_price
from hypothesis import given, settings
from hypothesis import strategies as st

from economics.ledger import Usage
from economics.prices import input_bands, rate_card

AT = datetime(2026, 10, 1, tzinfo=UTC)
EMPTY = Usage(None, "", "", "", "", "", "client", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def band_of(input_tokens: int) -> int:
    return max([0, *(edge for edge in input_bands() if edge < input_tokens)])


def api_usd(usage: Usage, at: datetime) -> Decimal | None:
    """List price of `usage` at a time; None when the provider or model has none."""
    card = rate_card(usage.provider, usage.model, usage.input_band, at)
    return None if card is None else card.usd(usage)


def request(provider: str, model: str, n_in: int, n_cr: int, n_out: int) -> Usage:
    return replace(
        EMPTY,
        provider=provider,
        model=model,
        input_band=band_of(n_in),
        calls=1,
        input_tokens=n_in,
        cache_read_tokens=n_cr,
        output_tokens=n_out,
    )


def test_a_request_by_hand() -> None:
    # gpt-5: $1.25 in, $0.125 cached, $10 out per million: 600 k plain + 400 k cached + 200 k out = 0.75 + 0.05 + 2.00
    assert api_usd(request("openai", "gpt-5", 1_000_000, 400_000, 200_000), AT) == Decimal("2.80")


MODELS = [
    ("openai", "gpt-5"),
    ("openai", "gpt-5-nano"),
    ("google", "gemini-2.5-pro"),
    ("anthropic", "claude-sonnet-4-5"),
    ("deepseek", "deepseek-chat"),
]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(MODELS),
    st.integers(1, 400_000),
    st.integers(0, 100),
    st.integers(0, 50_000),
    st.sampled_from([AT, datetime(2025, 5, 1, 3, tzinfo=UTC), datetime(2026, 2, 1, 17, tzinfo=UTC)]),
)
def test_a_card_prices_a_request_as_the_price_list_does(
    model: tuple[str, str], n_in: int, cached_percent: int, n_out: int, at: datetime
) -> None:
    n_cr = n_in * cached_percent // 100
    theirs = calc_price(
        PricedUsage(input_tokens=n_in, cache_read_tokens=n_cr, output_tokens=n_out),
        model[1],
        provider_id=model[0],
        genai_request_timestamp=at,
    ).total_price
    assert api_usd(request(*model, n_in, n_cr, n_out), at) == theirs


def test_tiers_are_priced_per_request_not_on_the_sum() -> None:
    # gemini-2.5-pro doubles its input price above 200 k tokens of ONE request.
    small = request("google", "gemini-2.5-pro", 150_000, 0, 0)
    two = replace(small, calls=2, input_tokens=300_000)
    large = request("google", "gemini-2.5-pro", 300_000, 0, 0)
    assert small.input_band != large.input_band
    assert api_usd(two, AT) == Decimal("0.375")
    assert api_usd(large, AT) == Decimal("0.75")


def test_every_edge_separates_the_request_at_it_from_the_one_above() -> None:
    for edge in input_bands():
        assert band_of(edge) < edge
        assert band_of(edge + 1) == edge
    for lower, upper in itertools.pairwise(input_bands()):
        assert lower < upper


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai", "no-such-model"), ("vllm", "llama-3.3-70b"), ("", "gpt-5"), ("openai", ""), ("", "")],
)
def test_what_the_list_does_not_know_has_no_price(provider: str, model: str) -> None:
    assert rate_card(provider, model, 0, AT) is None
    assert api_usd(request(provider, model, 10, 0, 5), AT) is None


def test_the_conventions_names_of_providers_are_understood() -> None:
    assert rate_card("gcp.gemini", "gemini-2.5-pro", 0, AT) == rate_card("google", "gemini-2.5-pro", 0, AT)
    assert rate_card("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0", 0, AT) is not None
