"""kill -9 at any moment loses no acknowledged span and doubles none in the totals, whichever way it came."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.collector.otlp_calls import PROTOBUF, RETRY, SUCCESS, TRACES, call, transport
from tests.servers import ServeProcess, query_directory, wait_until

SPANS_PER_REQUEST = 20


def request_of(first: int) -> bytes:
    """Spans numbered from `first`, each with one output token and three input tokens."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    now = time.time_ns()
    for number in range(first, first + SPANS_PER_REQUEST):
        span = spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            name="chat m",
            start_time_unix_nano=now - 1000,
            end_time_unix_nano=now,
        )
        span.attributes.add(key="gen_ai.usage.output_tokens").value.int_value = 1
        span.attributes.add(key="gen_ai.usage.input_tokens").value.int_value = 3
    return request.SerializeToString()


@dataclass
class Sender:
    """Sends batches until stopped, and sends an unanswered batch again, as an OTLP exporter does."""

    server: ServeProcess
    offset: int
    way: str
    sent: int = 0
    acknowledged: int = 0
    refused: list[object] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stop.is_set():
            first = self.offset + self.sent * SPANS_PER_REQUEST
            self.sent += 1
            body = request_of(first)
            while not self._deliver(body):
                time.sleep(0.05)
            self.acknowledged += 1

    def _deliver(self, body: bytes) -> bool:
        try:
            code = call(self.server, self.way, TRACES, body).code
        except httpx.TransportError:
            return False
        if code not in {SUCCESS[transport(self.way)], RETRY[transport(self.way)]}:
            self.refused.append(code)
        return code == SUCCESS[transport(self.way)]


@pytest.mark.parametrize(("ways", "kills"), [((PROTOBUF,) * 3, 5), (("grpc",) * 3, 2)], ids=["http", "grpc"])
def test_kill_minus_nine_under_load_loses_no_acknowledged_span_and_doubles_none(
    tmp_path: Path, ways: tuple[str, ...], kills: int
) -> None:
    randomness = random.Random(11)
    with ServeProcess(tmp_path / "data") as server:
        senders = [Sender(server, (1 + index) * 10**9, way) for index, way in enumerate(ways)]
        threads = [threading.Thread(target=sender.run) for sender in senders]
        for thread in threads:
            thread.start()
        for _ in range(kills):
            before = sum(sender.acknowledged for sender in senders)
            wait_until(lambda seen=before: sum(s.acknowledged for s in senders) > seen + 5, "spans are acknowledged")  # type: ignore[misc]
            time.sleep(randomness.uniform(0.0, 2.5))
            server.kill()
            server.start()
        for sender in senders:
            sender.stop.set()
        for thread in threads:
            thread.join(timeout=60)
        expected = sum(sender.acknowledged for sender in senders) * SPANS_PER_REQUEST
        assert [sender.refused for sender in senders] == [[]] * len(ways)
        assert all(sender.acknowledged == sender.sent for sender in senders)

        def totals() -> tuple[int, int, int]:
            found = server.get("/api/v1/summary", window="1h")
            return found["calls"], found["output_tokens"], found["input_tokens"]

        wait_until(lambda: totals()[0] >= expected, f"{expected} spans are in the totals")
        assert totals() == (expected, expected, 3 * expected)
        # The totals must be the same from the roll-up, once the last minute is folded.
        last = time.time()
        wait_until(
            lambda: time.time() - last > 1 and server.get("/api/v1/summary", window="1h")["calls"] == expected,
            "totals stay",
        )
        assert server.stop() == 0
    found = query_directory(
        tmp_path / "data", "SELECT uniqExact(trace_id, span_id) AS spans, count() AS rows FROM spans"
    )[0]
    assert int(found["spans"]) == expected
    assert int(found["rows"]) >= expected
