"""Metrics of model calls: the conventions' names, units and buckets, whole whatever happens to spans."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import andon
import pytest
from andon import measuring, metering
from andon.measuring import MOST_SERIES, SECOND_EDGES, TOKEN_EDGES, Histogram, Sums
from andon.metering import Meter
from andon.notices import Loss, LossLog
from andon.place import Kind, Mark
from andon.runtime import runtime
from andon.spans import open_span
from andon.streams import stream
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

USAGE = "gen_ai.client.token.usage"
DURATION = "gen_ai.client.operation.duration"
FIRST = "gen_ai.client.operation.time_to_first_chunk"
GAP = "gen_ai.client.operation.time_per_output_chunk"

MODEL = (("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "vllm"), ("gen_ai.request.model", "small"))


def test_the_buckets_are_those_of_the_conventions() -> None:
    tokens = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
    seconds = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
    assert tokens == TOKEN_EDGES
    assert seconds == pytest.approx(SECOND_EDGES)


def test_a_value_on_an_edge_belongs_to_the_bucket_that_the_edge_closes() -> None:
    histogram = Histogram((1.0, 4.0))
    for value in (1, 1.5, 4, 5):
        histogram.add(value)
    assert histogram.counts == [1, 2, 1]
    assert histogram.total == 11.5


def test_a_call_with_usage_is_counted_by_token_type_and_by_duration(recorded: Any) -> None:
    @andon.stage("generate")
    def generate() -> None:
        andon.record_tokens(input=812, output=96, model="small", provider="vllm")

    @andon.pipeline("rag")
    def rag() -> None:
        generate()

    rag()
    rag()
    sums = recorded.sums
    where = (("andon.pipeline", "rag"), ("andon.stage", "generate"))
    of_input, of_output = ((*MODEL, *where, ("gen_ai.token.type", kind)) for kind in ("input", "output"))
    assert set(sums.histograms[USAGE]) == {of_input, of_output}
    assert sums.histograms[USAGE][of_input].total == 1624
    assert sums.histograms[USAGE][of_input].counts[5] == 2  # above 256, up to 1024
    assert sums.histograms[USAGE][of_output].total == 192
    (durations,) = sums.histograms[DURATION].items()
    assert durations[0] == (*MODEL, *where)
    assert sum(durations[1].counts) == 2


def test_work_that_asks_no_model_makes_no_metric(recorded: Any) -> None:
    andon.stage("parse")(lambda: None)()
    assert recorded.sums.histograms == recorded.sums.counters == {}


def test_unknown_is_not_counted_as_none(recorded: Any) -> None:
    andon.stage("s")(lambda: andon.record_tokens(input=5, model="m"))()
    types = {dict(series)["gen_ai.token.type"] for series in recorded.sums.histograms[USAGE]}
    assert types == {"input"}


def test_a_failed_call_has_its_error_type(recorded: Any) -> None:
    @andon.stage("s")
    def fails() -> None:
        andon.record_tokens(input=5, model="m")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        fails()
    (series,) = recorded.sums.histograms[DURATION]
    assert dict(series)["error.type"] == "ConnectionError"


def test_a_second_model_is_counted_without_a_duration_of_its_own(recorded: Any) -> None:
    @andon.stage("s")
    def s() -> None:
        andon.record_tokens(input=1, model="one")
        andon.record_tokens(input=2, model="two")

    s()
    models = {dict(series)["gen_ai.request.model"]: h.total for series, h in recorded.sums.histograms[USAGE].items()}
    assert models == {"one": 1, "two": 2}
    assert [dict(series)["gen_ai.request.model"] for series in recorded.sums.histograms[DURATION]] == ["one"]


def test_time_to_first_and_between_chunks_by_hand(recorded: Any) -> None:
    now_ms = 0

    def body() -> Iterator[int]:
        nonlocal now_ms
        for wait_ms in (250, 30, 50):
            now_ms += wait_ms
            yield 1
        andon.record_tokens(output=3, model="m")

    list(stream(body(), lambda: open_span(Mark(Kind.STAGE, "generate")), clock=lambda: now_ms * 1_000_000))
    (first,) = recorded.sums.histograms[FIRST].values()
    assert (sum(first.counts), first.total) == (1, 0.25)
    (gaps,) = recorded.sums.histograms[GAP].values()
    assert gaps.total == pytest.approx(0.08)
    assert gaps.counts[2] == 1  # 0.02 to 0.04
    assert gaps.counts[3] == 1  # 0.04 to 0.08


def test_a_stream_of_data_makes_no_metric_of_chunks(recorded: Any) -> None:
    @andon.stage("rows")
    def rows() -> Iterator[int]:
        yield from range(5)

    list(rows())
    assert recorded.sums.histograms == {}


def test_rows_and_bytes_are_counters_by_direction(recorded: Any) -> None:
    @andon.stage("parse")
    def parse() -> None:
        andon.record_tokens(rows_in=10, rows_out=8, bytes_in=1000)
        andon.record_tokens(rows_in=5)

    parse()
    found = recorded.attributes("parse")
    assert (found["andon.rows.in"], found["andon.rows.out"], found["andon.bytes.in"]) == (15, 8, 1000)
    assert "andon.bytes.out" not in found
    stage = ("andon.stage", "parse")
    assert recorded.sums.counters == {
        "andon.rows": {(stage, ("andon.direction", "in")): 15, (stage, ("andon.direction", "out")): 8},
        "andon.bytes": {(stage, ("andon.direction", "in")): 1000},
    }


def test_a_span_that_is_not_sampled_is_measured_all_the_same(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "tracer", TracerProvider(sampler=ALWAYS_OFF).get_tracer("andon"))
    andon.stage("s")(lambda: andon.record_tokens(input=5, model="m"))()
    assert recorded.spans == []
    assert [histogram.total for histogram in recorded.sums.histograms[USAGE].values()] == [5]


def test_beyond_the_most_series_values_are_kept_under_overflow() -> None:
    sums = Sums(0)
    for number in range(MOST_SERIES + 3):
        found = {"gen_ai.operation.name": "chat", "gen_ai.request.model": f"m{number}"}
        sums.add((found, {}, 10_000_000, 0, None))
    series = sums.histograms[DURATION]
    assert len(series) == MOST_SERIES + 1
    assert sum(series[(("otel.metric.overflow", True),)].counts) == 3


@given(st.lists(st.integers(0, 2**40), max_size=50))
def test_a_histogram_counts_every_value_once(values: list[int]) -> None:
    histogram = Histogram(TOKEN_EDGES)
    for value in values:
        histogram.add(value)
    assert sum(histogram.counts) == len(values)
    assert histogram.total == sum(values)


def test_while_a_hosts_instruments_are_not_ready_measurements_wait_bounded_and_the_rest_is_counted() -> None:
    reached, go_on = threading.Event(), threading.Event()

    class Counting:
        """Stands for the host's instruments."""

        count = 0

        def add(self, _: measuring.Measurement) -> None:
            self.count += 1

    counting = Counting()

    def open_sink() -> Counting:
        reached.set()
        go_on.wait(30)
        return counting

    losses = LossLog()
    meter = Meter(60, None, losses, open_sink)
    measurement: measuring.Measurement = ({}, {}, None, 0, None)
    meter.take(measurement)
    reached.wait(30)
    for _ in range(20_000):
        meter.take(measurement)
    assert len(meter._waiting) <= metering.WAITING_AT_MOST
    go_on.set()
    meter.start_closing()
    meter.finish_closing(time.monotonic() + 30)
    assert counting.count > 0
    assert counting.count + losses.total(Loss.EXPORT) == 20_001


def test_what_comes_faster_than_the_thread_folds_is_added_up_by_the_caller() -> None:
    class Stuck(Meter):
        """Its thread never comes to fold."""

        def _start_worker(self) -> None:
            self._worker = threading.current_thread()

    meter = Stuck(60, None, LossLog())
    found = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1}
    for _ in range(3 * metering.WAITING_AT_MOST):
        meter.take((found, {}, None, 0, None))
    assert len(meter._waiting) <= metering.WAITING_AT_MOST
    (histogram,) = meter.flush().histograms[USAGE].values()
    assert histogram.total == 3 * metering.WAITING_AT_MOST


PROGRAM = """
import andon
andon.init("shop")
@andon.stage("generate")
def generate():
    for n in range(3):
        yield n
    andon.record_tokens(input=10, output=3, model="m", provider="p", rows_out=3)
list(generate()); list(generate())
"""


def _metrics(collector: Any) -> dict[str, Any]:
    (request,) = collector.metrics
    (resource,) = request.resource_metrics
    (scope,) = resource.scope_metrics
    assert scope.scope.name == "andon"
    return {metric.name: metric for metric in scope.metrics}


def test_metrics_arrive_as_cumulative_otlp(collector: Any, run_program: Any, decoded: Any) -> None:
    run_program(PROGRAM, ANDON_ENDPOINT=collector.url)
    metrics = _metrics(collector)
    assert set(metrics) == {USAGE, DURATION, FIRST, GAP, "andon.rows"}
    usage = metrics[USAGE]
    assert (usage.unit, usage.histogram.aggregation_temporality) == ("{token}", 2)
    points = {decoded(point)["gen_ai.token.type"]: point for point in usage.histogram.data_points}
    assert (points["input"].count, points["input"].sum) == (2, 20)
    assert (points["output"].count, points["output"].sum) == (2, 6)
    assert list(points["input"].explicit_bounds) == list(TOKEN_EDGES)
    assert list(points["input"].bucket_counts) == [0, 0, 2, *[0] * 12]
    assert points["input"].start_time_unix_nano < points["input"].time_unix_nano
    (gaps,) = metrics[GAP].histogram.data_points
    assert gaps.count == 4
    rows = metrics["andon.rows"]
    assert rows.sum.is_monotonic
    assert [point.as_int for point in rows.sum.data_points] == [6]


def test_sums_of_an_export_that_fails_go_with_the_next(collector: Any, run_program: Any) -> None:
    collector.status = 400
    done = run_program(
        PROGRAM
        + """
import urllib.request, time
from andon.runtime import runtime
while not runtime.meter._sender: time.sleep(0.01)
runtime.meter.flush(); runtime.meter._export(None)
print("failed once")
""",
        ANDON_ENDPOINT=collector.url,
        OTEL_METRIC_EXPORT_INTERVAL="3600000",
    )
    assert done.stdout == "failed once\n"
    assert len(collector.metrics) == 2  # the one that failed, and the one at exit with the same sums
    first, second = (request.resource_metrics[0].scope_metrics[0].metrics[0] for request in collector.metrics)
    assert first.histogram.data_points[0].count == second.histogram.data_points[0].count == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_meter_provider_of_the_host_gets_our_measurements(recorded: Any) -> None:
    from andon.metric_data import HostInstruments
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    reader = InMemoryMetricReader()
    sink = HostInstruments(MeterProvider([reader]), InstrumentationScope("andon", "1"))
    found = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 300, "andon.rows.in": 4}
    sink.add((found, {"andon.stage": "s"}, 30_000_000, 0, [10_000_000, 90_000_000]))
    sink.add((found, {"andon.stage": "s"}, 30_000_000, 0, None))
    data = reader.get_metrics_data()
    assert data is not None
    metrics = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    (usage,) = metrics[USAGE].data.data_points
    assert (usage.count, usage.sum, list(usage.explicit_bounds)) == (2, 600, list(TOKEN_EDGES))  # type: ignore[union-attr]
    (rows,) = metrics["andon.rows"].data.data_points
    assert rows.value == 8  # type: ignore[union-attr]
    (first,) = metrics[FIRST].data.data_points
    assert first.sum == 0.01  # type: ignore[union-attr]


def test_a_host_with_metrics_of_its_own_and_no_endpoint_of_ours_sends_them_itself(
    collector: Any, run_program: Any
) -> None:
    done = run_program(
        """
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
"""
        + PROGRAM
        + """
andon.shutdown()
print(sorted(metric.name for metric in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics))
""",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
    )
    assert USAGE in done.stdout
    assert collector.metrics == []
