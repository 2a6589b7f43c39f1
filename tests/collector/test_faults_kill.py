"""kill -9 twenty times, also while it starts, and SIGTERM under load: every acknowledged span, point, record and
observation is there exactly once, in the rows and in the totals."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.testclient import TestClient

from collector import intake as intake_module
from collector.exports import Export
from collector.intake import Intake
from settings import CollectorSettings, Settings
from store.telemetry import TelemetryStore
from tests.collector.faults import FaultyStore, Weather, bodies, stored_services, told
from tests.collector.otlp_calls import LOGS, METRICS, PROTOBUF, RETRY, SUCCESS, TRACES, call, request_of, transport
from tests.servers import ServeProcess, query_directory, wait_until

SPANS, POINTS, RECORDS, OBSERVATIONS = 20, 10, 5, 3
KILLS = 20
# Spans are of minutes that are closed, so that their totals come to be read from the roll-up.
AGO_NANOS = 300 * 10**9
SENDERS = [(TRACES, PROTOBUF), (METRICS, PROTOBUF), (LOGS, "grpc"), (TRACES, "grpc")]


def spans_of(first: int) -> bytes:
    """Spans numbered from `first`, each with one output token and three input tokens."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    now = time.time_ns() - AGO_NANOS
    for number in range(first, first + SPANS):
        ids = {"trace_id": number.to_bytes(16, "big"), "span_id": number.to_bytes(8, "big")}
        span = spans.add(name="chat m", start_time_unix_nano=now - 1000, end_time_unix_nano=now, **ids)
        span.attributes.add(key="gen_ai.usage.output_tokens").value.int_value = 1
        span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = 3
    return request.SerializeToString()


def body_of(export: Export, sender: int, number: int) -> bytes:
    """A request that no other is like."""
    if export is TRACES:
        return spans_of((1 + sender) * 10**9 + number * SPANS)
    service = f"sender-{sender}-{number}"
    if export is METRICS:
        return request_of(METRICS, service, POINTS).SerializeToString()
    request = request_of(LOGS, service, RECORDS)
    assert isinstance(request, ExportLogsServiceRequest)
    records = request.resource_logs[0].scope_logs[0].log_records
    at = records[0].time_unix_nano
    for _ in range(OBSERVATIONS):
        observed = records.add(event_name="andon.observation", time_unix_nano=at)
        observed.attributes.add(key="andon.observation.score").value.double_value = 0.5
    return request.SerializeToString()


@dataclass
class Sender:
    """Sends requests of one signal one way, each again until it is acknowledged."""

    server: ServeProcess
    number: int
    export: Export
    way: str
    acknowledged: int = 0
    odd: list[object] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.is_set():
            body = body_of(self.export, self.number, self.acknowledged)
            while not self._deliver(body):
                time.sleep(0.1)
            self.acknowledged += 1

    def _deliver(self, body: bytes) -> bool:
        way = transport(self.way)
        try:
            code = call(self.server, self.way, self.export, body).code
        except httpx.TransportError:
            return False
        # A call that the end of the server cuts off is cancelled, which OTLP has sent again as well.
        if code not in {SUCCESS[way], RETRY[way], grpc.StatusCode.CANCELLED}:
            self.odd.append(code)
        return code == SUCCESS[way]


@contextmanager
def sending(server: ServeProcess) -> Iterator[list[Sender]]:
    """Senders of every signal; at the end of the block each has what it last sent acknowledged."""
    senders = [Sender(server, number, export, way) for number, (export, way) in enumerate(SENDERS)]
    threads = [threading.Thread(target=sender.run, daemon=True) for sender in senders]
    for thread in threads:
        thread.start()
    yield senders
    for sender in senders:
        sender.stop.set()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()


def wait_until_everybody_was_served(senders: list[Sender]) -> None:
    before = [sender.acknowledged for sender in senders]
    wait_until(
        lambda: all(sender.acknowledged > seen for sender, seen in zip(senders, before, strict=True)),
        "everybody was served",
    )


def start_and_kill_as_it_starts(server: ServeProcess) -> None:
    """Kill it when it has taken over what the run before left open, while it writes that to the store."""
    left = list((server.data_dir / "journal").glob("*/*.open"))
    before = server.pid

    def kill() -> None:
        wait_until(lambda: server.pid != before, "it starts")
        wait_until(lambda: not any(path.exists() for path in left), "what was left open is sealed")
        os.killpg(server.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        server.start()
    except AssertionError as error:
        killer.join()
        assert "ended with -9" in str(error)  # or it answered before that
    else:
        killer.join()
        server.kill()


def expect_all(server: ServeProcess, senders: list[Sender]) -> dict[str, tuple[int, int]]:
    """Every acknowledged span is in the totals once. Returns requests and items by table."""
    assert [sender.odd for sender in senders] == [[]] * len(senders)
    requests = {
        export: sum(s.acknowledged for s in senders if s.export is export) for export in (TRACES, METRICS, LOGS)
    }
    spans = requests[TRACES] * SPANS

    def totals() -> list[int]:
        found = server.get("/api/v1/summary", window="1h")
        return [found[name] for name in ("calls", "output_tokens", "input_tokens")]

    wait_until(lambda: totals()[0] >= spans, f"{spans} spans are in the totals")
    assert totals() == [spans, spans, 3 * spans]
    wait_until(lambda: server.metric("andon_fold_waiting_minutes") == 0, "all minutes are folded")
    assert totals() == [spans, spans, 3 * spans]
    return {
        "spans": (requests[TRACES] * SPANS, spans),
        "metric_points": (requests[METRICS], requests[METRICS] * POINTS),
        "logs": (requests[LOGS], requests[LOGS] * RECORDS),
        "observations": (requests[LOGS], requests[LOGS] * OBSERVATIONS),
    }


def assert_stored(server: ServeProcess, expected: dict[str, tuple[int, int]]) -> None:
    """So many rows of so many requests in each table; a span tells itself apart, the others their request."""
    counts = "SELECT '{0}' AS name, uniqExact({1}) AS requests, count() AS rows FROM {2}"
    one = {"spans": "(trace_id, span_id)"}
    sql = " UNION ALL ".join(counts.format(table, one.get(table, "service"), told(table)) for table in expected)
    found = query_directory(server.data_dir, sql)
    assert {row["name"]: (int(row["requests"]), int(row["rows"])) for row in found} == expected


def test_twenty_kills_lose_and_double_nothing_of_any_signal(tmp_path: Path) -> None:
    randomness = random.Random(4)
    with ServeProcess(tmp_path / "data") as server:
        with sending(server) as senders:
            for _ in range(KILLS // 2):
                wait_until_everybody_was_served(senders)
                time.sleep(randomness.uniform(0.0, 0.5))
                server.kill()
                start_and_kill_as_it_starts(server)
                server.start()
        expected = expect_all(server, senders)
        assert server.stop() == 0
    assert_stored(server, expected)


def test_sigterm_under_load_ends_cleanly_and_loses_nothing(tmp_path: Path) -> None:
    with ServeProcess(tmp_path / "data") as server:
        with sending(server) as senders:
            wait_until_everybody_was_served(senders)
            assert server.stop() == 0
            assert not list((server.data_dir / "journal").glob("*/*.open"))
            server.start()
        expected = expect_all(server, senders)
        assert server.stop() == 0
    assert_stored(server, expected)
    assert "Traceback" not in server.log


def test_an_insert_that_hangs_does_not_keep_a_server_from_stopping(
    tmp_path: Path, telemetry: TelemetryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "STOP_SECONDS", 0.1)
    monkeypatch.setattr(intake_module, "HANG_SECONDS", 0.1)
    settings = Settings(data_dir=tmp_path, collector=CollectorSettings(seal_seconds=0.05))
    weather = Weather()
    weather.open.clear()
    intake = Intake(settings, FaultyStore(telemetry, weather))
    intake.start()
    with TestClient(intake.receiver.app(), "http://localhost") as client:
        for export, body in bodies("hanging", 1):
            headers = {"content-type": PROTOBUF}
            assert client.post(export.path, content=body, headers=headers).status_code == 200
    wait_until(lambda: weather.tries >= 3, "every writer hangs")
    stopped = threading.Event()
    threading.Thread(target=lambda: (intake.stop(), stopped.set()), daemon=True).start()
    assert stopped.wait(60)
    again = Intake(settings, telemetry)
    again.start()
    wait_until(lambda: again.waiting_seconds() is None, "what waited is in the store")
    # The inserts that hung may still reach the store, after those of the next start.
    weather.open.set()
    for writer in intake._writers.values():
        writer.join()
    again.stop()
    for table in ("spans", "metric_points", "logs"):
        assert stored_services(telemetry, table) == {"hanging-0": 2}
