"""Batches of numbered spans, points and records, sent as OTLP until they are acknowledged, so that each can be counted.

They are made here, sent to a Collector over both transports in turn, and looked for in Andon's store.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import grpc
import httpx
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

SERVICES = {
    ExportTraceServiceRequest: ("traces", "opentelemetry.proto.collector.trace.v1.TraceService"),
    ExportMetricsServiceRequest: ("metrics", "opentelemetry.proto.collector.metrics.v1.MetricsService"),
    ExportLogsServiceRequest: ("logs", "opentelemetry.proto.collector.logs.v1.LogsService"),
}


@dataclass
class Sender:
    """Sends batches of `size` spans, points and records each; `acknowledged` is how many of each kind were taken."""

    http_url: str
    grpc_url: str
    size: int = 20
    acknowledged: int = 0
    retries: int = 0

    def send(self) -> None:
        """Send the next batch of each kind, again and again until it is acknowledged, as exporters do."""
        numbers = range(self.acknowledged, self.acknowledged + self.size)
        now = time.time_ns()
        for request in (spans(numbers, now), points(numbers, now), records(numbers, now)):
            while not self._taken(request, over_grpc=self.acknowledged // self.size % 2 == 1):
                self.retries += 1
                time.sleep(0.2)
        self.acknowledged += self.size

    def _taken(self, request: Message, over_grpc: bool) -> bool:
        signal, service = SERVICES[type(request)]
        if not over_grpc:
            headers = {"content-type": "application/x-protobuf"}
            try:
                url = f"{self.http_url}/v1/{signal}"
                answer = httpx.post(url, content=request.SerializeToString(), headers=headers, timeout=30)
            except httpx.TransportError:
                return False
            assert answer.status_code in {200, 429, 502, 503, 504}, answer.text
            return answer.status_code == 200
        with grpc.insecure_channel(self.grpc_url.removeprefix("http://")) as channel:
            try:
                channel.unary_unary(f"/{service}/Export")(request.SerializeToString(), timeout=30)
            except grpc.RpcError as error:
                assert error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}, error
                return False
            return True


def spans(numbers: range, now: int) -> ExportTraceServiceRequest:
    """A call of one input token for each number."""
    request = ExportTraceServiceRequest()
    of_service = request.resource_spans.add(resource=_resource())
    scope = of_service.scope_spans.add()
    for n in numbers:
        scope.spans.add(
            trace_id=(n + 1).to_bytes(16, "big"),
            span_id=(n + 1).to_bytes(8, "big"),
            name="chat",
            start_time_unix_nano=now,
            end_time_unix_nano=now + 1_000_000,
            attributes=[
                _text("gen_ai.operation.name", "chat"),
                KeyValue(key="gen_ai.usage.input_tokens", value=AnyValue(int_value=1)),
                KeyValue(key="gen_ai.usage.output_tokens", value=AnyValue(int_value=0)),
            ],
        )
    return request


def points(numbers: range, now: int) -> ExportMetricsServiceRequest:
    """A point of the counter `calls` for each number, which is its value."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add(resource=_resource()).scope_metrics.add().metrics.add(name="calls")
    metric.sum.is_monotonic = True
    metric.sum.aggregation_temporality = AGGREGATION_TEMPORALITY_CUMULATIVE
    for n in numbers:
        metric.sum.data_points.add(start_time_unix_nano=now - 1, time_unix_nano=now + n, as_int=n)
    return request


def records(numbers: range, now: int) -> ExportLogsServiceRequest:
    """A record for each number, which is its body."""
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add(resource=_resource()).scope_logs.add()
    for n in numbers:
        scope.log_records.add(time_unix_nano=now, body=AnyValue(string_value=str(n)))
    return request


def _resource() -> Resource:
    return Resource(attributes=[_text("service.name", "sender")])


def _text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))
