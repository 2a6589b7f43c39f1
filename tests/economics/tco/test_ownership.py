"""$/GPU-h of what is owned, and the points from which it pays; worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from economics.tco.ownership import (
    Ownership,
    break_even_tokens_per_month,
    break_even_utilisation,
    capital_recovery_factor,
)

# An H100 at $37 500 with its system: 4 years at 10 %, a tenth left, 5 % maintenance, 1.73 kW hosted at $60 a month.
H100 = Ownership(
    capex_usd=Decimal(37_500),
    residual_share=Decimal("0.1"),
    rate=Decimal("0.1"),
    years=4,
    maintenance_share=Decimal("0.05"),
    hosting_usd_per_year=Decimal(60) * 12 * Decimal("1.73"),
    staff_usd_per_year=Decimal(0),
    software_usd_per_year=Decimal(0),
    kw=Decimal("1.18"),
    pue=Decimal("1.25"),
    usd_per_kwh=Decimal("0.0929"),
    availability=Decimal("0.98"),
)


def near(value: float) -> object:
    return pytest.approx(Decimal(str(value)), rel=Decimal("1e-4"))


def test_the_capital_recovery_factor_by_hand() -> None:
    # 0.1 x 1.1^4 / (1.1^4 - 1) = 0.14641 / 0.4641
    assert capital_recovery_factor(Decimal("0.1"), 4) == near(0.315471)
    assert capital_recovery_factor(Decimal(0), 4) == Decimal("0.25")
    assert capital_recovery_factor(Decimal("0.1"), 1) == Decimal("1.1")


def test_an_hour_of_an_owned_accelerator_by_hand() -> None:
    # (37 500 - 3 750 / 1.4641) x 0.315471 = 11 022.14; maintenance 1 875; hosting 1 245.60; energy 1.18 x 1.25 x 0.0929
    # = 0.13703 an hour, 1 200.35 a year: 15 343.09 / 8760 / 0.98
    assert H100.capital_usd_per_year == near(11_022.14)
    assert H100.fixed_usd_per_year == near(14_142.74)
    assert H100.variable_usd_per_hour == near(0.1370275)
    assert H100.usd_per_gpu_hour == near(1.787239)


@pytest.mark.parametrize(("rent", "share"), [("6.88", 0.2394), ("3.99", 0.4190), ("2.69", 0.6324)])
def test_break_even_utilisation_by_hand(rent: str, share: float) -> None:
    # 14 142.74 / (8760 x (rent - 0.13703))
    found = break_even_utilisation(H100.fixed_usd_per_year, H100.variable_usd_per_hour, Decimal(rent))
    assert found == pytest.approx(Decimal(str(share)), abs=Decimal("1e-4"))


def test_owning_never_pays_against_a_rent_below_its_own_energy() -> None:
    assert break_even_utilisation(Decimal(1), Decimal("0.2"), Decimal("0.2")) is None


def test_break_even_tokens_by_hand() -> None:
    # $10 000 a month fixed; the API takes $0.60 a million, energy and egress $0.10: 10 000 / 0.50 million
    found = break_even_tokens_per_month(Decimal(10_000), Decimal("0.60"), Decimal("0.10"))
    assert found == Decimal(20_000_000_000)
    assert break_even_tokens_per_month(Decimal(10_000), Decimal("0.10"), Decimal("0.10")) is None


def test_availability_makes_an_hour_dearer_by_its_inverse() -> None:
    always = replace(H100, availability=Decimal(1))
    assert H100.usd_per_gpu_hour * Decimal("0.98") == pytest.approx(always.usd_per_gpu_hour)


@given(
    capex=st.integers(1, 10**6),
    residual=st.decimals(0, 1, places=2),
    rate=st.decimals(0, 1, places=3),
    years=st.integers(1, 15),
)
def test_yearly_payments_are_worth_the_price_less_what_is_sold(
    capex: int, residual: Decimal, rate: Decimal, years: int
) -> None:
    owned = replace(H100, capex_usd=Decimal(capex), residual_share=residual, rate=rate, years=years)
    paid = sum((owned.capital_usd_per_year / (1 + rate) ** year for year in range(1, years + 1)), Decimal(0))
    worth = capex - owned.residual_usd / (1 + rate) ** years
    assert paid == pytest.approx(worth, rel=Decimal("1e-15"), abs=Decimal("1e-15"))


@given(
    fixed=st.decimals(1, 10**6, places=2),
    variable=st.decimals(0, 1, places=3),
    rent=st.decimals("1.001", 50, places=3),
)
def test_at_break_even_owning_and_renting_cost_the_same(fixed: Decimal, variable: Decimal, rent: Decimal) -> None:
    share = break_even_utilisation(fixed, variable, rent)
    assert share is not None
    assert fixed + variable * share * 8760 == pytest.approx(rent * share * 8760, rel=Decimal("1e-15"))
