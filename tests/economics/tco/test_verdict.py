"""The verdict on a claimed ratio, and what R is."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from economics.tco.verdict import Verdict, cost_ratio, judge_claim


@pytest.mark.parametrize(
    ("probability", "verdict"),
    [
        (1.0, Verdict.SUPPORTED),
        (0.5, Verdict.SUPPORTED),
        (0.4999, Verdict.POSSIBLE),
        (0.1, Verdict.POSSIBLE),
        (0.0999, Verdict.NOT_SUPPORTED),
        (0.0, Verdict.NOT_SUPPORTED),
        (None, Verdict.NOT_JUDGED),
    ],
)
def test_supported_from_one_half_possible_from_a_tenth(probability: float | None, verdict: Verdict) -> None:
    assert judge_claim(probability) is verdict


def test_the_ratio_of_workloads_is_the_ratio_of_their_sums() -> None:
    # $10 against $1 and $100 against $1000: the mean of the ratios is 5.05, but 110 / 1001 is 0.11.
    ratio = cost_ratio([Decimal(10), Decimal(100)], [Decimal(1), Decimal(1000)])
    assert ratio == Decimal(110) / 1001


def test_nothing_costs_nothing_has_no_ratio() -> None:
    assert cost_ratio([Decimal(1)], [Decimal(0)]) is None


@given(
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 10**6)), min_size=1, max_size=10),
    st.integers(1, 10**6),
)
def test_the_currency_does_not_matter(pairs: list[tuple[int, int]], factor: int) -> None:
    baseline, other = [Decimal(a) for a, _ in pairs], [Decimal(b) for _, b in pairs]
    scaled = cost_ratio([a * factor for a in baseline], [b * factor for b in other])
    assert scaled == pytest.approx(cost_ratio(baseline, other), rel=Decimal("1e-20"))
