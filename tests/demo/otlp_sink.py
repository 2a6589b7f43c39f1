"""A loopback OTLP/HTTP server that decodes with the official protobuf classes and keeps what it received."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.packed_rows import rows_of


@dataclass(frozen=True)
class SeenSpan:
    """One span: times in nanoseconds."""

    name: str
    attributes: dict[str, Any]
    start_ns: int
    end_ns: int
    failed: bool


class OtlpSink:
    """Receives until it is closed."""

    def __init__(self) -> None:
        self.spans: list[SeenSpan] = []
        self.observations: list[dict[str, Any]] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                sink.take(self.path, body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        self.spans.append(
                            SeenSpan(
                                span.name,
                                _values(span.attributes),
                                span.start_time_unix_nano,
                                span.end_time_unix_nano,
                                span.status.code == span.status.STATUS_CODE_ERROR,
                            )
                        )
        else:
            for resource_logs in ExportLogsServiceRequest.FromString(body).resource_logs:
                for scope_logs in resource_logs.scope_logs:
                    for record in scope_logs.log_records:
                        found = _values(record.attributes)
                        packed = {"andon.observation": False, "andon.observations": True}[record.event_name]
                        self.observations += rows_of(found) if packed else [found]

    def named(self, name: str) -> list[SeenSpan]:
        return [span for span in list(self.spans) if span.name == name]

    def observed(self, feature: str, pipeline: str) -> list[Any]:
        key = f"andon.observation.feature.{feature}"
        return [row[key] for row in list(self.observations) if key in row and row["andon.pipeline"] == pipeline]


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Poll until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)


def _values(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}
