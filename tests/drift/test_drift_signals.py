"""What the engine counts is what numpy counts, each thing that happened once, and only things of the right kind."""

from __future__ import annotations

import math
from datetime import timedelta

import numpy as np
import pytest
from drift_data import START, put_observations, put_spans, put_windows, quantiles

from drift.bins import EDGE_LEVELS, Bins
from drift.signals import Question, count_windows, edge_quantiles
from drift.windows import QUANTILE_LEVELS
from settings import DriftMonitor, SettingsError
from store.telemetry import TelemetryStore

HOUR = START + timedelta(hours=1)


def ask(signal: str, stage: str | None = None, pipeline: str | None = None, model: str | None = None) -> Question:
    return Question.of(
        DriftMonitor(name="m", signal=signal, stage=stage, pipeline=pipeline, model=model, window_seconds=2.0)
    )


def test_counts_and_quantiles_of_the_engine_are_those_of_numpy(telemetry: TelemetryStore) -> None:
    rng = np.random.default_rng(7)
    samples = [
        rng.lognormal(0, 3, 400),
        rng.poisson(2, 300).astype(float),
        np.concatenate([[1e9, -1e300, 5e-324, -0.0, 0.0], rng.normal(0, 1e-8, 50)]),
    ]
    put_windows(telemetry, samples)
    edges = edge_quantiles(telemetry, ask("feature.length"), START, HOUR)
    assert edges == quantiles(np.concatenate(samples), EDGE_LEVELS)
    bins = Bins.from_quantiles(edges)
    windows = count_windows(telemetry, ask("feature.length"), bins.edges, START, HOUR, 100)
    assert [w.cells for w in windows] == [bins.count(sample) for sample in samples]
    assert [w.quantiles for w in windows] == [quantiles(sample, QUANTILE_LEVELS) for sample in samples]
    assert [w.start for w in windows] == [START + timedelta(seconds=2 * n) for n in range(3)]
    assert all(w.end - w.start == timedelta(seconds=2) for w in windows)


def test_a_value_on_an_edge_counts_below_it(telemetry: TelemetryStore) -> None:
    values = [0.1, 0.1 + 0.2, 0.3, 1e22, math.nextafter(0.1, 1)]
    put_observations(telemetry, values, [START] * 5)
    bins = Bins((0.1, 0.3, 1e22), 1, 1)
    (window,) = count_windows(telemetry, ask("feature.length"), bins.edges, START, HOUR, 10)
    # (-inf, .1]: .1; (.1, .3]: .3 and nextafter(.1); (.3, 1e22]: .30000000000000004 and 1e22; above: none.
    assert window.cells == (1, 2, 2, 0) == bins.count(values)


def test_what_is_not_a_finite_number_is_counted_apart(telemetry: TelemetryStore) -> None:
    values = [1.0, None, math.nan, math.inf, -math.inf, "cat", 2.0]
    put_observations(telemetry, values, [START] * 7)
    (window,) = count_windows(telemetry, ask("feature.length"), (1.5,), START, HOUR, 10)
    assert (window.cells, window.missing, window.nan, window.infinite, window.text) == ((1, 1), 1, 1, 2, 1)
    assert (window.rows, window.not_numbers) == (2, 5)


def test_a_window_without_any_number_has_no_quantiles(telemetry: TelemetryStore) -> None:
    put_observations(telemetry, [None, math.nan], [START, START])
    (window,) = count_windows(telemetry, ask("feature.length"), (1.5,), START, HOUR, 10)
    assert window.rows == 0
    assert window.quantiles == ()


def test_a_span_that_is_stored_twice_counts_once(telemetry: TelemetryStore) -> None:
    put_spans(telemetry, [{"output_tokens": n} for n in (3, 3, 8)], copies=2)
    (window,) = count_windows(telemetry, ask("output_tokens"), (5.0,), START, HOUR, 10)
    assert window.cells == (2, 1)


def test_an_observation_that_is_stored_twice_counts_once_if_a_span_tells_it_apart(telemetry: TelemetryStore) -> None:
    put_observations(telemetry, [1.0, 1.0], [START, START], copies=2)
    put_observations(telemetry, [9.0], [START], copies=2, with_span=False)
    (window,) = count_windows(telemetry, ask("feature.length"), (5.0,), START, HOUR, 10)
    assert window.cells == (2, 2)


def test_token_signals_count_calls_only(telemetry: TelemetryStore) -> None:
    put_spans(
        telemetry,
        [
            {"output_tokens": 10, "time_to_first_token_seconds": 0.5},
            {"output_tokens": None},
            {"output_tokens": 10, "usage_role": "rollup", "stage": "", "name": "support"},
            {"usage_role": "none"},
        ],
    )
    (tokens,) = count_windows(telemetry, ask("output_tokens"), (5.0,), START, HOUR, 10)
    assert (tokens.cells, tokens.missing) == ((0, 1), 1)
    (first,) = count_windows(telemetry, ask("time_to_first_token_seconds"), (0.5,), START, HOUR, 10)
    assert (first.cells, first.missing) == ((1, 0), 1)


def test_durations_are_those_of_the_stage_or_of_the_pipeline_itself(telemetry: TelemetryStore) -> None:
    ago = START - timedelta(seconds=4)
    put_spans(
        telemetry,
        [
            {"start_time": START - timedelta(milliseconds=250)},
            {"stage": "", "name": "support", "usage_role": "none", "start_time": ago},
            {"stage": "", "name": "chat m", "start_time": ago},
            {"stage": "", "pipeline": "", "name": "GET", "usage_role": "none", "start_time": ago},
        ],
    )
    (stage,) = count_windows(telemetry, ask("duration_seconds", stage="generate"), (0.25,), START, HOUR, 10)
    assert stage.cells == (1, 0)
    (pipeline,) = count_windows(telemetry, ask("duration_seconds", pipeline="support"), (0.25,), START, HOUR, 10)
    assert pipeline.cells == (0, 1)
    assert pipeline.quantiles[9] == 4.0


def test_pipeline_stage_and_model_narrow_a_signal(telemetry: TelemetryStore) -> None:
    put_spans(
        telemetry,
        [
            {"output_tokens": 1},
            {"output_tokens": 1, "pipeline": "other"},
            {"output_tokens": 1, "stage": "rerank"},
            {"output_tokens": 1, "request_model": "n"},
        ],
    )

    def rows(**narrow: str) -> int:
        return count_windows(telemetry, ask("output_tokens", **narrow), (5.0,), START, HOUR, 10)[0].rows

    assert rows() == 4
    assert rows(pipeline="support") == 3
    assert rows(pipeline="support", stage="generate") == 2
    assert rows(pipeline="support", stage="generate", model="m") == 1


def test_only_the_range_is_counted_and_no_more_windows_than_the_limit(telemetry: TelemetryStore) -> None:
    put_windows(telemetry, [[1.0]] * 6)
    start, end = START + timedelta(seconds=2), START + timedelta(seconds=10)
    found = count_windows(telemetry, ask("feature.length"), (5.0,), start, end, 100)
    assert [w.start for w in found] == [START + timedelta(seconds=s) for s in (2, 4, 6, 8)]
    assert count_windows(telemetry, ask("feature.length"), (5.0,), start, end, 2) == found[:2]


def test_a_signal_that_does_not_exist_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(SettingsError, match=r"'latency'.*does not exist.*output_tokens.*feature\.<name>.*andon\.toml"):
        ask("latency")
