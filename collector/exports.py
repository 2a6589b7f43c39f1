"""The exports of OTLP that the receivers take: path and gRPC method, messages and decoder of each, and where its
rows are stored."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collector.decode import decode_traces
from collector.metrics import decode_metrics
from collector.observations import decode_logs
from collector.rows import Decoder

_LENGTH_DELIMITED = 2  # the wire type of a message within a message


@dataclass(frozen=True)
class Export:
    """One kind of export; `rejected` is the field of a partial success that counts what was refused."""

    path: str
    table: str
    decode: Decoder
    request: type[Message]
    answer: type[Message]
    rejected: str

    @property
    def method(self) -> str:
        """The gRPC method, as it is called."""
        (service,) = self.request.DESCRIPTOR.file.services_by_name.values()
        return f"/{service.full_name}/Export"

    def is_foreign(self, body: bytes, message: bytes) -> bool:
        """Whether a body, whose protobuf bytes are `message`, says something but not what this export is about.

        A message of another kind can be read as one without items: protobuf does not say what it holds.
        """
        if message:
            return message[0] != self._first_byte
        said = b"".join(body.split())
        return said not in {b"", b"{}"} and not any(name in said for name in self._names)

    @cached_property
    def _first_byte(self) -> int:
        (field,) = self.request.DESCRIPTOR.fields
        return int(field.number << 3 | _LENGTH_DELIMITED)

    @cached_property
    def _names(self) -> tuple[bytes, ...]:
        (field,) = self.request.DESCRIPTOR.fields
        return field.name.encode(), field.json_name.encode()


EXPORTS = (
    Export(
        "/v1/traces", "spans", decode_traces, ExportTraceServiceRequest, ExportTraceServiceResponse, "rejected_spans"
    ),
    Export(
        "/v1/metrics",
        "metric_points",
        decode_metrics,
        ExportMetricsServiceRequest,
        ExportMetricsServiceResponse,
        "rejected_data_points",
    ),
    Export(
        "/v1/logs",
        "observations",
        decode_logs,
        ExportLogsServiceRequest,
        ExportLogsServiceResponse,
        "rejected_log_records",
    ),
)
