"""The wall clock is set an hour back or forward in the middle of everything: nothing is lost or doubled, segments keep
their order, and no age is negative."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from starlette.testclient import TestClient

from collector.clock import Clock
from collector.intake import Intake
from collector.journal import Journal
from settings import CollectorSettings, Settings
from store.telemetry import TelemetryStore
from tests.collector.faults import TABLES, FaultyStore, Weather, bodies, stored_services
from tests.collector.otlp_calls import PROTOBUF
from tests.collector.test_journal import SCHEMA, rows, sealed_numbers
from tests.collector.test_seen import NOON, SECOND, Hands, mark
from tests.servers import wait_until

HOUR = 3600
SHORT = 20
HEADERS = {"content-type": PROTOBUF}
JUMPS = [-HOUR, HOUR, -2 * HOUR, 3 * HOUR, -HOUR]


def open_journal(folder: Path, hands: Hands) -> Journal:
    return Journal(folder, SCHEMA, seal_seconds=HOUR, seal_bytes=1, max_bytes=2**30, clock=hands.clock)


def test_segments_keep_their_order_through_jumps_and_restarts(tmp_path: Path) -> None:
    hands = Hands()
    for number, jump in enumerate(JUMPS):
        journal = open_journal(tmp_path, hands)
        journal.append(rows(2 * number)).result(timeout=SHORT)
        hands.wall += jump * SECOND
        journal.append(rows(2 * number + 1)).result(timeout=SHORT)
        state = journal.state()
        assert state.oldest_age_seconds is not None
        assert state.oldest_age_seconds >= 0
        journal.close()
    assert sealed_numbers(journal) == list(range(2 * len(JUMPS)))


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_request_is_known_again_after_a_jump_and_a_restart(tmp_path: Path, jump: int) -> None:
    """An hour forward looks, to a process that starts, as if ten minutes had passed: what it forgets so is a limit that
    no clock but the wall's could lift. While it runs, nothing is forgotten."""
    hands = Hands()
    journal = open_journal(tmp_path, hands)
    assert journal.append(rows(1), [mark(1, NOON)]).result(timeout=SHORT) is True
    hands.wall += jump * SECOND
    assert journal.append(rows(1), [mark(1, hands.wall)]).result(timeout=SHORT) is False
    journal.close()
    again = open_journal(tmp_path, hands)
    assert again.append(rows(1), [mark(1, hands.wall)]).result(timeout=SHORT) is (jump > 0)
    again.close()


@pytest.fixture
def weather() -> Weather:
    return Weather()


@pytest.fixture
def hands() -> Iterator[Hands]:
    """Clocks that begin now; the decoders are given them too."""
    found = Hands(time.time_ns(), time.monotonic_ns())
    with mock.patch("time.time_ns", lambda: found.wall):
        yield found


def test_ingest_goes_on_through_jumps(
    tmp_path: Path, telemetry: TelemetryStore, weather: Weather, hands: Hands
) -> None:
    """With segments that wait meanwhile, for the store is away, and a restart in the middle."""
    settings = Settings(data_dir=tmp_path, collector=CollectorSettings(seal_bytes=1))
    clock = Clock(lambda: hands.wall)
    store = FaultyStore(telemetry, weather)
    sent = []
    for number, jump in enumerate(JUMPS):
        weather.away = number < len(JUMPS) - 1
        intake = Intake(settings, store, clock=clock)
        intake.start()
        with TestClient(intake.receiver.app(), "http://localhost") as client:
            requests = bodies(f"jump-{number}", 2)
            for export, body in requests[: len(TABLES)]:
                assert client.post(export.path, content=body, headers=HEADERS).status_code == 200
            hands.wall += jump * SECOND
            # The first ones again, as of a sender that got no answer, and new ones.
            for export, body in requests:
                assert client.post(export.path, content=body, headers=HEADERS).status_code == 200
        assert intake.health()["duplicate_requests_total"] == len(TABLES)
        for found in intake.health()["journal"].values():
            assert found["oldest_age_seconds"] is None or found["oldest_age_seconds"] >= 0
        assert (intake.waiting_seconds() or 0) >= 0
        assert intake.alive
        sent += [f"jump-{number}-{request}" for request in range(2)]
        if not weather.away:
            wait_until(lambda running=intake: running.waiting_seconds() is None, "all is in the store")  # type: ignore[misc]
        intake.stop()
    for table in TABLES.values():
        assert stored_services(telemetry, table) == dict.fromkeys(sent, 2)
