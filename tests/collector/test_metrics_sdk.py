"""The real OpenTelemetry metrics SDK exports over HTTP into a running Andon; the store holds what it measured."""

from __future__ import annotations

from pathlib import Path

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from tests.servers import ServeProcess, query_directory

BOUNDS = [1, 4, 16, 64, 256]
OUTPUT = {"gen_ai.token.type": "output", "gen_ai.request.model": "m"}
INPUT = {"gen_ai.token.type": "input", "gen_ai.request.model": "m"}


def power(_: CallbackOptions) -> list[Observation]:
    return [Observation(301.5, {"hw.id": "gpu-0"}), Observation(288.25, {"hw.id": "gpu-1"})]


def measure(endpoint: str) -> None:
    """Two exports: a cumulative counter of 5 and then 12, delta histograms, one gauge of two devices."""
    exporter = OTLPMetricExporter(endpoint=endpoint, preferred_temporality={Histogram: AggregationTemporality.DELTA})
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider(
        [reader],
        Resource.create({"service.name": "bot", "deployment.environment.name": "lab"}),
        views=[View(instrument_name="exponential", aggregation=ExponentialBucketHistogramAggregation())],
        shutdown_on_exit=False,
    )
    meter = provider.get_meter("meter", "1.0")
    usage = meter.create_histogram(
        "gen_ai.client.token.usage", unit="{token}", explicit_bucket_boundaries_advisory=BOUNDS
    )
    exponential = meter.create_histogram("exponential")
    calls = meter.create_counter("calls")
    meter.create_observable_gauge("hw.power", [power], unit="W")
    usage.record(3, OUTPUT)
    usage.record(100, OUTPUT)
    usage.record(5000, INPUT)
    exponential.record(4.0)
    calls.add(5)
    assert reader.force_flush() is not False
    usage.record(16, OUTPUT)
    calls.add(7)
    assert provider.force_flush()
    provider.shutdown()


def test_what_the_sdk_measured_stands_in_the_store(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServeProcess(data) as server:
        measure(f"{server.otlp_url}/v1/metrics")
        assert server.stop() == 0
    rows = query_directory(
        data,
        "SELECT metric, kind, temporality, monotonic, int_value, value, toString(count) AS n, sum, min, max, "
        "arrayMap(x -> toInt32(x), bucket_bounds) AS bounds, arrayMap(x -> toInt32(x), bucket_counts) AS counts, "
        "arraySum(positive_counts) = 1 AS one_positive, toString(series) AS series, attributes, service, environment, "
        "scope_name, unit FROM metrics ORDER BY metric, time, attributes['gen_ai.token.type'], value",
    )
    assert {(row["service"], row["environment"], row["scope_name"]) for row in rows} == {("bot", "lab", "meter")}

    def of(metric: str) -> list[dict[str, object]]:
        return [row for row in rows if row["metric"] == metric]

    calls = of("calls")
    assert [(row["int_value"], row["value"], row["temporality"], row["monotonic"]) for row in calls] == [
        (5, 5.0, "cumulative", True),
        (12, 12.0, "cumulative", True),
        (12, 12.0, "cumulative", True),
    ]
    assert len({row["series"] for row in calls}) == 1
    usage = of("gen_ai.client.token.usage")
    assert [(row["attributes"], row["n"], row["sum"], row["min"], row["max"], row["counts"]) for row in usage] == [
        (INPUT, "1", 5000.0, 5000.0, 5000.0, [0, 0, 0, 0, 0, 1]),
        (OUTPUT, "2", 103.0, 3.0, 100.0, [0, 1, 0, 0, 1, 0]),
        (OUTPUT, "1", 16.0, 16.0, 16.0, [0, 0, 1, 0, 0, 0]),
    ]
    assert all(row["bounds"] == BOUNDS and row["temporality"] == "delta" for row in usage)
    assert len({row["series"] for row in usage}) == 2
    powers = of("hw.power")[:2]
    assert [(row["attributes"], row["value"], row["kind"], row["unit"]) for row in powers] == [
        ({"hw.id": "gpu-1"}, 288.25, "gauge", "W"),
        ({"hw.id": "gpu-0"}, 301.5, "gauge", "W"),
    ]
    (exponential,) = of("exponential")
    assert (exponential["kind"], exponential["n"], exponential["sum"]) == ("exponential_histogram", "1", 4.0)
    assert exponential["one_positive"]
