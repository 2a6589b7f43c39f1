"""Facts with their sources, and the scenario's errors: what is not known is refused or named, never invented."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from economics.prices import VERSION
from economics.tco.case import ScenarioError
from economics.tco.facts import FactError, fact_book
from economics.tco.origin import Origin
from tests.economics.tco.cases import answer, case, option

FACTS = fact_book()


def test_every_fact_has_a_source_and_a_confidence() -> None:
    origins = [rent.origin for each in FACTS.accelerators for rent in each.rent]
    origins += [each.purchase_origin for each in FACTS.accelerators if each.purchase_origin]
    origins += [each.provisioned_origin for each in FACTS.accelerators if each.provisioned_origin]
    origins += [each.origin for each in (*FACTS.power, *FACTS.defaults.values())]
    origins += [origin for _, origin in FACTS.bytes_per_output_token.values()]
    origins += [each.origin for each in FACTS.egress.values() if each.origin is not None]
    assert len(origins) > 120
    assert all(each.source and each.confidence in ("high", "medium", "low", "assumption") for each in origins)


def test_names_are_found_without_regard_to_case() -> None:
    assert FACTS.accelerator("h100-sxm").name == "NVIDIA H100 SXM 80GB"
    assert FACTS.rent("H100", "aws", "on_demand").usd_per_gpu_hour == Decimal("6.88")
    assert FACTS.tariff("gcp premium").name == "GCP premium"
    assert FACTS.power_of("us average, industrial").usd_per_kwh == Decimal("0.0929")


@pytest.mark.parametrize(
    ("look", "known"),
    [
        (lambda: FACTS.accelerator("Z1"), "H100"),
        (lambda: FACTS.rent("H100", "Nobody", "on_demand"), "AWS (on_demand)"),
        (lambda: FACTS.tariff("Nobody"), "Azure"),
        (lambda: FACTS.power_of("Moon"), "US Iowa, industrial"),
    ],
)
def test_an_unknown_name_is_answered_with_those_that_are_known(look: object, known: str) -> None:
    assert callable(look)
    with pytest.raises(FactError) as error:
        look()
    assert known in str(error.value)


@pytest.mark.parametrize(
    ("as_of", "days"), [("2026-11-09", 15), ("2026-01", 327), ("2026", 327), ("2025-H1", None), ("", None), ("-", None)]
)
def test_the_age_of_a_fact_counts_from_the_beginning_of_what_is_dated(as_of: str, days: int | None) -> None:
    assert Origin("x", as_of, "high").age_days(datetime(2026, 11, 24, tzinfo=UTC)) == days


def test_a_list_price_stands_in_for_what_is_not_given_and_is_named() -> None:
    found = answer(rented__usd_per_gpu_hour=None, rented__provider="Lambda", rented__accelerator="H100")
    (price,) = (each for each in found.assumptions if each.name == "rented.usd_per_gpu_hour")
    assert (price.value, price.as_of, price.stale) == ("3.99", "2026-09-20", False)
    assert "lambda.ai" in price.source


def test_the_list_price_of_an_api_is_told() -> None:
    named = {"api__usd_per_mtok_input": None, "api__usd_per_mtok_output": None}
    found = answer(**named, api__provider="openai", api__model="gpt-4o-mini")
    (price,) = (each for each in found.assumptions if each.name == "api.price")
    assert (price.value, price.unit, price.source) == ("0.15 in, 0.075 cached, 0.6 out", "USD/Mtok", VERSION)


def test_an_old_fact_is_marked() -> None:
    found = answer(power__usd_per_kwh=None)
    (price,) = (each for each in found.assumptions if each.name == "power.usd_per_kwh")
    assert (price.value, price.as_of, price.stale) == ("0.0929", "2026-01", True)


def test_every_input_says_where_it_comes_from() -> None:
    found = answer(owned__maintenance_share=None)
    origins = {each.name: each.source for each in found.assumptions}
    assert set(case().spreads) <= set(origins)
    assert origins["owned.purchase_usd"] == origins["service.model"] == origins["rented.service.good_share"]
    assert origins["owned.purchase_usd"] == "your scenario"
    assert origins["owned.maintenance_share"] == "of the purchase price, each year"
    assert origins["rented.scaling"].startswith("not set")


def test_there_is_no_market_price_a_provider_must_be_chosen() -> None:
    found = answer(rented__usd_per_gpu_hour=None, rented__accelerator="H100")
    assert "rented" not in {each.name for each in found.options}
    (missing,) = (each for each in found.missing if each.option == "rented")
    assert missing.blocks
    assert "rented.provider" in missing.fix


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"rented__output_tokens_per_second": None}, "the tokens per second of one accelerator"),
        ({"api__usd_per_mtok_output": None, "api__usd_per_mtok_input": None}, "the API's price"),
        ({"owned__purchase_usd": None}, "the price of an accelerator"),
        ({"owned__kw": None, "owned__kw_provisioned": None}, "the power of an accelerator"),
        ({"demand__levels": [{"hours": 1, "output_tokens": 0}]}, "a demand: no output token is known of"),
    ],
)
def test_what_blocks_an_option_is_named_and_nothing_is_invented(change: dict[str, object], what: str) -> None:
    blocking = [each for each in answer(**change).missing if each.blocks]
    assert what in [each.what for each in blocking]
    assert all(each.fix for each in blocking)


@pytest.mark.parametrize(
    ("change", "option_name", "part"),
    [
        ({"owned__hosting_usd_per_kw_month": None}, "owned", "hosting is not in the cost"),
        ({"owned__staff_usd_per_year": None}, "owned", "staff is not in the cost"),
        ({"rented__egress_usd_per_gb": None}, "rented", "egress of answers is not in the cost"),
        ({"network__bytes_per_input_token": None}, "api", "egress of prompts"),
    ],
)
def test_a_part_of_a_cost_that_is_unknown_is_named_not_zero(
    change: dict[str, object], option_name: str, part: str
) -> None:
    found = answer(**change)
    assert option(found, option_name).left_out == (part,)
    assert (option(found, option_name).egress_share is None) == ("egress" in part)
    assert [each.blocks for each in found.missing if each.what == part] == [False]


def test_hardware_that_nobody_has_heard_of_needs_a_price_of_its_own() -> None:
    (missing,) = (each for each in answer(owned__purchase_usd=None, owned__accelerator="Z1").missing if each.blocks)
    assert missing.fix.startswith("set owned.purchase_usd; no accelerator 'Z1' is known; there are: H100, ")
    assert option(answer(owned__accelerator="Z1"), "owned").gpus == 2


def test_hours_of_input_alone_are_no_work_for_sizing_machines_and_that_is_told() -> None:
    levels = [{"hours": 1, "output_tokens": 3_600_000}, {"hours": 1, "output_tokens": 0, "input_tokens": 5}]
    found = answer(demand__levels=levels)
    assert any("input of hours without output" in part for part in option(found, "rented").left_out)
    assert option(found, "api").left_out == ()


def test_egress_beyond_the_known_tiers_blocks_the_option() -> None:
    found = answer(rented__egress_usd_per_gb=None, rented__egress="GCP standard", network__bytes_per_output_token=5000)
    assert "rented" not in {each.name for each in found.options}
    (missing,) = (each for each in found.missing if each.blocks)
    assert missing.what == "16425 GB of egress a month: GCP standard has no known price for so much"
    assert missing.fix == "set rented.egress_usd_per_gb"


def test_provisioned_power_holds_the_facility_already() -> None:
    # 1.73 kW of the facility at a PUE of 1.25 are 1.384 kW of the host: the PUE is not counted twice.
    found = case(owned__accelerator="H100", owned__kw=None, owned__kw_provisioned=None, power__pue="1.25")
    assert found.likely["owned.kw"] * found.likely["power.pue"] == Decimal("1.73")


def test_one_speed_holds_for_the_same_accelerator_rented_and_owned() -> None:
    found = case(rented__accelerator="H100", owned__accelerator="h100", owned__output_tokens_per_second=None)
    assert found.owned is not None
    assert "owned.output_tokens_per_second" not in found.spreads


def test_an_hour_of_ones_own_may_be_given_and_then_nothing_is_bought() -> None:
    found = answer(owned__usd_per_gpu_hour=1)
    assert option(found, "owned").usd_per_month == 1460
    assert found.owned_rate is None
    assert [each.returns for each in found.comparisons] == [None] * len(found.comparisons)
    assert "payback, NPV and IRR" in option(found, "owned").left_out


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (
            {"rented__usd_per_gpu_hour": None, "rented__provider": "Nobody", "rented__accelerator": "H100"},
            "rented.provider",
        ),
        ({"rented__egress_usd_per_gb": None, "rented__egress": "Nobody"}, "rented.egress"),
        ({"power__region": "industry average facility", "power__usd_per_kwh": None}, "power.region"),
        ({"power__facility": "US Iowa, industrial", "power__pue": None}, "power.facility"),
    ],
)
def test_a_name_that_is_not_known_is_an_error_that_says_what_is_allowed(change: dict[str, object], field: str) -> None:
    with pytest.raises(ScenarioError) as error:
        answer(**change)
    assert error.value.field == field
    assert "set " in str(error.value) or "there are" in str(error.value)
