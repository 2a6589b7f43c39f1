"""From OTLP bytes to numbers: a recorded vLLM as a Collector sends it, and the SDK's own GPU metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from andon.gpu.metrics import HardwareMetrics
from andon.gpu.samples import Sample
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.resources import Resource

from collector.metrics import decode_metrics
from economics.catalogue import catalogue
from economics.engine_numbers import EngineNumber, numbers
from economics.engines import read_engines
from store.telemetry import TelemetryStore
from tests.economics.points import NOON, Row, at, scraped
from tests.metric_rows import store_whole, whole

RECORDED = (Path(__file__).parent / "data/vllm_0.32.0_metrics.prom").read_text()
CUMULATIVE = 2


def nanos(time: datetime) -> int:
    return int(time.timestamp()) * 10**9


def request_of(rows: list[Row], resource: Mapping[str, str]) -> bytes:
    """The rows as a Collector's Prometheus receiver sends them: doubles, with the scrape's start."""
    request = ExportMetricsServiceRequest()
    sent = request.resource_metrics.add()
    for key, text in resource.items():
        sent.resource.attributes.add(key=key).value.string_value = text
    scope = sent.scope_metrics.add()
    for row in rows:
        metric = scope.metrics.add(name=row["metric"])
        times = {"time_unix_nano": nanos(row["time"]), "start_time_unix_nano": nanos(row["start_time"])}
        if row["kind"] == "sum":
            metric.sum.aggregation_temporality, metric.sum.is_monotonic = CUMULATIVE, True
            point: Any = metric.sum.data_points.add(as_double=row["value"], **times)
        elif row["kind"] == "gauge":
            point = metric.gauge.data_points.add(as_double=row["value"], **times)
        else:
            metric.histogram.aggregation_temporality = CUMULATIVE
            point = metric.histogram.data_points.add(
                count=row["count"],
                sum=row["sum"],
                explicit_bounds=row["bucket_bounds"],
                bucket_counts=row["bucket_counts"],
                **times,
            )
        for key, text in row["attributes"]:
            point.attributes.add(key=key).value.string_value = text
    return request.SerializeToString()


def store_request(store: TelemetryStore, body: bytes) -> None:
    decoded = decode_metrics(body, time.time_ns())
    assert decoded.refused == {}
    store_whole(store, whole(decoded))


def answers(store: TelemetryStore, start: datetime, end: datetime) -> dict[str, EngineNumber]:
    return {each.quantity: each for each in numbers(read_engines(store, catalogue(), start, end), catalogue())}


def test_a_recorded_engine_through_a_collector(telemetry: TelemetryStore) -> None:
    resource = {"service.name": "vllm", "service.instance.id": "10.0.0.1:8000"}
    store_request(telemetry, request_of(scraped(RECORDED, at(10), start=at(-50)), resource))
    (row,) = read_engines(telemetry, catalogue(), NOON, at(60), {"tokens.output"})
    assert (row.key.service, row.key.instance, row.key.model) == ("vllm", "10.0.0.1:8000", "tiny")
    assert row.facts.value == 2624
    found = answers(telemetry, NOON, at(60))
    assert (found["tokens.input"].value, found["tokens.input.cache_read"].value) == (7197, 5248)
    assert found["latency.e2e"].events == 42


def test_what_the_agent_sends_is_the_energy_of_its_gpus(telemetry: TelemetryStore) -> None:
    began = datetime.now(UTC)
    metrics = HardwareMetrics(Resource({"service.name": "andon-agent", "host.name": "gpu-1"}))
    for second, joules in ((0.0, 5_000.0), (1.0, 5_300.0)):
        sample = Sample(
            uuid="GPU-1",
            at_seconds=second,
            index=0,
            name="H100",
            power_watts=300.0,
            energy_joules=joules,
            utilization=0.75,
        )
        data = metrics.collect([sample])
        assert data is not None
        store_request(telemetry, encode_metrics(data).SerializeToString())
    found = answers(telemetry, began - timedelta(minutes=1), datetime.now(UTC) + timedelta(minutes=1))
    # The counter starts at zero with the agent.
    assert found["energy.accelerator_j"].value == pytest.approx(300)
    assert found["util.accelerator_ratio"].last == 0.75
    assert found["energy.accelerator_j"].sources == ("otel.hw",)
