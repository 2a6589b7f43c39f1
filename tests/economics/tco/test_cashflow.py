"""Flows of money: net present value, payback, rate of return; worked out by hand, and their identities."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from economics.tco.cashflow import irr, judge_flows, npv, payback_years

TENTH = Decimal("0.1")


def flows(*values: int | str) -> list[Decimal]:
    return [Decimal(value) for value in values]


def test_net_present_value_by_hand() -> None:
    # -1000 + 550 / 1.1 + 605 / 1.21 = 0
    assert npv(flows(-1000, 550, 605), TENTH) == 0
    assert npv(flows(-1000, 550, 605), Decimal(0)) == 155


def test_payback_lies_within_the_year_that_pays() -> None:
    # 600 are left after a year, of 800 in the next: 1.75 years; at 10 %: 1000 - 363.64 = 636.36 of 661.16
    found = flows(-1000, 400, 800)
    assert payback_years(found) == Decimal("1.75")
    discounted = payback_years(found, TENTH)
    assert discounted is not None
    assert discounted == pytest.approx(Decimal("1.9625"), rel=Decimal("1e-4"))


def test_what_never_pays_back_has_no_payback() -> None:
    assert payback_years(flows(-1000, 100, 100)) is None
    assert payback_years(flows(0, 5)) == 0


def test_rate_of_return_by_hand() -> None:
    # 1000 x 1.1^2 = 1210; 1000 grows to 4 times in 2 years at 100 %
    assert irr(flows(-1000, 0, 1210)) == pytest.approx(TENTH, rel=Decimal("1e-9"))
    assert irr(flows(-1000, 0, 4000)) == pytest.approx(Decimal(1), rel=Decimal("1e-9"))
    assert irr(flows(-1000, 500)) == pytest.approx(Decimal("-0.5"), rel=Decimal("1e-9"))


def test_no_or_several_rates_are_no_rate() -> None:
    assert irr(flows(100, 100)) is None  # nothing is invested
    assert irr(flows(-100, -1)) is None  # nothing comes back
    assert irr(flows(-100, 230, -132)) is None  # 10 % and 20 % both make it 0


def test_a_benefit_cost_ratio_of_three_is_a_return_of_two_hundred_percent() -> None:
    # 1100 after a year are 1000 now, 2420 after two are 2000: 3000 for an investment of 1000
    found = judge_flows(flows(-1000, 1100, 2420), TENTH)
    assert (found.investment_usd, found.npv_usd) == (1000, 2000)
    assert (found.benefit_cost_ratio, found.roi) == (3, 2)


@given(st.integers(1, 10**6), st.lists(st.integers(0, 10**6), min_size=1, max_size=15))
def test_at_the_rate_of_return_nothing_is_left(invested: int, later: list[int]) -> None:
    assume(any(later))
    found = flows(-invested, *later)
    rate = irr(found)
    assume(rate is not None)
    assert rate is not None
    assert npv(found, rate) == pytest.approx(Decimal(0), abs=Decimal("1e-4") * max(invested, *later))


@given(st.integers(1, 10**6), st.lists(st.integers(0, 10**6), min_size=1, max_size=15), st.decimals(0, 1, places=2))
def test_discounting_never_pays_back_sooner(invested: int, later: list[int], rate: Decimal) -> None:
    found = flows(-invested, *later)
    simple, discounted = payback_years(found), payback_years(found, rate)
    assert discounted is None or (simple is not None and simple <= discounted)


@given(st.integers(1, 10**6), st.lists(st.integers(0, 10**6), min_size=1, max_size=15), st.decimals(0, 1, places=2))
def test_it_pays_back_exactly_when_its_value_is_not_negative(invested: int, later: list[int], rate: Decimal) -> None:
    found = flows(-invested, *later)
    assert (payback_years(found, rate) is not None) == (npv(found, rate) >= 0)
