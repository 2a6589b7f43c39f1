"""The measured demand: whole hours of the ledger, gaps left out; and what is known of those who serve it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from economics.fold import Fold
from economics.prices import input_bands
from economics.report import Reports
from economics.tco.ask import answer_measured
from economics.tco.measured import measure
from economics.tco.scenario import DemandTerms, Scenario
from economics.usage_rollup import UsageRollUp
from settings import ChecklistSettings, Pool, Serves, Settings, TcoSettings
from store.collectors import Watched
from store.telemetry import TelemetryStore
from tests.economics.spans import NOON, span, store_spans
from tests.economics.tco.cases import SERVICE, option

HOUR = timedelta(hours=1)
NOW = NOON + 5 * HOUR + timedelta(minutes=20)
POOL = Pool(name="own", accelerator="H100", count=2, usd_per_hour=Decimal(2), serves=Serves(models=("llama",)))
LLAMA = {"provider": "vllm", "request_model": "llama"}


def at(hour: float) -> datetime:
    return NOON + hour * HOUR


def watch(store: TelemetryStore, since: datetime, *away: tuple[datetime, datetime]) -> None:
    """Andon has watched from `since` until now, but for the times that are named: silent minutes become zeros."""
    fold = Fold(store, UsageRollUp(input_bands()), timedelta(seconds=10))
    fold.run_once(NOW, Watched(since, NOW, away))


def demand_of(store: TelemetryStore, *pools: Pool, **terms: Any) -> Any:
    return measure(store, Reports(store, pools), pools, DemandTerms(**terms), NOW)


def test_whole_hours_from_the_first_data_on(telemetry: TelemetryStore) -> None:
    # The first hour has begun when data begins, the last has not ended: neither is whole.
    spans = [
        span(at(hour), n_in=10, n_out=100 * number, **LLAMA) for number, hour in enumerate((0.5, 1.5, 2.5, 5.1), 1)
    ]
    store_spans(telemetry, *spans)
    watch(telemetry, at(0.5))
    found = demand_of(telemetry).demand
    assert (found.window.start, found.window.end) == (at(1), at(5))
    assert [level.output_tokens for level in found.levels] == [200, 300, 0, 0]
    assert (found.source, found.model, found.vantage) == ("measured", "llama", ("client",))


def test_an_hour_in_which_nobody_watched_is_no_idle_hour(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(at(0), n_out=1, **LLAMA), span(at(1.5), n_out=900, **LLAMA))
    # Away for half of the third hour, and for three minutes of the fourth.
    watch(telemetry, at(0), (at(2.25), at(2.75)), (at(3.5), at(3.55)))
    found = demand_of(telemetry).demand
    assert [(level.start, level.output_tokens) for level in found.levels] == [
        (at(0), 1),
        (at(1), 900),
        (at(3), 0),
        (at(4), 0),
    ]
    assert found.unknown_hours == 1


def test_an_hour_of_other_traffic_is_a_true_zero(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        span(at(0.0), n_out=1, **LLAMA),
        span(at(1.5), n_out=900, **LLAMA),
        span(at(2.5), n_out=50, request_model="other", provider="x"),
    )
    watch(telemetry, at(0))
    found = demand_of(telemetry).demand
    assert [level.output_tokens for level in found.levels] == [1, 900, 0, 0, 0]
    assert found.other_models == {"other": 50}


def test_the_last_days_one_model_one_project(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        span(at(-50), n_out=3, **LLAMA),
        span(at(-40.5), n_out=7, **LLAMA),
        span(at(1.5), n_out=100, project="a", **LLAMA),
        span(at(1.5), n_out=30, project="b", **LLAMA),
        span(at(1.5), n_out=5, request_model="other", provider="x"),
    )
    watch(telemetry, at(-50))
    assert demand_of(telemetry, days=1).demand.total("output_tokens") == 130
    assert demand_of(telemetry, days=2).demand.total("output_tokens") == 137
    assert demand_of(telemetry, days=1, project="b").demand.total("output_tokens") == 30
    assert demand_of(telemetry, days=1, model="other").demand.total("output_tokens") == 5
    assert demand_of(telemetry, days=1, model="none").demand.total("output_tokens") == 0


def test_no_data_is_no_demand(telemetry: TelemetryStore) -> None:
    assert demand_of(telemetry).demand.levels == ()


def test_the_speed_of_a_pool_is_that_of_its_busiest_hour(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry, *[span(at(hour), n_out=tokens, **LLAMA) for hour, tokens in ((0.0, 1), (1.5, 7200), (2.5, 14_400))]
    )
    watch(telemetry, at(0))
    found = demand_of(telemetry, POOL)
    assert (found.pool, found.busiest) == ("own", {"own": 14_400})


def ask(store: TelemetryStore, settings: Settings, **terms: Any) -> Any:
    asked = Scenario.model_validate(terms)
    return answer_measured(asked, store, Reports(store, settings.pools), settings, NOW)


def test_nothing_but_what_is_measured_and_configured(telemetry: TelemetryStore) -> None:
    hours = enumerate((7200, 14_400, 7200, 14_400, 0))
    store_spans(telemetry, *[span(at(hour), n_out=tokens, **LLAMA) for hour, tokens in hours])
    watch(telemetry, at(0))
    found = ask(telemetry, Settings(pools=(POOL,)))
    assert (found.demand.hours, found.demand.coverage) == (5, 1)
    # 14 400 tokens in an hour by two accelerators: 2 tok/s each. $2 for each of 1, 2, 1, 2 and none: $2.40 on average.
    speed = next(each for each in found.assumptions if each.name == "rented.output_tokens_per_second")
    assert (speed.value, speed.confidence) == ("2", "measured")
    assert "a floor" in speed.note
    assert option(found, "rented").usd_per_month == Decimal("2.4") * 730
    # The same accelerator owned, at list prices; compared with nothing, since no service is stated.
    assert option(found, "owned").gpus == 2
    assert not option(found, "owned").compared
    assert any(each.option == "api" and each.blocks for each in found.missing)
    # Five hours are little to stand for years.
    assert any(each.what == "a week of measured hours: 5 stand for all hours to come" for each in found.missing)


def test_the_checklist_says_which_api_is_the_alternative_and_what_egress_costs(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, *[span(at(hour), n_in=1000, n_out=100, **LLAMA) for hour in range(5)])
    watch(telemetry, at(0))
    tco = TcoSettings(
        baseline_provider="openai",
        baseline_model="gpt-4o-mini",
        egress_usd_per_gb=Decimal("0.09"),
        egress_bytes_per_output_token=Decimal("6.6"),
    )
    found = ask(telemetry, Settings(pools=(POOL,), checklist=ChecklistSettings(tco=tco)))
    origins = {each.name: each.source for each in found.assumptions}
    assert origins["api.provider"] == origins["rented.egress_usd_per_gb"] == "your settings: [checklist.tco]"
    assert origins["network.bytes_per_output_token"] == "your settings: [checklist.tco]"
    # 1000 tokens at $0.15 and 100 at $0.60 a million, an hour.
    assert option(found, "api").usd_per_month == pytest.approx(Decimal("0.00021") * 730)


def test_traffic_of_an_api_is_priced_as_what_it_is(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        *[span(at(h), n_in=1000, n_out=100, provider="openai", request_model="gpt-4o-mini") for h in range(5)],
    )
    watch(telemetry, at(0))
    assert option(ask(telemetry, Settings()), "api").usd_per_month == pytest.approx(Decimal("0.00021") * 730)


def test_an_owned_pool_keeps_its_own_price_of_an_hour(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, *[span(at(hour), n_out=7200, **LLAMA) for hour in range(5)])
    watch(telemetry, at(0))
    owned = POOL.model_copy(update={"basis": "owned"})
    found = ask(telemetry, Settings(pools=(owned,)))
    assert {each.name for each in found.options} == {"owned"}
    assert option(found, "owned").usd_per_month == 2 * 2 * 730


def test_what_a_scenario_writes_stands(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, *[span(at(hour), n_out=7200, **LLAMA) for hour in range(5)])
    watch(telemetry, at(0))
    mine = {"usd_per_gpu_hour": 9, "output_tokens_per_second": 2, "service": {**SERVICE, "model": "llama"}}
    found = ask(telemetry, Settings(pools=(POOL,)), rented=mine, service={"model": "mine"})
    assert option(found, "rented").usd_per_month == 9 * 730
    assert "owned" not in {each.name for each in found.options}
    assert any("required is mine" in each.reason for each in found.refusals)


def test_a_part_that_a_scenario_begins_is_filled_with_what_was_measured(telemetry: TelemetryStore) -> None:
    # 14 400 tokens an hour by two: 2 tok/s each. The pool's price stands, or the list price of the provider it names.
    store_spans(telemetry, *[span(at(hour), n_out=14_400, **LLAMA) for hour in range(5)])
    watch(telemetry, at(0))
    settings = Settings(pools=(POOL,))
    service = {**SERVICE, "model": None, "good_share": 1}
    found = ask(telemetry, settings, service={**SERVICE, "model": None}, rented={"service": service})
    assert (option(found, "rented").compared, option(found, "rented").usd_per_month) == (True, 2 * 2 * 730)
    origins = {each.name: each.source for each in found.assumptions}
    assert origins["service.model"] == origins["rented.service.model"] == "measured: the model of the demand"
    listed = ask(telemetry, settings, rented={"accelerator": "h100-sxm", "provider": "Lambda"})
    assert option(listed, "rented").usd_per_month == 2 * Decimal("3.99") * 730
    other = ask(telemetry, settings, rented={"accelerator": "B200", "provider": "Lambda"})
    assert any(each.option == "rented" and "tokens per second" in each.what for each in other.missing)


def test_what_an_own_engine_writes_to_its_cache_is_no_purchase_at_an_api(telemetry: TelemetryStore) -> None:
    written = {"n_in": 1_000_000, "n_out": 1, "cache_write_tokens": 1_000_000}
    claude = {"provider": "anthropic", "request_model": "claude-sonnet-4-5"}
    store_spans(telemetry, *[span(at(hour), **written, **claude) for hour in range(5)])
    watch(telemetry, at(0))
    bought = option(ask(telemetry, Settings()), "api").usd_per_month
    served = POOL.model_copy(update={"serves": Serves(models=("claude-sonnet-4-5",))})
    tco = TcoSettings(baseline_provider="anthropic", baseline_model="claude-sonnet-4-5")
    own = option(ask(telemetry, Settings(pools=(served,), checklist=ChecklistSettings(tco=tco))), "api").usd_per_month
    assert bought == pytest.approx(own * Decimal("1.25"), rel=Decimal("1e-4"))
