"""What the benchmark sends: the requests of an SDK, of spans or of metrics, and how their storage is recognised."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SPANS_PER_REQUEST = 512
ATTRIBUTES = 16
POINTS_PER_REQUEST = 512


@dataclass(frozen=True)
class Load:
    """One kind of load; `body` makes the request of a seed, `items` says how many items each holds."""

    path: str
    table: str
    noun: str
    items: int
    described: str
    body: Callable[[int], bytes]
    message: type[Message]


def spans_body(seed: int) -> bytes:
    """512 GenAI spans of 16 attributes each, as an SDK sends them; ids are unique per seed."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "bench"
    spans = resource.scope_spans.add().spans
    now = time.time_ns()
    for index in range(SPANS_PER_REQUEST):
        number = seed * SPANS_PER_REQUEST + index + 1
        span = spans.add(
            trace_id=(number // 8 + 1).to_bytes(8, "big") + b"benchmrk",
            span_id=number.to_bytes(8, "big"),
            name="chat gpt-5",
            kind=3,
            start_time_unix_nano=now - 10**9,
            end_time_unix_nano=now - index,
        )
        texts = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-5",
            "gen_ai.response.model": "gpt-5",
            "gen_ai.response.id": f"resp_{number}",
            "gen_ai.conversation.id": f"conv_{number // 16}",
            "andon.pipeline": f"pipeline-{index % 5}",
            "andon.stage": "generate",
            "andon.run.id": f"{number // 8:032x}",
            "server.address": "api.openai.com",
        }
        for key, text in texts.items():
            span.attributes.add(key=key).value.string_value = text
        counts = {"gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 100 + index % 50, "server.port": 443}
        for key, count in counts.items():
            span.attributes.add(key=key).value.int_value = count
        span.attributes.add(key="gen_ai.response.time_to_first_chunk").value.double_value = 0.2
        span.attributes.add(key="gen_ai.request.stream").value.bool_value = True
        span.attributes.add(key="gen_ai.request.temperature").value.double_value = 0.7
        assert len(span.attributes) == ATTRIBUTES
    return request.SerializeToString()


def metrics_body(seed: int) -> bytes:
    """512 points as a busy service sends them each minute: half token histograms, the rest counters and gauges."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "bench"
    metrics = resource.scope_metrics.add().metrics
    now = time.time_ns()
    tokens = metrics.add(name="gen_ai.client.token.usage", unit="{token}").histogram
    tokens.aggregation_temporality = 2
    calls = metrics.add(name="calls").sum
    calls.aggregation_temporality, calls.is_monotonic = 2, True
    power = metrics.add(name="hw.power", unit="W").gauge
    times = {"start_time_unix_nano": now - 60 * 10**9, "time_unix_nano": now + seed}
    bounds = [4.0**power for power in range(14)]
    for index in range(POINTS_PER_REQUEST):
        if index % 2:
            point = tokens.data_points.add(
                count=15, sum=seed + index, explicit_bounds=bounds, bucket_counts=[1] * 15, **times
            )
        elif index % 4:
            point = calls.data_points.add(as_int=seed + index, **times)
        else:
            point = power.data_points.add(as_double=300.5 + index, **times)
        texts = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": f"model-{index % 16}",
            "server.address": f"host-{index}",
            "gen_ai.token.type": "output",
        }
        for key, text in texts.items():
            point.attributes.add(key=key).value.string_value = text
    return request.SerializeToString()


LOADS = {
    "traces": Load(
        "/v1/traces",
        "spans",
        "span",
        SPANS_PER_REQUEST,
        f"{SPANS_PER_REQUEST} spans x {ATTRIBUTES} attributes",
        spans_body,
        ExportTraceServiceRequest,
    ),
    "metrics": Load(
        "/v1/metrics",
        "metric_points",
        "point",
        POINTS_PER_REQUEST,
        f"{POINTS_PER_REQUEST} points x 5 attributes, half of them histograms of 15 buckets",
        metrics_body,
        ExportMetricsServiceRequest,
    ),
}
