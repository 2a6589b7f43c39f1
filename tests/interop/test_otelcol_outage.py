"""An outage of Andon, and a Collector that is killed in it, lose nothing of what the Collector acknowledged."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.interop.gateway import Gateway, free_ports
from tests.interop.sending import Sender, records
from tests.servers import ServeProcess, query_directory, wait_until

pytestmark = pytest.mark.long

OUTAGE_SECONDS = 120.0
PAD = "x" * (1 << 17)
STORED = """
SELECT 'spans' AS kind, count() AS rows, uniqExact(trace_id, span_id) AS items FROM spans WHERE service = 'sender'
UNION ALL
SELECT 'points', count(), uniqExact(series, start_time, time, int_value) FROM metrics WHERE service = 'sender'
UNION ALL
SELECT 'records', count(), uniqExact(body) FROM logs WHERE service = 'sender'
"""


def sender_to(gateway: Gateway, size: int = 20) -> Sender:
    return Sender(gateway.http_url, gateway.grpc_url, size)


def drained(gateway: Gateway) -> bool:
    """Whether nothing of what came in over OTLP waits any more."""
    return gateway.total("otelcol_exporter_queue_size") == 0


def input_tokens(server: ServeProcess) -> int:
    """Every span sent is one input token."""
    found: dict[str, Any] = server.get("/api/v1/summary", window="1h")
    return int(found["input_tokens"] or 0)


def test_two_minutes_without_andon_and_a_killed_collector_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with ServeProcess(tmp_path / "data", otlp_port=port) as server:
        quiet = {"GATEWAY_SCRAPE_INTERVAL": "1h", "GATEWAY_HOST_INTERVAL": "1h"}
        with Gateway(tmp_path / "collector", server.otlp_url, **quiet) as gateway:
            sender = sender_to(gateway)
            for _ in range(5):
                sender.send()
            # What is in flight when Andon dies may be stored without an answer, and is a matter of the next test.
            wait_until(lambda: drained(gateway), "everything so far is stored")
            before = sender.acknowledged

            server.kill()
            begun = time.monotonic()
            killed = False
            while (elapsed := time.monotonic() - begun) < OUTAGE_SECONDS:
                if not killed and elapsed > OUTAGE_SECONDS / 2:
                    gateway.kill()
                    gateway.start()
                    killed = True
                sender.send()
                time.sleep(1)
            assert killed
            assert sender.acknowledged > before

            server.start()
            for _ in range(5):
                sender.send()
            wait_until(lambda: input_tokens(server) == sender.acknowledged, "every span is counted")
            wait_until(lambda: drained(gateway), "nothing waits any more")
            assert gateway.stop() == 0
        assert server.stop() == 0
    for row in query_directory(tmp_path / "data", STORED):
        assert (row["kind"], int(row["rows"]), int(row["items"])) == (
            row["kind"],
            sender.acknowledged,
            sender.acknowledged,
        )


def test_a_collector_killed_at_work_sends_again_and_spans_and_points_count_once(tmp_path: Path) -> None:
    with ServeProcess(tmp_path / "data") as server, Gateway(tmp_path / "collector", server.otlp_url) as gateway:
        sender = sender_to(gateway, size=200)
        for _ in range(3):
            for _ in range(10):
                sender.send()
            gateway.kill()
            gateway.start()
        wait_until(lambda: input_tokens(server) == sender.acknowledged, "every span is counted")
        assert gateway.stop() == 0
        assert input_tokens(server) == sender.acknowledged
        assert server.stop() == 0
    stored = {row["kind"]: row for row in query_directory(tmp_path / "data", STORED)}
    assert {kind: int(row["items"]) for kind, row in stored.items()} == dict.fromkeys(stored, sender.acknowledged)


def test_a_full_queue_holds_senders_back_and_drops_nothing_that_it_took(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    taken, refused = [], []
    settings = {"GATEWAY_QUEUE_BYTES": str(1 << 20), "GATEWAY_SCRAPE_INTERVAL": "1h", "GATEWAY_HOST_INTERVAL": "1h"}
    with Gateway(tmp_path / "collector", f"http://127.0.0.1:{port}", **settings) as gateway:

        def is_taken(n: int) -> bool:
            request = records(range(n, n + 1), time.time_ns())
            request.resource_logs[0].scope_logs[0].log_records[0].attributes.add(key="pad").value.string_value = PAD
            try:
                headers = {"content-type": "application/x-protobuf"}
                body = request.SerializeToString()
                answer = httpx.post(f"{gateway.http_url}/v1/logs", content=body, headers=headers, timeout=2)
            except httpx.ReadTimeout:
                return False
            return answer.status_code == 200

        for n in range(8):
            (taken if is_taken(n) else refused).append(str(n))
        # A little over 1 MiB would be eight of an eighth each, and what is around them.
        assert (len(taken), len(refused)) == (7, 1)
        with ServeProcess(tmp_path / "data", otlp_port=port) as server:
            wait_until(lambda: drained(gateway), "there is room again")
            assert is_taken(8)
            assert gateway.stop() == 0
            assert server.stop() == 0
    bodies = {row["body"] for row in query_directory(tmp_path / "data", "SELECT DISTINCT body FROM logs")}
    assert {*taken, "8"} <= bodies
