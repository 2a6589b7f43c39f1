"""The 3:1 check: the cost ratio on hand-worked windows, and what it says while an input is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from captured_source import NOW
from hypothesis import given
from hypothesis import strategies as st

from checklist.context import CheckContext, Facts, TcoFacts
from checklist.model import Status
from checklist.tco import TcoCheck, assess, cost_ratio, egress_usd, judge_ratio, ratio_text
from settings import ChecklistSettings, TcoSettings

# One hour of an accelerator at $2.00, 10 M tokens out as SSE (217 B each) at $0.09/GB, $8.00 at the API.
FACTS = TcoFacts(
    window_from=NOW - timedelta(hours=1),
    window_to=NOW,
    calls=1000,
    calls_without_usage=0,
    input_tokens=40_000_000,
    output_tokens=10_000_000,
    cache_read_tokens=1_000_000,
    cache_write_tokens=0,
    capacity_usd=Decimal("2.00"),
    baseline_usd=Decimal("8.00"),
)
SETTINGS = TcoSettings(
    egress_usd_per_gb=Decimal("0.09"),
    egress_bytes_per_output_token=Decimal(217),
    baseline_provider="openai",
    baseline_model="gpt-4o-mini",
)
USD = st.decimals(Decimal("0.01"), Decimal(10**6), places=2)


def test_egress_is_tokens_times_bytes_times_price() -> None:
    # 10e6 x 217 B = 2.17e9 B = 2.17 GB; x $0.09 = $0.1953
    assert egress_usd(10_000_000, Decimal(217), Decimal("0.09")) == Decimal("0.1953")


def test_the_ratio_counts_egress_on_the_side_of_the_factory() -> None:
    costs = cost_ratio(Decimal("8.00"), Decimal("2.00"), Decimal("0.1953"))
    assert costs.saved_usd == Decimal("6.00")
    assert costs.ratio == Decimal("8.00") / Decimal("2.1953")  # 3.644
    assert costs.egress_per_saved == Decimal("0.03255")


def test_nothing_saved_has_no_egress_share() -> None:
    assert cost_ratio(Decimal(1), Decimal(2), Decimal("0.1")).egress_per_saved is None


@pytest.mark.parametrize(
    ("ratio", "status"),
    [
        ("3", Status.OK),
        ("2.9999999", Status.WARN),
        ("1", Status.WARN),
        ("0.9999999", Status.FAIL),
        ("0", Status.FAIL),
    ],
)
def test_the_states_of_the_ratio(ratio: str, status: Status) -> None:
    assert judge_ratio(Decimal(ratio), Decimal(3)) is status


def test_a_ratio_is_cut_off_and_never_rounded_up_to_the_claim() -> None:
    assert ratio_text(Decimal("2.9999")) == "2.99"


@given(USD, USD, USD, st.integers(2, 9))
def test_the_ratio_does_not_depend_on_the_length_of_the_window(
    baseline: Decimal, factory: Decimal, egress: Decimal, times: int
) -> None:
    once = cost_ratio(baseline, factory, egress).ratio
    longer = cost_ratio(baseline * times, factory * times, egress * times).ratio
    assert abs(once - longer) <= once * Decimal("1e-20")


@given(USD, USD, USD)
def test_r_above_one_means_that_egress_costs_less_than_what_is_saved(
    baseline: Decimal, factory: Decimal, egress: Decimal
) -> None:
    costs = cost_ratio(baseline, factory, egress)
    assert (costs.ratio > 1) is (costs.saved_usd > costs.egress_usd)


def test_a_supported_claim_is_ok_with_every_input_in_evidence() -> None:
    result = assess(SETTINGS, FACTS, NOW)
    assert (result.status, result.summary) == (Status.OK, "R = 3.64: 3:1 is supported by the measured window")
    rows = {row.label: (row.value, row.unit) for row in result.evidence}
    assert rows["egress cost"] == ("0.195300", "USD")
    assert rows["saved cost"] == ("6.00", "USD")
    assert rows["egress : saved"] == ("0.0326", "")
    assert rows["cost ratio R"] == ("3.64", "")
    assert rows["measured tokens"] == ("40000000 in, 10000000 out", "token")
    assert rows["egress price"] == ("0.09", "USD/GB")


def test_a_saving_below_the_claim_warns() -> None:
    result = assess(SETTINGS, replace(FACTS, baseline_usd=Decimal("4.00")), NOW)
    assert (result.status, result.summary) == (Status.WARN, "R = 1.82: it saves, but not 3:1")


def test_a_factory_that_costs_more_than_the_api_fails() -> None:
    result = assess(SETTINGS, replace(FACTS, baseline_usd=Decimal("2.00")), NOW)
    assert (result.status, result.summary) == (Status.FAIL, "R = 0.91: it costs more than the API would")
    assert result.remedy


@pytest.mark.parametrize(
    ("setting", "label"),
    [
        ("egress_usd_per_gb", "egress price"),
        ("egress_bytes_per_output_token", "egress bytes per output token"),
        ("baseline_provider", "baseline provider"),
        ("baseline_model", "baseline model"),
    ],
)
def test_a_missing_setting_is_unknown_and_named(setting: str, label: str) -> None:
    result = assess(SETTINGS.model_copy(update={setting: None}), FACTS, NOW)
    assert result.status is Status.UNKNOWN
    assert label in result.summary
    assert f"checklist.tco.{setting}" in result.remedy


@pytest.mark.parametrize(
    ("facts", "label", "remedy"),
    [
        ({"capacity_usd": None}, "capacity cost", "[[pools]]"),
        ({"capacity_usd": Decimal(0)}, "factory cost", "usd_per_hour"),
        ({"baseline_usd": None}, "baseline cost", "openai gpt-4o-mini"),
        ({"input_tokens": 0, "output_tokens": 0}, "measured tokens", "window_seconds"),
        ({"calls_without_usage": 101}, "token coverage", "min_coverage"),
    ],
)
def test_a_missing_fact_is_unknown_and_named(facts: dict[str, Any], label: str, remedy: str) -> None:
    result = assess(SETTINGS, replace(FACTS, **facts), NOW)
    assert result.status is Status.UNKNOWN
    assert label in result.summary
    assert remedy in result.remedy


def test_coverage_at_its_minimum_is_enough() -> None:
    assert assess(SETTINGS, replace(FACTS, calls_without_usage=100), NOW).status is Status.OK


def test_nothing_configured_names_every_setting_at_once() -> None:
    result = assess(TcoSettings(), None, NOW)
    assert result.status is Status.UNKNOWN
    assert result.remedy.count("Set checklist.tco.") == 4


def test_free_egress_is_a_known_price() -> None:
    result = assess(SETTINGS.model_copy(update={"egress_usd_per_gb": Decimal(0)}), FACTS, NOW)
    assert result.summary == "R = 4.00: 3:1 is supported by the measured window"


def test_the_facts_are_asked_for_the_configured_window(make_context: Callable[..., CheckContext]) -> None:
    asked = []

    def facts(start: datetime, end: datetime) -> TcoFacts:
        asked.append((start, end))
        return FACTS

    checklist = ChecklistSettings(tco=SETTINGS.model_copy(update={"window_seconds": 600}))
    assert TcoCheck().run(make_context("tco", checklist, Facts(tco=facts)), NOW).status is Status.OK
    assert asked == [(NOW - timedelta(seconds=600), NOW)]
