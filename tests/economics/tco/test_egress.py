"""Egress by tiers: each byte at the price of the tier it falls in, over a month."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from economics.tco.egress import Tariff, gigabytes
from economics.tco.facts import fact_book

AWS = fact_book().tariff("AWS")


@pytest.mark.parametrize(
    ("month_gb", "usd"),
    [
        (0, "0"),
        (100, "0"),  # free
        (101, "0.09"),
        (10_240, "912.60"),  # 10 140 x 0.09
        (51_200, "4394.20"),  # and 40 960 x 0.085
        (153_600, "11562.20"),  # and 102 400 x 0.07
        (200_000, "13882.20"),  # and 46 400 x 0.05
    ],
)
def test_a_month_on_aws_by_hand(month_gb: int, usd: str) -> None:
    assert AWS.usd(Decimal(month_gb)) == Decimal(usd)


def test_streaming_a_million_tokens_costs_two_cents_and_unary_a_thirtieth() -> None:
    # 217 B a token: 0.217 GB at $0.09; 6.6 B: 0.0066 GB
    at = Tariff.flat("x", Decimal("0.09"))
    assert at.usd(gigabytes(Decimal(10**6), Decimal(217))) == Decimal("0.01953")
    assert at.usd(gigabytes(Decimal(10**6), Decimal("6.6"))) == Decimal("0.000594")


def test_beyond_the_last_known_tier_the_price_is_unknown() -> None:
    standard = fact_book().tariff("GCP standard")
    assert standard.usd(Decimal(10_240)) == Decimal("870.40")
    assert standard.usd(Decimal(10_241)) is None


@pytest.mark.parametrize("tariff", fact_book().egress.values(), ids=lambda tariff: tariff.name)
def test_known_tariffs_have_no_holes(tariff: Tariff) -> None:
    assert tariff.tiers[0].from_gb == 0
    assert [tier.to_gb for tier in tariff.tiers[:-1]] == [tier.from_gb for tier in tariff.tiers[1:]]


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_month_is_the_sum_of_its_parts_each_begun_where_the_last_ended(first: int, more: int) -> None:
    whole, before = AWS.usd(Decimal(first + more)), AWS.usd(Decimal(first))
    assert whole is not None
    assert before is not None
    parts = sum(
        (
            max(
                Decimal(0),
                min(Decimal(first + more), tier.to_gb or Decimal(first + more)) - max(Decimal(first), tier.from_gb),
            )
            * tier.usd_per_gb
            for tier in AWS.tiers
        ),
        Decimal(0),
    )
    assert whole == before + parts


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_never_costs_less_nor_more_than_the_dearest_tier(first: int, more: int) -> None:
    one, both = AWS.usd(Decimal(first)), AWS.usd(Decimal(first + more))
    assert one is not None
    assert both is not None
    assert one <= both <= one + more * Decimal("0.09")


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_floats_say_the_same(months: list[int]) -> None:
    exact = [float(AWS.usd(Decimal(gb)) or 0) for gb in months]
    assert AWS.usd_of(np.array(months, dtype=float)).tolist() == pytest.approx(exact)
