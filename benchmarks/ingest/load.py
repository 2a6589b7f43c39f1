"""What the benchmark sends: the requests of an SDK, of spans or of metrics, and how their storage is recognised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks.ingest.built import ATTRIBUTES, POINTS_PER_REQUEST, metrics_body
from benchmarks.ingest.drawn import SPANS_PER_REQUEST
from benchmarks.ingest.stamped import stamped_body


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


LOADS = {
    "traces": Load(
        "/v1/traces",
        "spans",
        "span",
        SPANS_PER_REQUEST,
        f"{SPANS_PER_REQUEST} spans x {ATTRIBUTES} attributes",
        stamped_body,
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
