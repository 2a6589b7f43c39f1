"""A recording SDK without global state, a collector on loopback, and fresh interpreters to run whole programs in."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from andon import notices
from andon.ids import OwnIdGenerator
from andon.measuring import Sums
from andon.metering import Meter
from andon.notices import Loss, losses
from andon.observations import Observation
from andon.outbox import Outbox
from andon.packing import packed_attributes
from andon.runtime import State, runtime
from andon.sampling import RowBudget
from andon.settings import QueueLimits
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.packed_rows import rows_of


class Recorded:
    """What the SDK has recorded in this test."""

    def __init__(
        self, exporter: InMemorySpanExporter, outbox: Outbox[Observation], basket: Basket, meter: Meter
    ) -> None:
        self._exporter = exporter
        self._meter = meter
        self._outbox = outbox
        self._basket = basket

    @property
    def spans(self) -> list[ReadableSpan]:
        """Ended spans, in the order in which they ended."""
        return list(self._exporter.get_finished_spans())

    def span(self, name: str) -> ReadableSpan:
        """The one span of that name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found

    def attributes(self, name: str) -> dict[str, Any]:
        """Attributes of the one span of that name."""
        return dict(self.span(name).attributes or {})

    @property
    def sums(self) -> Sums:
        """Everything measured."""
        return self._meter.flush()

    @property
    def observations(self) -> list[Observation]:
        """What `observe` has handed over."""
        assert self._outbox.flush(10)
        return self._basket.items

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Attributes of every observed row."""
        return [row for observation in self.observations for row in rows_of_observation(observation)]


def rows_of_observation(observation: Observation) -> list[dict[str, Any]]:
    """Attributes of the rows of one record."""
    return rows_of(packed_attributes(observation)) if observation.columns else [observation.known_constants()]


class Basket:
    """A sender that keeps what it is given."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def send(self, items: list[Any], /) -> str | None:
        self.items.extend(items)
        return None

    def close(self) -> None:
        return


@pytest.fixture(autouse=True)
def _fresh_warnings() -> None:
    notices.forget_warnings()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """The SDK recording into memory; the test fails if a fault inside the SDK was swallowed."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(id_generator=OwnIdGenerator(), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    basket = Basket()
    limits = QueueLimits(max_items=1000, max_batch=100, delay_seconds=60, max_bytes=2**20)
    outbox: Outbox[Observation] = Outbox(
        "observations",
        limits,
        lambda: basket,
        losses,
        weigh=lambda item: item.count,
        measure=lambda item: item.size_bytes,
    )
    monkeypatch.setattr(runtime, "tracer", provider.get_tracer("andon"))
    monkeypatch.setattr(runtime, "observations", outbox)
    meter = Meter(60, None, losses)
    monkeypatch.setattr(runtime, "meter", meter)
    monkeypatch.setattr(runtime, "row_budget", RowBudget(0))
    monkeypatch.setattr(runtime, "state", State.RUNNING)
    faults = losses.total(Loss.FAULT)
    yield Recorded(exporter, outbox, basket, meter)
    for part in (outbox, meter):
        part.start_closing()
        part.finish_closing(time.monotonic() + 10)
    assert losses.total(Loss.FAULT) == faults


@dataclass
class LoopbackCollector:
    """A small OTLP/HTTP server that decodes with the official classes.

    Attributes:
        status: what it answers.
        hold: while cleared, it takes a request and does not answer.
    """

    status: int = 200
    hold: threading.Event = field(default_factory=threading.Event)
    url: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)
    traces: list[ExportTraceServiceRequest] = field(default_factory=list)
    logs: list[ExportLogsServiceRequest] = field(default_factory=list)
    metrics: list[ExportMetricsServiceRequest] = field(default_factory=list)
    accepted: list[ExportTraceServiceRequest] = field(default_factory=list)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Keep one request."""
        if headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.headers.append(headers)
        if path == "/v1/traces":
            self.traces.append(ExportTraceServiceRequest.FromString(body))
        elif path == "/v1/logs":
            self.logs.append(ExportLogsServiceRequest.FromString(body))
        elif path == "/v1/metrics":
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))

    @property
    def spans(self) -> list[Any]:
        """All spans that arrived."""
        return self._spans_of(self.traces)

    @property
    def accepted_spans(self) -> list[Any]:
        """All spans whose request was answered with success."""
        return self._spans_of(self.accepted)

    @staticmethod
    def _spans_of(requests: list[ExportTraceServiceRequest]) -> list[Any]:
        return [
            span
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def log_records(self) -> list[Any]:
        """All log records that arrived."""
        return [
            record
            for request in self.logs
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]


@pytest.fixture
def collector() -> Iterator[LoopbackCollector]:
    """A collector that accepts, on a free port of the loopback."""
    taken = LoopbackCollector()
    taken.hold.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            taken.take(self.path, headers, body)
            taken.hold.wait(30)
            status = taken.status
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()
            if status == 200 and self.path == "/v1/traces":
                taken.accepted.append(ExportTraceServiceRequest.FromString(body))

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    taken.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield taken
    taken.hold.set()
    server.shutdown()
    thread.join()
    server.server_close()


RunProgram = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_program() -> RunProgram:
    """Runs a program in a fresh interpreter; keyword arguments are environment variables."""

    def run(program: str, **env: str) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "ANDON_"))}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**inherited, "NO_PROXY": "127.0.0.1", **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run


def attributes_of(thing: Any) -> dict[str, Any]:
    """Attributes of a decoded span, log record or resource as Python values."""
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in thing.attributes}


@pytest.fixture
def decoded() -> Callable[[Any], dict[str, Any]]:
    """Reads the attributes of what the collector decoded."""
    return attributes_of
