"""Requests as the SDK of a service sends them, of spans or of metrics, built with the official protobuf classes."""

from __future__ import annotations

import time

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.ingest.drawn import SPANS_PER_REQUEST, drawn

ATTRIBUTES = 16
POINTS_PER_REQUEST = 512


def spans_body(seed: int, now: int | None = None) -> bytes:
    """512 GenAI spans of 16 attributes each, as an SDK sends them; ids are unique per seed.

    Args:
        now: UTC nanoseconds at which the last of them ends; None: now.
    """
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "bench"
    spans = resource.scope_spans.add().spans
    all_drawn = drawn(seed, time.time_ns() if now is None else now)
    for index in range(SPANS_PER_REQUEST):
        span = spans.add(
            trace_id=b"".join(int(half[index]).to_bytes(8, "big") for half in all_drawn.trace),
            span_id=int(all_drawn.span[index]).to_bytes(8, "big"),
            name="chat gpt-5",
            kind=3,
            start_time_unix_nano=int(all_drawn.start[index]),
            end_time_unix_nano=int(all_drawn.end[index]),
        )
        texts = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-5",
            "gen_ai.response.model": "gpt-5",
            "gen_ai.response.id": f"resp_{all_drawn.response[index]:016x}",
            "gen_ai.conversation.id": f"conv_{all_drawn.conversation[index]:016x}",
            "andon.pipeline": f"pipeline-{index % 5}",
            "andon.stage": "generate",
            "andon.run.id": "".join(f"{half[index]:016x}" for half in all_drawn.run),
            "server.address": "api.openai.com",
        }
        for key, text in texts.items():
            span.attributes.add(key=key).value.string_value = text
        counts = {
            "gen_ai.usage.input_tokens": all_drawn.input_tokens[index],
            "gen_ai.usage.output_tokens": all_drawn.output_tokens[index],
            "server.port": 443,
        }
        for key, count in counts.items():
            span.attributes.add(key=key).value.int_value = int(count)
        first = all_drawn.first_token_seconds[index]
        span.attributes.add(key="gen_ai.response.time_to_first_chunk").value.double_value = first
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
