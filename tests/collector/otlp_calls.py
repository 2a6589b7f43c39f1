"""One OTLP request, sent in each way that the protocol has, and its answer in terms that all ways share."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import grpc
import httpx
from google.protobuf.json_format import Parse
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from collector.bodies import zstd
from collector.exports import EXPORTS, Export
from tests.collector.test_otlp_json import as_otlp_json_bytes
from tests.servers import ServeProcess

TRACES, METRICS, LOGS = EXPORTS
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
PACKINGS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress}
GRPC_COMPRESSIONS = {"": None, "gzip": grpc.Compression.Gzip}
# Of what OTLP names over HTTP and over gRPC for the same thing.
SUCCESS = {"http": 200, "grpc": grpc.StatusCode.OK}
BAD_DATA = {"http": 400, "grpc": grpc.StatusCode.INVALID_ARGUMENT}
UNAUTHENTICATED = {"http": 401, "grpc": grpc.StatusCode.UNAUTHENTICATED}
FORBIDDEN = {"http": 403, "grpc": grpc.StatusCode.PERMISSION_DENIED}
THROTTLED = {"http": 429, "grpc": grpc.StatusCode.RESOURCE_EXHAUSTED}
TOO_LARGE = {"http": 413, "grpc": grpc.StatusCode.RESOURCE_EXHAUSTED}
RETRY = {"http": 503, "grpc": grpc.StatusCode.UNAVAILABLE}


@dataclass(frozen=True)
class Answer:
    """An answer over HTTP or gRPC: its code there, its body, and the seconds after which it asks to try again."""

    code: int | grpc.StatusCode
    body: bytes
    media_type: str = PROTOBUF
    retry_after: str | None = None

    def message(self, kind: type[Message]) -> Message:
        """The body as a message, in the encoding that it says it has."""
        return Parse(self.body, kind()) if self.media_type == JSON else kind.FromString(self.body)

    @property
    def status(self) -> Status:
        found = self.message(Status)
        assert isinstance(found, Status)
        return found

    @property
    def retry_delay(self) -> int | None:
        """Seconds that the `RetryInfo` of the Status says."""
        info = RetryInfo()
        for detail in self.status.details:
            if detail.Unpack(info):
                return int(info.retry_delay.seconds)
        return None


def call(
    server: ServeProcess,
    way: str,
    export: Export,
    body: bytes,
    packing: str = "",
    said: Mapping[str, str] = MappingProxyType({}),
) -> Answer:
    """Send bytes; `way` is `grpc`, or the media type of HTTP; `said` are headers, or metadata, beside them."""
    if way == "grpc":
        return call_grpc(server, export.method, body, GRPC_COMPRESSIONS[packing], said=said)
    headers = {"content-type": way, **({"content-encoding": packing} if packing else {}), **said}
    packed = PACKINGS[packing](body) if packing else body
    return post(server, export.path, packed, headers)


def post(server: ServeProcess, path: str, body: bytes, headers: dict[str, str], method: str = "POST") -> Answer:
    found = httpx.request(method, f"{server.otlp_url}{path}", content=body, headers=headers, timeout=60)
    return Answer(found.status_code, found.content, found.headers["content-type"], found.headers.get("retry-after"))


def channel(server: ServeProcess) -> grpc.Channel:
    """A new connection."""
    address = server.otlp_grpc_url.removeprefix("http://")
    return grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])


def call_grpc(
    server: ServeProcess,
    method: str,
    body: bytes,
    compression: grpc.Compression | None = None,
    seconds: float = 60,
    said: Mapping[str, str] = MappingProxyType({}),
) -> Answer:
    with channel(server) as connection:
        try:
            answer = connection.unary_unary(method)(
                body, compression=compression, timeout=seconds, metadata=tuple(said.items())
            )
            return Answer(grpc.StatusCode.OK, answer)
        except grpc.RpcError as error:
            trailers = dict(error.trailing_metadata() or ())
            delay = trailers.get("google.rpc.retryinfo-bin")
            seconds_text = None if delay is None else str(RetryInfo.FromString(delay).retry_delay.seconds)
            return Answer(error.code(), trailers.get("grpc-status-details-bin", b""), retry_after=seconds_text)


def transport(way: str) -> str:
    return "grpc" if way == "grpc" else "http"


def request_of(export: Export, service: str, good: int = 1, bad: int = 0) -> Message:
    """A request of some items that can be stored, and some whose time was never set."""
    now = time.time_ns()
    times = [now] * good + [1] * bad
    named = KeyValue(key="service.name")
    named.value.string_value = service
    if export is TRACES:
        traces = ExportTraceServiceRequest()
        spans = traces.resource_spans.add(resource={"attributes": [named]}).scope_spans.add().spans
        for number, at in enumerate(times, 1):
            ids = {"trace_id": number.to_bytes(16, "big"), "span_id": number.to_bytes(8, "big")}
            spans.add(name="work", kind=2, start_time_unix_nano=at, end_time_unix_nano=at, **ids)
        return traces
    if export is METRICS:
        metrics = ExportMetricsServiceRequest()
        scope = metrics.resource_metrics.add(resource={"attributes": [named]}).scope_metrics.add()
        points = scope.metrics.add(name="power", unit="W").gauge.data_points
        for at in times:
            points.add(time_unix_nano=at, as_double=301.5)
        return metrics
    logs = ExportLogsServiceRequest()
    records = logs.resource_logs.add(resource={"attributes": [named]}).scope_logs.add().log_records
    for at in times:
        records.add(time_unix_nano=at, severity_number=9).body.string_value = "said"
    return logs


def body_of(message: Message, way: str) -> bytes:
    """The bytes of a request in the encoding of a way."""
    return as_otlp_json_bytes(message) if way == JSON else message.SerializeToString()
