"""`/api/v1/engines` over a real store: numbers with what they rest on, errors, and what to do when there is nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient

from dashboard.app import create_app
from dashboard.board import Board
from economics.catalogue import catalogue
from economics.engine_rollup import EngineRollUp
from economics.horizon import advance_horizon
from economics.report import Reports
from settings import Settings
from store.control import ControlStore
from store.telemetry import TelemetryStore
from tests.economics.points import NOON, at, gauge, point, store_points

NOW = NOON + timedelta(minutes=5)


@pytest.fixture
def client(telemetry: TelemetryStore, control: ControlStore) -> Iterator[TestClient]:
    board = Board(Settings(), telemetry, control, Reports(telemetry, ()), dict, lambda: NOW)
    with TestClient(create_app(board), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def test_each_number_carries_its_unit_source_vantage_and_coverage(
    client: TestClient, telemetry: TelemetryStore
) -> None:
    store_points(
        telemetry,
        *[
            point(at(s), "vllm:generation_tokens_total", 10 * s, labels={"model_name": model})
            for s in (0, 30, 60)
            for model in ("a", "b")
        ],
    )
    found = client.get("/api/v1/engines", params={"window": "10m", "by": "model"}).json()
    assert (found["window"]["seconds"], found["by"], found["advice"], found["misfits"]) == (600, "model", None, [])
    (first, second) = found["numbers"]
    assert (first["labels"], second["labels"]) == ({"model": "a"}, {"model": "b"})
    assert (first["quantity"], first["unit"], first["form"]) == ("tokens.output", "{token}", "growth")
    assert (first["value"], first["vantage"], first["sources"]) == (600, "server", ["vllm"])
    assert first["coverage"] == pytest.approx(2 / 3)


def test_nothing_says_what_to_do(client: TestClient) -> None:
    found = client.get("/api/v1/engines").json()
    assert found["numbers"] == []
    assert "andon agent" in found["advice"]
    assert "[[collector.scrape]]" in found["advice"]


def test_a_window_over_points_that_may_be_gone_is_cut_to_whole_minutes(
    client: TestClient, telemetry: TelemetryStore
) -> None:
    advance_horizon(telemetry, EngineRollUp(catalogue()), NOW)
    # Asked for is 11:54:55 to 12:04:55.
    window = client.get("/api/v1/engines", params={"window": "10m"}).json()["window"]
    assert (window["start"], window["seconds"]) == ("2026-11-01T11:55:00Z", 540)


def test_a_known_name_sent_as_another_kind_is_told(client: TestClient, telemetry: TelemetryStore) -> None:
    store_points(telemetry, gauge(at(60), "vllm:generation_tokens_total", 1.0))
    assert client.get("/api/v1/engines").json()["misfits"] == [
        {"metric": "vllm:generation_tokens_total", "sent_as": "gauge", "expected": ["counter"]}
    ]


def test_only_the_quantities_that_are_asked_for(client: TestClient, telemetry: TelemetryStore) -> None:
    names = ("vllm:generation_tokens_total", "vllm:prompt_tokens_total")
    store_points(telemetry, *[point(at(s), name, s) for s in (0, 30) for name in names])
    found = client.get("/api/v1/engines", params={"quantity": "tokens.input"}).json()
    assert [each["quantity"] for each in found["numbers"]] == ["tokens.input"]


@pytest.mark.parametrize(
    ("query", "field"), [("window=soon", "window"), ("by=colour", "by"), ("quantity=joy", "quantity")]
)
def test_a_bad_parameter_is_named(client: TestClient, query: str, field: str) -> None:
    answer = client.get(f"/api/v1/engines?{query}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)
