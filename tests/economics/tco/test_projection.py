"""Floats and `Decimal` say the same, and the base load of a hybrid is the cheapest of all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from economics.tco.case import Case
from economics.tco.cashflow import npv
from economics.tco.compare import OptionCost, api_option, rented_option
from economics.tco.hybrid import base_load
from economics.tco.mixture import hybrid_option, owned_option
from economics.tco.projection import Columns, Projection
from economics.tco.simulate import MOST_COLUMNS
from economics.tco.spread import Floats
from tests.economics.tco.cases import case


def prices() -> st.SearchStrategy[Decimal]:
    return st.decimals("0.01", 50, places=2)


@st.composite
def cases(draw: Callable[..., Any]) -> Case:
    levels = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "hours": st.integers(1, 400),
                    "output_tokens": st.integers(1, 60_000_000),
                    "input_tokens": st.integers(0, 60_000_000),
                }
            ),
            min_size=1,
            max_size=8,
        )
    )
    return case(
        demand__levels=levels,
        demand__scale=draw(st.decimals("0.01", 2, places=2)),
        demand__growth_per_year=draw(st.sampled_from([Decimal(0), Decimal("0.5"), Decimal("-0.2")])),
        api__usd_per_mtok_output=draw(prices()),
        api__usd_per_mtok_input=draw(prices()),
        api__price_change_per_year=draw(st.sampled_from([Decimal(0), Decimal("-0.3")])),
        api__egress_usd_per_gb=draw(prices()),
        rented__usd_per_gpu_hour=draw(prices()),
        rented__output_tokens_per_second=draw(st.integers(500, 5000)),
        rented__gpus_per_replica=draw(st.integers(1, 8)),
        rented__scaling=draw(st.sampled_from(["hourly", "fixed"])),
        rented__commitment_gpu_hours_per_month=draw(st.integers(0, 5000)),
        rented__storage_usd_per_month=draw(st.integers(0, 500)),
        rented__egress_usd_per_gb=None,
        rented__egress="AWS",
        rented__service__good_share=draw(st.decimals("0.5", 1, places=2)),
        owned__purchase_usd=draw(st.integers(1000, 60_000)),
        owned__kw="1.2",
        owned__idle_power_share=draw(st.decimals(0, 1, places=1)),
        owned__maintenance_share="0.05",
        owned__hosting_usd_per_kw_month=60,
        owned__availability="0.98",
        owned__output_tokens_per_second=draw(st.integers(500, 5000)),
        owned__spare_replicas=draw(st.integers(0, 2)),
        power__usd_per_kwh="0.0929",
        power__pue="1.25",
        network__bytes_per_output_token=217,
        network__bytes_per_input_token=4,
        finance__discount_rate=draw(st.sampled_from([Decimal(0), Decimal("0.1")])),
        finance__years=draw(st.integers(1, 5)),
    )


def likely(found: Case, rows: int = 1) -> dict[str, Floats]:
    return {name: np.full(rows, float(value)) for name, value in found.likely.items()}


def in_decimal(found: Case, name: str, base: int) -> OptionCost:
    assert found.api is not None
    assert found.rented is not None
    assert found.owned is not None
    options = {
        "api": lambda: api_option(found, found.api),  # type: ignore[arg-type]
        "rented": lambda: rented_option(found, found.rented),  # type: ignore[arg-type]
        "owned": lambda: owned_option(found, found.owned),  # type: ignore[arg-type]
        "hybrid": lambda: hybrid_option(found, base),
    }
    return options[name]()


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(0, 5))
@pytest.mark.parametrize("name", ["api", "rented", "owned", "hybrid"])
def test_both_models_say_the_same(name: str, found: Case, base: int) -> None:
    exact = in_decimal(found, name, base).present_usd(found.likely["finance.discount_rate"])
    floats = Projection(found).option(name, likely(found), float(base))
    assert floats[0] == pytest.approx(float(exact), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(cases(), st.integers(0, 5))
def test_the_value_of_an_investment_is_the_difference_of_what_both_cost(found: Case, base: int) -> None:
    rate = found.likely["finance.discount_rate"]
    baseline = in_decimal(found, "api", base)
    for name in ("owned", "hybrid"):
        cost = in_decimal(found, name, base)
        flows = [before - after for before, after in zip(baseline.flows(), cost.flows(), strict=True)]
        saved = baseline.present_usd(rate) - cost.present_usd(rate)
        assert npv(flows, rate) == pytest.approx(saved, rel=Decimal("1e-15"), abs=Decimal("1e-9"))


@settings(max_examples=30, deadline=None)
@given(cases(), st.sampled_from([(), ("api",), ("rented",)]))
def test_the_base_load_is_the_cheapest_of_all(found: Case, without: tuple[str, ...]) -> None:
    found = replace(found, **dict.fromkeys(without, None))
    chosen = base_load(found)
    rate = found.likely["finance.discount_rate"]
    most = int(Projection(found).most_replicas(likely(found))[0])
    best = hybrid_option(found, chosen).present_usd(rate)
    for other in {0, chosen - 1, chosen + 1, most // 3, most // 2, most}:
        if 0 <= other <= most:
            assert best <= hybrid_option(found, other).present_usd(rate) * (1 + Decimal("1e-9"))


@settings(max_examples=30, deadline=None)
@given(cases(), st.integers(1, 1000))
def test_a_ratio_does_not_depend_on_the_currency(found: Case, factor: int) -> None:
    priced = (
        "api.price_scale",
        "rented.usd_per_gpu_hour",
        "owned.purchase_usd",
        "owned.hosting_usd_per_kw_month",
        "power.usd_per_kwh",
    )
    # Egress and storage are prices too, but no inputs that can be scaled here: they are left out.
    free = case_without_egress(found)
    dear = {name: value * factor if name in priced else value for name, value in likely(free).items()}
    projection = Projection(free)
    for name in ("rented", "owned", "hybrid"):
        ratio = projection.option("api", likely(free)) / projection.option(name, likely(free), 1.0)
        scaled = projection.option("api", dear) / projection.option(name, dear, 1.0)
        assert scaled[0] == pytest.approx(ratio[0], rel=1e-9)


def case_without_egress(found: Case) -> Case:
    assert found.api is not None
    assert found.rented is not None
    assert found.owned is not None
    terms = found.rented.terms.model_copy(update={"storage_usd_per_month": Decimal(0)})
    return replace(
        found,
        api=replace(found.api, tariff=None),
        rented=replace(found.rented, tariff=None, terms=terms),
        owned=replace(found.owned, tariff=None),
    )


def test_a_hybrid_without_api_rounds_up_to_whole_replicas() -> None:
    # One owned; in a quarter of the hours half of a rented one is needed, and a whole one is paid.
    levels = [{"hours": 3, "output_tokens": 3_600_000}, {"hours": 1, "output_tokens": 5_400_000}]
    found = replace(case(demand__levels=levels), api=None)
    assert hybrid_option(found, 1).years[0].usd == 8760 + 2190 * 2


def test_the_rest_of_an_hour_goes_to_the_api_where_that_is_cheaper() -> None:
    # Of the 1.8 M tokens above, a rented accelerator costs $2 and the API at $1 a million $1.80.
    levels = [{"hours": 3, "output_tokens": 3_600_000}, {"hours": 1, "output_tokens": 5_400_000}]
    found = hybrid_option(case(demand__levels=levels, api__usd_per_mtok_output=1), 1).years[0]
    assert (found.capital_usd, found.rent_usd, found.api_usd) == (8760, 0, Decimal("1.8") * 2190)


def test_a_large_fleet_is_searched_coarsely_and_then_closely() -> None:
    # 5000 replicas in a third of the hours, 1000 in the others. Owned at $1 against $2: what is in use for less than
    # half of the hours is rented.
    levels = [{"hours": 2, "output_tokens": 3_600_000_000}, {"hours": 1, "output_tokens": 18_000_000_000}]
    assert base_load(case(demand__levels=levels)) == 1000


def test_joined_columns_keep_hours_tokens_and_the_peak() -> None:
    levels = [{"hours": hour % 3 + 1, "output_tokens": 1000 * hour, "input_tokens": hour} for hour in range(1, 701)]
    found = case(demand__levels=levels)
    whole, joined = Columns.of(found.curve), Columns.of(found.curve, MOST_COLUMNS)
    assert len(joined.hours) == MOST_COLUMNS
    assert joined.output[-1] == whole.output[-1] == 700_000
    for name in ("output", "input", "api_usd"):
        assert joined.hours @ getattr(joined, name) == pytest.approx(whole.hours @ getattr(whole, name))
    assert joined.hours.sum() == pytest.approx(8760)
