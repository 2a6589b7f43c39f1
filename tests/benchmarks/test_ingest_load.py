"""The requests of the ingest benchmark: those that are stamped are those that are built, and no two spans are one."""

from __future__ import annotations

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.ingest.built import spans_body
from benchmarks.ingest.stamped import stamped_body

NOW = 1_790_000_000 * 10**9


def test_a_stamped_request_is_the_built_one_byte_for_byte() -> None:
    for seed in (0, 1, 12_345, 10**9):
        assert stamped_body(seed, NOW) == spans_body(seed, NOW)


def test_no_span_or_response_comes_twice_and_the_last_span_ends_now() -> None:
    spans = [
        span
        for seed in range(20)
        for span in ExportTraceServiceRequest.FromString(stamped_body(seed, NOW)).resource_spans[0].scope_spans[0].spans
    ]
    assert len({span.span_id for span in spans}) == len(spans) == 20 * 512
    assert len({span.trace_id for span in spans}) == 20 * 64
    assert spans[-1].end_time_unix_nano == NOW
    assert all(0 < span.end_time_unix_nano - span.start_time_unix_nano <= 3.2e9 for span in spans)
