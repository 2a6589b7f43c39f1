"""Options are compared only when both give the same service, and only by what is stated."""

from __future__ import annotations

from typing import Any

import pytest

from economics.tco.verdict import Verdict
from tests.economics.tco.cases import answer, comparison, option


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rented__service__model": "smaller"}, "smaller answers, required is m"),
        ({"rented__service__context_tokens": 4096}, "context_tokens = 4096 tokens, required is at least 8192 tokens"),
        (
            {"rented__service__time_to_first_token_seconds": "1.1"},
            "time_to_first_token_seconds = 1.1 s, required is at most 1 s",
        ),
        ({"rented__service__time_per_output_token_seconds": "0.06"}, "time_per_output_token_seconds = 0.06 s"),
        ({"rented__service__model": None}, "it does not say which model answers"),
        ({"rented__service__context_tokens": None}, "it does not say its context_tokens"),
        ({"rented__service__time_to_first_token_seconds": None}, "it does not say its time_to_first_token_seconds"),
        ({"rented__service__good_share": None}, "the share of its tokens that are good is not stated"),
    ],
)
def test_unequal_or_unstated_service_is_not_compared(change: dict[str, Any], reason: str) -> None:
    found = answer(**change)
    rented = option(found, "rented")
    assert not rented.compared
    (refusal,) = rented.refusals
    assert reason in refusal.reason
    assert "rented.service." in refusal.fix or "service.equivalent_models" in refusal.fix
    against = comparison(found, "rented")
    assert (against.cost_ratio, against.simulated, against.verdict) == (None, None, Verdict.NOT_JUDGED)
    assert "rented does not give, or does not state" in against.text
    # The others still are, and the hybrid does without it.
    assert comparison(found, "owned").cost_ratio is not None
    assert "rented" not in option(found, "hybrid").shares
    assert not any("scenario" in each.against for each in found.break_even_utilisation)


def test_a_model_that_was_found_as_good_is_equal() -> None:
    found = answer(
        rented__service__model="m-fp8",
        service__equivalent_models=["m-fp8"],
        service__equivalence="own evaluation of 2026-11",
    )
    assert option(found, "rented").compared


def test_a_required_service_that_is_not_stated_compares_nothing() -> None:
    found = answer(service__time_to_first_token_seconds=None)
    assert not any(each.compared for each in found.options)
    assert {each.verdict for each in found.comparisons} == {Verdict.NOT_JUDGED}
    assert {each.fix for each in found.refusals} == {"set service.time_to_first_token_seconds"}
    assert found.break_even_tokens is None
    assert "hybrid" not in {each.name for each in found.options}


def test_a_baseline_that_is_not_equal_compares_nothing() -> None:
    found = answer(api__service__model="other")
    assert {each.cost_ratio for each in found.comparisons} == {None}
    assert all("api does not give" in each.text for each in found.comparisons)


def test_a_baseline_without_a_cost_is_named() -> None:
    found = answer(api=None)
    assert "the baseline api has no cost" in comparison(found, "owned").text
    assert any(each.option == "api" and each.blocks for each in found.missing)


def test_a_baseline_whose_price_is_missing_is_not_blamed_for_its_service() -> None:
    found = answer(api__usd_per_mtok_input=None, api__usd_per_mtok_output=None)
    assert "the baseline api has no cost" in comparison(found, "owned").text


def test_what_costs_nothing_has_no_ratio() -> None:
    found = comparison(answer(baseline="rented", api__usd_per_mtok_output=0), "api")
    assert (found.cost_ratio, found.verdict) == (None, Verdict.NOT_JUDGED)
    assert found.text == "not compared: api costs nothing, so there is no ratio"
