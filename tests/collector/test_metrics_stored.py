"""Metrics on their way: answers of the receiver, and what stands in the store afterwards."""

from __future__ import annotations

import gzip
import time
from datetime import timedelta
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from starlette.testclient import TestClient

from collector.intake import Intake
from store.telemetry import TelemetryStore

PROTOBUF = {"content-type": "application/x-protobuf"}
THEN = time.time_ns()


def five_kinds() -> list[Metric]:
    times = {"start_time_unix_nano": THEN - 60 * 10**9, "time_unix_nano": THEN}
    gauge = Metric(name="hw.temperature", unit="Cel")
    gauge.gauge.data_points.add(as_double=61.5, **times)
    total = Metric(name="gen_ai.client.token.usage.total", unit="{token}")
    total.sum.aggregation_temporality, total.sum.is_monotonic = 2, True
    total.sum.data_points.add(as_int=2**53 + 1, **times).attributes.add(
        key="gen_ai.token.type"
    ).value.string_value = "output"
    histogram = Metric(name="gen_ai.client.operation.duration", unit="s")
    histogram.histogram.aggregation_temporality = 1
    point = histogram.histogram.data_points.add(
        count=2**64 - 1, sum=12.5, min=0.25, max=9.5, explicit_bounds=[0.5, 1.0], bucket_counts=[1, 2, 3], **times
    )
    point.exemplars.add(time_unix_nano=THEN, as_double=0.75, trace_id=b"t" * 16, span_id=b"s" * 8)
    exponential = Metric(name="exponential")
    exponential.exponential_histogram.aggregation_temporality = 2
    point = exponential.exponential_histogram.data_points.add(count=6, scale=-3, zero_count=1, **times)
    point.positive.offset = -7
    point.positive.bucket_counts.extend([2, 3])
    summary = Metric(name="summary")
    point = summary.summary.data_points.add(count=4, sum=8.0, **times)
    point.quantile_values.add(quantile=0.5, value=1.5)
    return [gauge, total, histogram, exponential, summary]


def body_of(*metrics: Metric) -> bytes:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    for key, text in {"service.name": "gateway", "deployment.environment.name": "lab", "host.name": "h1"}.items():
        resource.resource.attributes.add(key=key).value.string_value = text
    scope = resource.scope_metrics.add(metrics=metrics)
    scope.scope.name, scope.scope.version = "meter", "1.2"
    return request.SerializeToString()


def test_points_of_all_kinds_are_acknowledged_and_stored_with_their_values(
    client: TestClient, intake: Intake, telemetry: TelemetryStore
) -> None:
    packed = gzip.compress(body_of(*five_kinds()))
    answer = client.post("/v1/metrics", content=packed, headers={**PROTOBUF, "content-encoding": "gzip"})
    assert (answer.status_code, answer.content) == (200, b"")
    intake.stop()
    rows = {row["kind"]: row for row in telemetry.rows("SELECT * FROM metrics")}
    assert len(rows) == 5
    expected: dict[str, dict[str, Any]] = {
        "gauge": {"metric": "hw.temperature", "unit": "Cel", "value": 61.5, "int_value": None, "temporality": ""},
        "sum": {
            "int_value": 2**53 + 1,
            "temporality": "cumulative",
            "monotonic": True,
            "attributes": {"gen_ai.token.type": "output"},
        },
        "histogram": {
            "temporality": "delta",
            "value": None,
            "count": 2**64 - 1,
            "sum": 12.5,
            "min": 0.25,
            "max": 9.5,
            "bucket_bounds": [0.5, 1.0],
            "bucket_counts": [1, 2, 3],
            "exemplar_values": [0.75],
            "exemplar_trace_ids": [b"t" * 16],
            "exemplar_span_ids": [b"s" * 8],
        },
        "exponential_histogram": {
            "count": 6,
            "sum": None,
            "scale": -3,
            "zero_count": 1,
            "positive_offset": -7,
            "positive_counts": [2, 3],
            "negative_offset": None,
            "negative_counts": [],
        },
        "summary": {"count": 4, "sum": 8.0, "quantiles": [0.5], "quantile_values": [1.5], "monotonic": False},
    }
    for kind, columns in expected.items():
        assert {name: rows[kind][name] for name in columns} == columns, kind
    for row in rows.values():
        assert (row["service"], row["environment"], row["resource"]) == ("gateway", "lab", {"host.name": "h1"})
        assert (row["scope_name"], row["scope_version"], row["project"]) == ("meter", "1.2", "default")
        assert row["time"] - row["start_time"] == timedelta(seconds=60)
    assert intake.health()["accepted"]["metric_points"] == 5
    assert intake.health()["writer"]["metric_points"]["rows_total"] == 5


def test_part_of_the_points_can_be_refused_and_is_counted(client: TestClient, intake: Intake) -> None:
    good, bad = five_kinds()[:2]
    bad.sum.data_points[0].time_unix_nano = 0
    answer = client.post("/v1/metrics", content=body_of(good, bad), headers=PROTOBUF)
    partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_data_points) == (200, 1)
    assert "before 2000" in partial.error_message
    assert sum(intake.health()["refused_items"].values()) == 1
    assert intake.health()["accepted"]["metric_points"] == 1


def test_points_repeated_in_another_batch_are_stored_again_and_read_once(
    client: TestClient, intake: Intake, telemetry: TelemetryStore
) -> None:
    """As with spans: only a request that is the same throughout is known again; who reads counts a point once."""
    for metrics in (five_kinds(), reversed(five_kinds())):
        assert client.post("/v1/metrics", content=body_of(*metrics), headers=PROTOBUF).status_code == 200
    intake.stop()
    assert telemetry.rows("SELECT count() AS n FROM metric_points") == [{"n": 10}]
    once = "SELECT count() AS n FROM (SELECT * FROM metric_points LIMIT 1 BY series, start_time, time)"
    assert telemetry.rows(once) == [{"n": 5}]
