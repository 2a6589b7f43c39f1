"""What points of each kind amount to: resets, first points, gaps, copies, units. Numbers are worked out by hand."""

from __future__ import annotations

from datetime import datetime

import pytest

from economics.catalogue import catalogue
from economics.engine_numbers import EngineNumber, numbers
from economics.engines import read_engines
from store.telemetry import TelemetryStore
from tests.economics.points import NOON, Row, at, gauge, point, store_points

PROMPT = "vllm:prompt_tokens_total"
MODEL = {"model_name": "m", "engine": "0"}


FROM, TO = at(-3600), at(7260)


def answers(
    store: TelemetryStore, *rows: Row, start: datetime = FROM, end: datetime = TO, by: str | None = None
) -> dict[tuple[str, ...], EngineNumber]:
    if rows:
        store_points(store, *rows)
    found = numbers(read_engines(store, catalogue(), start, end), catalogue(), by)
    return {(each.quantity, *each.labels.values()): each for each in found}


def prompt(seconds: float, value: float | None, start: float | None = None, **more: object) -> Row:
    more = {"labels": MODEL, **more}
    return point(at(seconds), PROMPT, value, start=None if start is None else at(start), **more)  # type: ignore[arg-type]


def test_a_counter_grows_by_the_difference_to_the_point_before(telemetry: TelemetryStore) -> None:
    found = answers(telemetry, prompt(0, 100), prompt(15, 130), prompt(30, 190))["tokens.input",]
    # The first point says nothing of when it grew: 30 + 60.
    assert (found.value, found.points, found.coverage) == (90, 3, pytest.approx(2 / 3))


def test_a_counter_seen_for_the_first_time_counts_from_a_start_minutes_ago(telemetry: TelemetryStore) -> None:
    assert answers(telemetry, prompt(0, 100, start=-300))["tokens.input",].value == 100


def test_a_first_point_that_started_long_ago_or_says_no_start_is_unknown_not_zero(telemetry: TelemetryStore) -> None:
    found = answers(telemetry, prompt(0, 100, start=-301))["tokens.input",]
    assert (found.value, found.coverage) == (None, 0)


def test_a_counter_that_falls_began_again(telemetry: TelemetryStore) -> None:
    # 100 -> 130 is 30, then 20 since the restart, then 5.
    rows = [prompt(0, 100), prompt(15, 130), prompt(30, 20), prompt(45, 25)]
    assert answers(telemetry, *rows)["tokens.input",].value == 30 + 20 + 5


def test_a_counter_whose_start_moves_began_again_although_it_is_larger(telemetry: TelemetryStore) -> None:
    rows = [prompt(0, 100, start=-9000), prompt(60, 150, start=20), prompt(75, 160, start=20)]
    assert answers(telemetry, *rows)["tokens.input",].value == 150 + 10


def test_a_start_that_trembles_or_is_the_time_of_the_point_is_no_restart(telemetry: TelemetryStore) -> None:
    rows = [prompt(0, 1000, start=-9000), prompt(15, 1010, start=-8999.5), prompt(30, 1030, start=30)]
    assert answers(telemetry, *rows)["tokens.input",].value == 10 + 20


def test_delta_points_are_growth_themselves(telemetry: TelemetryStore) -> None:
    rows = [prompt(s, 7, temporality="delta", start=s - 15) for s in (0, 15, 30)]
    assert answers(telemetry, *rows)["tokens.input",].value == 21


def test_a_sum_of_unspecified_temporality_is_unknown(telemetry: TelemetryStore) -> None:
    found = answers(telemetry, prompt(0, 7, temporality="unspecified"), prompt(15, 9, temporality="unspecified"))
    assert found["tokens.input",].value is None


def test_a_gap_breaks_no_counter_and_is_no_zero(telemetry: TelemetryStore) -> None:
    found = answers(telemetry, prompt(0, 100), prompt(15, None, flags=1), prompt(30, 150))["tokens.input",]
    assert (found.value, found.points) == (50, 2)


def test_a_point_stored_twice_counts_once(telemetry: TelemetryStore) -> None:
    rows = [prompt(0, 100), prompt(15, 130)]
    store_points(telemetry, *rows)
    assert answers(telemetry, *rows, prompt(30, 135))["tokens.input",].value == 35


def test_whole_numbers_beyond_a_double_are_subtracted_exactly(telemetry: TelemetryStore) -> None:
    rows = [prompt(0, 2**60 + 1), prompt(15, 2**60 + 4)]
    assert answers(telemetry, *rows)["tokens.input",].value == 3


def test_growth_over_a_silence_of_less_than_an_hour_is_known_and_after_a_longer_one_unknown(
    telemetry: TelemetryStore,
) -> None:
    rows = [prompt(0, 100), prompt(3600, 400), prompt(3600 + 3601, 900)]
    found = answers(telemetry, *rows)["tokens.input",]
    assert (found.value, found.reach_seconds) == (300, 3600)
    # It is found from far before the window, too.
    assert answers(telemetry, start=at(3590), end=at(3610))["tokens.input",].value == 300


def test_of_a_histogram_the_sum_the_count_and_the_buckets_grow(telemetry: TelemetryStore) -> None:
    def ttft(seconds: float, count: int, total: float, buckets: list[int]) -> Row:
        return point(
            at(seconds),
            "vllm:time_to_first_token_seconds",
            kind="histogram",
            labels=MODEL,
            count=count,
            total=total,
            bounds=[0.1, 0.2, 0.4],
            buckets=buckets,
        )

    rows = [ttft(0, 10, 2.0, [5, 5, 0, 0]), ttft(15, 30, 5.0, [15, 15, 0, 0]), ttft(30, 4, 1.2, [0, 0, 4, 0])]
    found = answers(telemetry, *rows)["latency.ttft",]
    # 20 events with 3 s, then after a restart 4 with 1.2 s; buckets 10, 10, 4, 0.
    assert (found.events, found.total) == (24, pytest.approx(4.2))
    assert found.value == pytest.approx(4.2 / 24)
    assert found.p50 == pytest.approx(0.1 + 0.1 * 2 / 10)


def test_a_level_is_averaged_over_the_time_it_is_known(telemetry: TelemetryStore) -> None:
    rows = [gauge(at(s), "vllm:num_requests_running", v, labels=MODEL) for s, v in ((0, 2.0), (60, 4.0), (90, 4.0))]
    found = answers(telemetry, *rows)["load.running",]
    # (60 s at 3 on average + 30 s at 4) / 90 s
    assert found.value == pytest.approx((60 * 3 + 30 * 4) / 90)
    assert (found.lowest, found.highest, found.last) == (2, 4, 4)


def test_a_level_does_not_hold_over_a_gap(telemetry: TelemetryStore) -> None:
    rows = [gauge(at(s), "vllm:num_requests_running", v, labels=MODEL) for s, v in ((0, 2.0), (30, None), (60, 4.0))]
    found = answers(telemetry, *rows, gauge(at(60 + 181), "vllm:num_requests_running", 9.0, labels=MODEL))
    assert (found["load.running",].value, found["load.running",].last) == (None, 9)


def test_levels_of_two_engines_are_added_and_ratios_averaged(telemetry: TelemetryStore) -> None:
    rows = [
        gauge(at(s), name, v, labels={"model_name": "m", "engine": engine})
        for s in (0, 30)
        for name, engine, v in (
            ("vllm:num_requests_running", "0", 2.0),
            ("vllm:num_requests_running", "1", 4.0),
            ("vllm:kv_cache_usage_perc", "0", 0.2),
            ("vllm:kv_cache_usage_perc", "1", 0.4),
        )
    ]
    found = answers(telemetry, *rows)
    assert found["load.running",].value == pytest.approx(6)
    assert found["kv.usage_ratio",].value == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("metric", "unit", "per_second"),
    [
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "", 300_000),  # mJ
        ("gpu_energy_consumed", "", 300_000_000),  # uJ
        ("nv_energy_consumption", "", 300),  # J
        ("hw.energy", "J", 300),
        ("hw.energy", "kJ", 0.3),
        ("hw_energy_joules_total", "joules", 300),
    ],
)
def test_energy_is_joules_whatever_the_exporter_counts(
    telemetry: TelemetryStore, metric: str, unit: str, per_second: float
) -> None:
    labels = {"hw.id": "GPU-1", "hw.type": "gpu", "UUID": "GPU-1", "gpu_uuid": "GPU-1"}
    rows = [point(at(s), metric, per_second * (100 + s), unit=unit, labels=labels) for s in (0, 10)]
    found = answers(telemetry, *rows, by="accelerator")["energy.accelerator_j", "GPU-1"]
    assert found.value == pytest.approx(3000)


@pytest.mark.parametrize(
    ("metric", "value", "quantity", "level"),
    [
        ("DCGM_FI_DEV_POWER_USAGE", 300.0, "power.accelerator_w", 300),
        ("habanalabs_power_mW", 300_000.0, "power.accelerator_w", 300),
        ("DCGM_FI_DEV_GPU_UTIL", 75.0, "util.accelerator_ratio", 0.75),
        ("nv_gpu_utilization", 0.75, "util.accelerator_ratio", 0.75),
        ("DCGM_FI_DEV_FB_USED", 2.0, "memory.used_bytes", 2 * 2**20),
        ("DCGM_FI_DEV_SM_CLOCK", 1500.0, "clock.sm_hz", 1.5e9),
        ("dynamo_component_gpu_cache_usage_percent", 40.0, "kv.usage_ratio", 0.4),
        ("dynamo_component_gpu_cache_usage_percent", 0.4, "kv.usage_ratio", 0.4),
    ],
)
def test_levels_come_in_the_canonical_unit(
    telemetry: TelemetryStore, metric: str, value: float, quantity: str, level: float
) -> None:
    labels = {"UUID": "GPU-1", "gpu_uuid": "GPU-1"}
    found = answers(telemetry, *[gauge(at(s), metric, value, labels=labels) for s in (0, 10)])
    assert found[quantity,].value == pytest.approx(level)


def test_power_alone_becomes_energy_by_integration(telemetry: TelemetryStore) -> None:
    rows = [gauge(at(s), "DCGM_FI_DEV_POWER_USAGE", w, labels={"UUID": "G"}) for s, w in ((0, 100.0), (20, 200.0))]
    assert answers(telemetry, *rows)["energy.accelerator_j",].value == pytest.approx(150 * 20)


def test_milliseconds_and_microseconds_become_seconds(telemetry: TelemetryStore) -> None:
    def histogram(seconds: float, count: int, total: float, unit: str, metric: str) -> Row:
        more = {"count": count, "total": total, "bounds": [100.0], "buckets": [count, 0]}
        return point(at(seconds), metric, kind="histogram", unit=unit, **more)  # type: ignore[arg-type]

    triton, server = "nv_inference_first_response_histogram_ms", "gen_ai.server.request.duration"
    queue = "nv_inference_queue_duration_us"
    found = answers(
        telemetry,
        *[histogram(s, n, 50.0 * n, "", triton) for s, n in ((0, 2), (15, 6))],
        *[histogram(s, n, 50.0 * n, "ms", server) for s, n in ((0, 2), (15, 6))],
        *[point(at(s), queue, us) for s, us in ((0, 0), (15, 3_000_000))],
    )
    assert found["latency.ttft",].total == pytest.approx(0.2)
    assert found["latency.ttft",].p50 == pytest.approx(0.05)
    assert found["latency.e2e",].value == pytest.approx(0.05)
    assert found["latency.queue_sum",].value == pytest.approx(3)


def test_nothing_is_said_about_metrics_nobody_knows(telemetry: TelemetryStore) -> None:
    assert answers(telemetry, point(NOON, "my_counter_total", 1), point(at(15), "my_counter_total", 5)) == {}


def test_a_name_that_arrives_as_another_kind_is_not_taken_for_a_counter(telemetry: TelemetryStore) -> None:
    assert answers(telemetry, gauge(at(0), PROMPT, 1.0), gauge(at(15), PROMPT, 5.0)) == {}
