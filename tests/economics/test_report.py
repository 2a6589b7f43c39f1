"""Money meets tokens: pools, list prices, idle rows, coverage, and what the answers say about themselves."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from economics.answers import Window
from economics.costing import Basis, Costed, total, with_capacity
from economics.quantities import Facts
from economics.report import Reports
from settings import Pool, Serves
from store.telemetry import TelemetryStore
from tests.economics.spans import NOON, span, store_spans

HOUR = timedelta(hours=1)
WINDOW = Window(NOON, NOON + HOUR)
OWN = Pool(
    name="own",
    accelerator="H100-SXM",
    count=2,
    usd_per_hour=Decimal("3.50"),
    serves=Serves(models=("llama",), providers=("vllm",)),
)
IN = {"provider": "vllm", "request_model": "llama"}
API = {"provider": "openai", "request_model": "gpt-5"}


def reports(store: TelemetryStore, *pools: Pool) -> Reports:
    return Reports(store, pools)


def test_a_pool_costs_its_hours_whether_or_not_a_token_was_made(telemetry: TelemetryStore) -> None:
    idle = reports(telemetry, OWN).summary(WINDOW)
    assert idle.quantities.usd == Decimal(7)
    assert idle.pools[0].idle
    assert idle.quantities.tps_per_usd_h == 0
    assert idle.quantities.usd_per_mtok_output is None


def test_the_headline_of_a_pool_by_hand(telemetry: TelemetryStore) -> None:
    # 25 200 output tokens in an hour are 7 tok/s; two accelerators at $3.50 are $7/h: 1 tok/s per $/h.
    store_spans(telemetry, span(n_in=50_400, n_out=25_200, **IN))
    summary = reports(telemetry, OWN).summary(WINDOW)
    found = summary.quantities
    assert found.tps.output == 7
    assert found.tps_per_usd_h == pytest.approx(1)
    assert found.tokens_per_usd == pytest.approx(3600)
    assert found.usd_per_mtok_output == pytest.approx(1e6 / 3600)
    assert found.usd_per_mtok_blended == pytest.approx(7e6 / 75_600)
    assert found.cost_coverage == 1
    assert summary.basis == ("capacity",)
    assert summary.basis_text == "own: 2 x H100-SXM at $3.50/h rented"
    assert summary.vantage == ("client",)


def test_api_calls_cost_their_list_price_and_add_to_the_pools(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(n_in=1_000_000, n_out=100_000, **API), span(n_out=10, **IN))
    found = reports(telemetry, OWN).summary(WINDOW)
    assert found.quantities.usd == Decimal(7) + Decimal("1.25") + Decimal(1)
    assert found.basis == ("api", "capacity")
    assert "genai-prices" in found.basis_text


def test_an_unpriced_model_is_unknown_never_free(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(n_in=30, n_out=10, provider="openai", request_model="zz-9"))
    summary = reports(telemetry).summary(WINDOW)
    (row,) = summary.models
    assert row.quantities.usd is None
    assert row.quantities.tps_per_usd_h is None
    assert row.basis == ("unknown",)
    assert summary.quantities.usd is None
    assert summary.quantities.usd_per_hour is None
    assert summary.quantities.cost_coverage == 0
    (line,) = summary.unpriced
    assert (line.provider, line.model, line.tokens) == ("openai", "zz-9", 40)
    assert "[[pools]]" in line.reason


def test_an_unpriced_model_has_no_run_rate_in_a_series_either(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(n_out=60, provider="openai", request_model="zz-9"))
    window = Window(NOON, NOON + timedelta(minutes=1))
    for by in (None, "model"):
        (series,) = reports(telemetry).throughput(window, timedelta(minutes=1), by)
        (point,) = series.points
        assert (point.tps_output, point.usd_per_hour, point.tps_per_usd_h) == (1.0, None, None)


def test_coverage_is_the_share_of_tokens_whose_cost_is_known(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(n_in=60, n_out=15, **IN), span(n_in=20, n_out=5, provider="x", request_model="y"))
    assert reports(telemetry, OWN).summary(WINDOW).quantities.cost_coverage == 0.75


def test_a_self_hosted_model_of_a_known_name_is_not_priced_from_an_api_card(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(n_in=10, n_out=10, request_model="gpt-5"))
    store_spans(telemetry, span(n_in=10, n_out=10, provider="vllm", request_model="gpt-5"))
    summary = reports(telemetry).summary(WINDOW)
    assert summary.quantities.usd is None
    assert {line.provider for line in summary.unpriced} == {"", "vllm"}


def test_the_parts_of_a_pool_restore_its_bill_to_the_last_digit() -> None:
    usages = [Costed(None, (), Facts(output_tokens=1), Basis.CAPACITY, "own")] * 3
    rows = with_capacity(usages, [OWN], None, timedelta(seconds=1))
    assert total(rows).usd == Decimal(7) / Decimal(3600)
    assert {row.basis for row in rows} == {Basis.CAPACITY}


def test_a_pool_that_says_nothing_about_what_it_serves_takes_no_traffic(telemetry: TelemetryStore) -> None:
    silent = Pool(name="p", accelerator="a", count=1, usd_per_hour=Decimal(1))
    store_spans(telemetry, span(n_out=1, **IN))
    summary = reports(telemetry, silent).summary(WINDOW)
    assert summary.pools[0].idle
    assert len(summary.unpriced) == 1


def test_tables_by_model_and_by_pipeline_hold_the_same_tokens(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        span(n_out=5, pipeline="rag", **IN),
        span(n_out=7, pipeline="batch", **IN),
        span(n_out=1, pipeline="rag", **API),
        span(name="etl", pipeline="etl"),
    )
    summary = reports(telemetry, OWN).summary(WINDOW)
    assert [(row.labels["model"], row.quantities.output_tokens) for row in summary.models] == [
        ("llama", 12),
        ("gpt-5", 1),
    ]
    assert {row.labels["pipeline"]: row.quantities.output_tokens for row in summary.pipelines} == {
        "batch": 7,
        "rag": 6,
        "etl": 0,
    }


def test_throughput_gives_gaps_where_nothing_is_known_and_zero_where_nothing_came(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(NOON + timedelta(seconds=65), n_out=120, **IN))
    (series,) = reports(telemetry, OWN).throughput(Window(NOON, NOON + timedelta(minutes=3)), timedelta(seconds=30))
    assert [point.tps_output for point in series.points] == [None, None, 4.0, 0.0, None, None]
    assert series.points[2].tps_per_usd_h == pytest.approx(4 / 7)


def test_the_newest_bucket_is_not_complete_and_its_rate_is_over_what_has_passed(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(NOON + timedelta(seconds=61), n_out=60, **IN))
    window = Window(NOON, NOON + timedelta(seconds=90))
    (series,) = reports(telemetry).throughput(window, timedelta(minutes=1))
    last = series.points[-1]
    assert (last.complete, last.tps_output) == (False, 2.0)


def test_throughput_by_model_is_one_series_each(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(n_out=60, **IN), span(n_out=30, **API))
    series = reports(telemetry, OWN).throughput(
        Window(NOON, NOON + timedelta(minutes=1)), timedelta(minutes=1), "model"
    )
    assert {line.labels["model"]: line.points[0].tps_output for line in series} == {"llama": 1.0, "gpt-5": 0.5}


def test_a_live_window_is_not_longer_than_there_has_been_data(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(NOON, n_out=1))
    window = reports(telemetry).live_window(NOON + timedelta(seconds=65), 300)
    assert (window.start, window.seconds) == (NOON, 60)


def test_the_baseline_prices_the_pools_tokens_at_an_api(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(n_in=1_000_000, n_out=100_000, **IN), span(n_out=9_000_000, **API))
    assert reports(telemetry, OWN).baseline_usd(WINDOW, "openai", "gpt-5") == Decimal("2.25")
    assert reports(telemetry, OWN).baseline_usd(WINDOW, "openai", "zz") is None


def test_a_project_pays_its_share_of_a_pool_and_nothing_of_an_idle_one(telemetry: TelemetryStore) -> None:
    # $7 of one hour, three quarters of the tokens are project a's: $5.25. The other pool's $7 are nobody's.
    idle = Pool(
        name="idle", accelerator="H100-SXM", count=2, usd_per_hour=Decimal("3.50"), serves=Serves(models=("x",))
    )
    store_spans(
        telemetry,
        span(n_in=100, n_out=50, project="a", pipeline="rag", seconds=1.0, **IN),
        span(n_in=40, n_out=10, project="b", pipeline="rag", seconds=9.0, **IN),
    )
    found = reports(telemetry, OWN, idle)
    of_a = found.summary(WINDOW, "a")
    assert (of_a.quantities.usd, of_a.quantities.output_tokens, of_a.quantities.calls) == (Decimal("5.25"), 50, 1)
    assert [row.quantities.output_tokens for row in of_a.pipelines] == [50]
    assert of_a.pipelines[0].latency.duration_p50_seconds == pytest.approx(1)
    assert [(line.name, line.usd, line.idle) for line in of_a.pools] == [
        ("own", Decimal(7), False),
        ("idle", Decimal(7), True),
    ]
    assert found.summary(WINDOW).quantities.usd == Decimal(14)
    assert found.summary(WINDOW, "nobody").quantities.calls == 0


def test_throughput_by_project_and_of_one(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(n_in=1, n_out=60, project="a"), span(n_in=1, n_out=30, project="b"))
    found = reports(telemetry)
    by_project = found.throughput(WINDOW, HOUR, "project")
    assert {line.labels["project"]: line.points[0].calls for line in by_project} == {"a": 1, "b": 1}
    (of_b,) = found.throughput(WINDOW, HOUR, project="b")
    assert of_b.points[0].tps_output == pytest.approx(30 / 3600)
