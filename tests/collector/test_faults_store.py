"""The store away or slow: exports are taken until the disk budget is reached, then refused for a while; nothing is lost
or doubled, memory stays bounded, and everything goes on by itself when the store is back."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from collector.intake import Intake
from collector.writer import PATIENCE, Patience, Writer
from settings import CollectorSettings, Settings
from store.telemetry import TelemetryStore
from tests.collector.faults import MEBIBYTE, TABLES, FaultyStore, Weather, bodies, resident_bytes, stored_services
from tests.collector.otlp_calls import PROTOBUF, RETRY, SUCCESS, TRACES, call, transport
from tests.collector.test_admission import mebibyte
from tests.collector.test_journal import open_journal, rows
from tests.servers import ServeProcess, wait_until

HEADERS = {"content-type": PROTOBUF}
BUDGET = 100_000


@pytest.fixture
def weather() -> Weather:
    return Weather()


@pytest.fixture
def intake(tmp_path: Path, telemetry: TelemetryStore, weather: Weather) -> Iterator[Intake]:
    limits = CollectorSettings(journal_max_bytes=BUDGET, seal_seconds=0.05, seal_bytes=20_000)
    intake = Intake(Settings(data_dir=tmp_path, collector=limits), FaultyStore(telemetry, weather))
    intake.start()
    yield intake
    weather.away = False
    weather.open.set()
    intake.stop()


@pytest.fixture
def client(intake: Intake) -> Iterator[TestClient]:
    with TestClient(intake.receiver.app(), "http://localhost") as client:
        yield client


def send_until_refused(client: TestClient, name: str) -> dict[str, dict[str, int]]:
    """Requests of every signal until each is refused: what was acknowledged, by table and service."""
    taken: dict[str, dict[str, int]] = {table: {} for table in TABLES.values()}
    for number in range(1000):
        refused = 0
        for export, body in bodies(f"{name}-{number}", 1, good=20):
            answer = client.post(export.path, content=body, headers=HEADERS)
            if answer.status_code == 200:
                taken[TABLES[export]][f"{name}-{number}-0"] = 20
            else:
                assert answer.status_code == 503
                assert 1 <= int(answer.headers["retry-after"]) <= 5
                refused += 1
        if refused == len(TABLES):
            return taken
    raise AssertionError("the budget has no end")


@pytest.mark.parametrize("kind", ["away", "slow"])
def test_without_a_store_exports_are_taken_up_to_the_budget_and_arrive_when_it_is_back(
    client: TestClient, intake: Intake, telemetry: TelemetryStore, weather: Weather, kind: str
) -> None:
    if kind == "away":
        weather.away = True
    else:
        weather.open.clear()
    taken = send_until_refused(client, "first")
    assert all(len(found) > 3 for found in taken.values())
    wait_until(lambda: weather.tries >= len(TABLES), "every writer has tried")
    health = intake.health()
    for table in TABLES.values():
        # One group of requests may stand above the budget: it is asked before each.
        assert BUDGET < health["journal"][table]["bytes"] < 2 * BUDGET
        assert health["journal"][table]["oldest_age_seconds"] >= 0
    assert intake.alive
    weather.away = False
    weather.open.set()
    wait_until(lambda: intake.waiting_seconds() is None, "everything that waited is in the store")
    for table in TABLES.values():
        assert stored_services(telemetry, table) == taken[table]
    for export, body in bodies("after", 1):
        assert client.post(export.path, content=body, headers=HEADERS).status_code == 200


def test_pauses_grow_to_a_bound() -> None:
    pauses = [PATIENCE.after(failures) for failures in range(1, 10_000)]
    assert pauses[:4] == [0.5, 1.0, 2.0, 4.0]
    assert set(pauses[6:]) == {30.0}


def test_a_writer_that_finds_the_store_back_wakes_those_that_pause(tmp_path: Path, telemetry: TelemetryStore) -> None:
    """The second would sleep for an hour."""
    weather = Weather(away=True)
    store = FaultyStore(telemetry, weather)
    writers: list[Writer] = []
    seen: list[int] = []

    class Counting(FaultyStore):
        def insert(self, table: str, rows: object, token: str | None = None) -> None:  # type: ignore[override]
            if weather.away:
                weather.tries += 1
                raise ConnectionError("the store is away")
            seen.append(1)

    def returned() -> None:
        for writer in writers:
            writer.store_returned()

    for number, patience in enumerate([Patience(0.02, 0.02), Patience(3600, 3600)]):
        journal = open_journal(tmp_path / str(number), seal_bytes=1)
        for value in range(3):
            journal.append(rows(value)).result(timeout=20)
        journal.close()
        writers.append(Writer(journal, Counting(store, weather), "spans", patience, returned))
    writers[1].start()
    wait_until(lambda: writers[1].counts.failed_inserts == 2, "one found the store away")
    writers[0].start()
    wait_until(lambda: writers[0].counts.failed_inserts >= 2, "so did the other")
    weather.away = False
    wait_until(lambda: len(seen) == 6, "both go on")
    for writer in writers:
        writer.stop(20)
        writer.join()


@contextmanager
def clickhouse(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """The ClickHouse server of the tests, on a port that it has again after a restart."""
    command = [sys.executable, "-m", "tests.clickhouse_server", "--port", str(port), "--path", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip()
            yield process
        finally:
            process.kill()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_a_server_whose_clickhouse_hangs_and_is_then_killed_takes_exports_and_stores_each_once(tmp_path: Path) -> None:
    port, budget = free_port(), 12 * MEBIBYTE
    url = f"clickhousedb://127.0.0.1:{port}/default"
    config = tmp_path / "andon.toml"
    config.write_text(f'telemetry_url = "{url}"\n[collector]\njournal_max_bytes = {budget}\nseal_bytes = {MEBIBYTE}\n')
    taken: dict[str, int] = {}

    def send(server: ServeProcess, way: str, client: int) -> bool:
        answer = call(server, way, TRACES, mebibyte(client))
        if answer.code == SUCCESS[transport(way)]:
            taken[f"client-{client}"] = 2000
            return True
        assert answer.code == RETRY[transport(way)]
        assert 1 <= int(answer.retry_after or 0) <= 5
        return False

    with ExitStack() as parts:
        engine = parts.enter_context(clickhouse(tmp_path / "clickhouse", port))
        server = parts.enter_context(ServeProcess(tmp_path / "data", config))
        assert send(server, PROTOBUF, 0)
        before = resident_bytes(server)
        engine.send_signal(signal.SIGSTOP)
        clients = iter(range(1, 200))
        while send(server, PROTOBUF, next(clients)):
            pass
        assert not send(server, "grpc", next(clients))
        assert len(taken) > 8
        assert resident_bytes(server) - before < 256 * MEBIBYTE
        engine.send_signal(signal.SIGCONT)
        wait_until(lambda: send(server, "grpc", next(clients)), "exports are taken again")
        engine.kill()
        engine.wait()
        while send(server, PROTOBUF, next(clients)):
            pass
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        assert httpx.get(f"{server.url}/readyz").status_code == 503
        assert server.metric("andon_writer_failed_inserts_total") >= 1
        assert server.metric("andon_journal_oldest_segment_age_seconds") >= 0
        parts.enter_context(clickhouse(tmp_path / "clickhouse", port))
        wait_until(lambda: send(server, PROTOBUF, next(clients)), "exports are taken again")
        wait_until(lambda: server.metric("andon_journal_segments") == 0, "everything is in the store")
        store = TelemetryStore(url)
        parts.callback(store.close)
        assert stored_services(store, "spans") == taken
        assert server.stop() == 0
