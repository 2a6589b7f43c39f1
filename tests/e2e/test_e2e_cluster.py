"""Past one machine: collectors, workers and a dashboard as processes on ClickHouse and PostgreSQL, some killed midway.

ClickHouse is the test server in front of the embedded engine, as a cluster of one shard; PostgreSQL is real.
"""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from store.telemetry import TelemetryStore
from tests.alerts.receiver import SECRET, Receiver, running_receiver
from tests.clickhouse import CLUSTER, running_clickhouse
from tests.processes import Part
from tests.servers import wait_until

pytestmark = pytest.mark.long

BATCH = 20
FOLD = 'andon_background_leading{task="fold"}'
_ATTRIBUTES = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "andon.pipeline": "rag"}
CONFIG = """
telemetry_url = "{telemetry}"
control_url = "{control}"
window_seconds = 3600

[collector]
fold_seconds = 0.5
grace_seconds = 1

[[alerts.channels]]
name = "ops"
url = "{receiver}"
secret = "{secret}"
allow_private = ["127.0.0.0/8"]

[[alerts.rules]]
name = "traffic"
signal = "usage.output_tps"
labels = {{ pipeline = "rag" }}
op = ">"
value = 0

[alerts]
poll_seconds = 1
default_rules = false
"""


@dataclass
class Factory:
    """Everything that runs."""

    collectors: list[Part]
    workers: list[Part]
    dashboard: Part
    telemetry: TelemetryStore
    receiver: Receiver
    minute: int
    sent: int = 0

    def send(self, batches: int) -> None:
        """Send spans to the collectors in turn; a batch that one does not acknowledge goes to the next, as it was."""
        for _ in range(batches):
            body = self._body()
            for attempt in range(100):
                collector = self.collectors[(self.sent + attempt) % len(self.collectors)]
                try:
                    headers = {"content-type": "application/x-protobuf"}
                    answer = httpx.post(f"{collector.urls['OTLP/HTTP']}/v1/traces", content=body, headers=headers)
                except httpx.TransportError:
                    continue
                if answer.status_code == 200:
                    break
            else:
                raise AssertionError("nobody takes spans")
            self.sent += 1

    def totals(self) -> tuple[int, int]:
        """Calls and output tokens as the dashboard's API tells them."""
        found = self.dashboard.get("/api/v1/summary", window="1h").json()
        return found["calls"], found["output_tokens"]

    def folded(self) -> int:
        """Output tokens in published minutes."""
        return int(
            self.telemetry.rows(
                "SELECT sum(output_tokens) AS n FROM usage_1m WHERE (minute, version) IN "
                "(SELECT minute, max(version) FROM folded_minutes GROUP BY minute)"
            )[0]["n"]
        )

    def expect_all(self) -> None:
        """Every span that was acknowledged is in the totals once, and the fold has published it."""
        spans = self.sent * BATCH
        wait_until(lambda: self.totals() == (spans, spans), f"{spans} spans in the totals")
        wait_until(lambda: self.folded() == spans, f"{spans} spans in published minutes")
        assert self.totals() == (spans, spans)

    def leader(self) -> Part:
        """The worker that folds."""
        found: list[Part] = []

        def one_leads() -> bool:
            found[:] = [worker for worker in self.workers if worker.metric(FOLD) == 1.0]
            return len(found) == 1

        wait_until(one_leads, "one worker folds")
        return found[0]

    def _body(self) -> bytes:
        request = ExportTraceServiceRequest()
        spans = request.resource_spans.add().scope_spans.add().spans
        for index in range(BATCH):
            span = spans.add(name="chat m", trace_id=struct.pack(">QQ", self.sent + 1, index), span_id=b"12345678")
            span.end_time_unix_nano = (self.minute + self.sent % 2 * 60) * 10**9 + index
            span.start_time_unix_nano = span.end_time_unix_nano - 10**6
            for key, text in _ATTRIBUTES.items():
                span.attributes.add(key=key).value.string_value = text
            span.attributes.add(key="gen_ai.usage.output_tokens").value.int_value = 1
        return bytes(request.SerializeToString())


@pytest.fixture
def factory(tmp_path: Path, postgres: str) -> Iterator[Factory]:
    with ExitStack() as parts:
        address = parts.enter_context(running_clickhouse(tmp_path / "clickhouse", CLUSTER))
        receiver = parts.enter_context(running_receiver())
        telemetry = f"clickhousedb://{address}/default?cluster={CLUSTER}"
        config = tmp_path / "andon.toml"
        config.write_text(CONFIG.format(telemetry=telemetry, control=postgres, receiver=receiver.url, secret=SECRET))
        names = ("collector-0", "collector-1", "worker-0", "worker-1", "dashboard-0")
        # All at once: they migrate in turns.
        running = [parts.enter_context(Part(name.split("-")[0], tmp_path / name, config)) for name in names]
        for part in running:
            part.wait_ready()
        store = TelemetryStore(telemetry)
        parts.callback(store.close)
        minute = int(time.time()) // 60 * 60 - 600
        yield Factory(running[:2], running[2:4], running[4], store, receiver, minute)


@pytest.mark.postgres
def test_a_killed_collector_and_a_killed_worker_lose_nothing_and_double_nothing(factory: Factory) -> None:
    factory.send(20)
    wait_until(lambda: bool(factory.receiver.taken), "the alert is delivered")
    leader = factory.leader()
    other = next(worker for worker in factory.workers if worker is not leader)

    factory.send(10)
    factory.collectors[1].kill()
    leader.kill()
    factory.workers = [other]
    factory.send(20)

    # The collector took acknowledged spans with it, and that is said until it is back on its journal.
    wait_until(lambda: factory.dashboard.metric('andon_collectors{state="vanished"}') == 1.0, "one collector is missed")
    factory.collectors[1].start()
    factory.collectors[1].wait_ready()
    factory.send(10)
    factory.expect_all()
    assert factory.leader() is other
    assert factory.dashboard.get("/readyz").json() == {"status": "ok"}

    # One that is paused while it folds, and wakes after another has taken over, changes no total.
    factory.workers.append(leader)
    leader.start()
    leader.wait_ready()
    other.pause()
    factory.workers = [leader]
    factory.send(10)
    factory.expect_all()
    other.resume()
    factory.workers.append(other)
    factory.send(10)
    factory.expect_all()
    assert factory.leader() is leader

    assert [one.json["type"] for one in factory.receiver.taken] == ["alert.firing"]
    assert [part.stop() for part in (*factory.collectors, *factory.workers, factory.dashboard)] == [0] * 5


@pytest.mark.parametrize("kind", ["collector", "worker", "dashboard"])
def test_the_embedded_stores_belong_to_one_process(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-m", "cli.main", kind, "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 2
    assert "the embedded stores belong to one process; use andon serve, or set telemetry_url" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
