"""`/api/v1/retention` in a process with a worker and in one without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from cli.upkeep import retention_of
from dashboard.app import create_app
from dashboard.board import Board
from economics.report import Reports
from settings import Settings
from store.control import ControlStore
from store.retention import Retention
from store.telemetry import TelemetryStore
from tests.store.rows import add_rows, days_of

NOW = datetime(2026, 11, 24, 14, 3, tzinfo=UTC)
OLD = NOW - timedelta(days=50)
NOTE = "the worker removes what is past its policy, once an hour; this process has none and removes nothing"
Open = Callable[[Retention | None], TestClient]


@pytest.fixture
def client(telemetry: TelemetryStore, control: ControlStore) -> Iterator[Open]:
    with ExitStack() as parts:

        def opened(retention: Retention | None) -> TestClient:
            reports = Reports(telemetry, ())
            board = Board(Settings(), telemetry, control, reports, dict, lambda: NOW, retention=retention)
            return parts.enter_context(TestClient(create_app(board), base_url="http://127.0.0.1"))

        yield opened


def test_a_process_without_a_worker_shows_how_things_stand_and_who_removes(
    client: Open, telemetry: TelemetryStore
) -> None:
    add_rows(telemetry, "logs", OLD, rows=3)
    add_rows(telemetry, "metric_points", OLD)
    found = client(None).get("/api/v1/retention").json()
    assert (found["note"], found["last"]) == (NOTE, None)
    assert [(line["table"], line["rows"], line["days"]) for line in found["kept"]] == [
        ("metric_points", 1, 30),
        ("logs", 3, 14),
    ]
    assert [(part["table"], part["waits_for"]) for part in found["due"]["partitions"]] == [
        ("logs", None),
        ("metric_points", "the fold has 1 minutes of it to do for engine_1m"),
    ]


def test_a_process_without_a_worker_removes_nothing(client: Open, telemetry: TelemetryStore) -> None:
    add_rows(telemetry, "logs", OLD)
    answer = client(None).post("/api/v1/retention")
    assert (answer.status_code, answer.json()["error"]["message"]) == (409, NOTE)
    assert days_of(telemetry, "logs") == ["2026-10-05"]


def test_a_process_with_a_worker_removes_at_once(
    client: Open, telemetry: TelemetryStore, control: ControlStore
) -> None:
    add_rows(telemetry, "logs", OLD)
    answer = client(retention_of(telemetry, control, Settings())).post("/api/v1/retention")
    assert [(part["table"], part["rows"]) for part in answer.json()["partitions"]] == [("logs", 1)]
    assert days_of(telemetry, "logs") == []
