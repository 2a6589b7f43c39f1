"""The JSON API over real stores: ids, units, errors, and who may ask."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from dashboard.app import create_app
from dashboard.board import Board
from dashboard.parameters import ParameterError, parse_span, parse_time
from economics.report import Reports
from settings import Pool, Serves, Settings
from store.control import ControlStore
from store.telemetry import TelemetryStore
from tests.economics.spans import NOON, span, store_spans

POOL = Pool(name="own", accelerator="H100", count=1, usd_per_hour=Decimal(2), serves=Serves(models=("llama",)))
NOW = NOON + timedelta(minutes=5)


@pytest.fixture
def client(telemetry: TelemetryStore, control: ControlStore) -> Iterator[TestClient]:
    settings = Settings(pools=(POOL,))
    board = Board(
        settings, telemetry, control, Reports(telemetry, settings.pools), lambda: {"x": {"n_total": 3}}, lambda: NOW
    )
    with TestClient(create_app(board), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def test_the_summary_carries_the_quantities_and_what_they_rest_on(
    client: TestClient, telemetry: TelemetryStore
) -> None:
    store_spans(telemetry, span(NOW - timedelta(seconds=65), n_in=60, n_out=120, request_model="llama"))
    found = client.get("/api/v1/summary", params={"window": "1m"}).json()
    assert found["window"]["seconds"] == 60
    assert found["tps"]["output"] == 2
    assert found["tps_per_usd_h"] == pytest.approx(1)
    assert found["tokens_per_usd"] == pytest.approx(3600)
    assert found["usd_per_mtok_output"] == pytest.approx(1e6 / 3600)
    assert found["tps_per_usd_h"] * 3600 * found["usd_per_mtok_output"] == pytest.approx(1e6)
    assert found["basis"] == ["capacity"]
    assert found["coverage"] == 1
    assert found["qualifier"] == (
        "output tokens · seen by client · own: 1 x H100 at $2/h rented · last 60 s · cost known for 100 % of tokens"
    )


def test_calls_whose_tokens_nobody_reported_are_told(client: TestClient, telemetry: TelemetryStore) -> None:
    seen = NOW - timedelta(seconds=30)
    store_spans(telemetry, span(seen, n_out=1, request_model="llama"), span(seen, operation="chat"))
    assert client.get("/api/v1/summary").json()["qualifier"].endswith("1 of 2 calls report no tokens")


def test_an_empty_store_answers_unknown_not_zero(client: TestClient) -> None:
    found = client.get("/api/v1/summary").json()
    assert found["tps_per_usd_h"] is None
    assert found["tps"]["output"] is None
    assert found["usd_per_mtok_output"] is None
    assert found["coverage"] is None
    assert found["models"] == []


def test_throughput_by_pipeline(client: TestClient, telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(NOON, n_out=60, pipeline="a"), span(NOON, n_out=30, pipeline="b"))
    found = client.get(
        "/api/v1/throughput",
        params={"from": "2026-11-01T11:59:00Z", "to": "2026-11-01T12:01:00+00:00", "step": "60", "by": "pipeline"},
    ).json()
    assert {s["labels"]["pipeline"]: [p["tps_output"] for p in s["points"]] for s in found["series"]} == {
        "a": [None, 1.0],
        "b": [None, 0.5],
    }


def test_one_project_or_a_line_for_each(client: TestClient, telemetry: TelemetryStore) -> None:
    seen = NOW - timedelta(seconds=65)
    store_spans(telemetry, span(seen, n_out=60, project="a"), span(seen, n_out=30, project="b"))
    assert client.get("/api/v1/summary").json()["output_tokens"] == 90
    assert client.get("/api/v1/summary", params={"project": "b"}).json()["output_tokens"] == 30
    found = client.get("/api/v1/throughput", params={"by": "project"}).json()
    assert [line["labels"] for line in found["series"]] == [{"project": "a"}, {"project": "b"}]
    (line,) = client.get("/api/v1/throughput", params={"project": "a"}).json()["series"]
    assert sum(point["calls"] or 0 for point in line["points"]) == 1


@pytest.mark.parametrize("path", ["drift", "checklist", "alerts"])
def test_the_other_sections_answer_on_empty_stores(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 200
    assert answer.json()["now"].startswith("2026-11-01T12:05")


def test_nobody_has_looked_yet_is_unknown_never_ok(client: TestClient) -> None:
    found = client.get("/api/v1/checklist").json()
    assert found["worst"] == "UNKNOWN"
    assert {check["status"] for check in found["checks"]} == {"UNKNOWN"}
    assert {"cdc", "tco", "observability"} <= {check["name"] for check in found["checks"]}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/v1/throughput?step=soon", "step"),
        ("/api/v1/throughput?step=0", "step"),
        ("/api/v1/throughput?from=yesterday", "from"),
        ("/api/v1/throughput?from=now&to=now-1h", "to"),
        ("/api/v1/throughput?from=now-7d&step=1s", "step"),
        ("/api/v1/throughput?by=colour", "by"),
        ("/api/v1/throughput?from=now-999999d", "from"),
        ("/api/v1/throughput?from=0001-01-01T00:00:00%2B14:00", "from"),
        ("/api/v1/throughput?from=9999-12-31T23:59:59-10:00", "from"),
        ("/api/v1/throughput?from=99999999999", "from"),
        ("/api/v1/throughput?step=999999999d", "step"),
        ("/api/v1/summary?window=999999999d", "window"),
        ("/api/v1/summary?window=-5m", "window"),
        ("/api/v1/alerts?limit=0", "limit"),
    ],
)
def test_a_bad_parameter_is_named_with_what_is_allowed(client: TestClient, path: str, field: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == field
    assert field in answer.json()["error"]["message"]


def test_what_is_not_there_is_answered_in_the_same_shape(client: TestClient) -> None:
    answer = client.get("/api/v1/nothing")
    assert answer.status_code == 404
    assert set(answer.json()["error"]) == {"status", "message", "field"}
    assert client.post("/api/v1/drift/none/baseline").status_code == 404


def test_every_route_refuses_a_foreign_host_name(client: TestClient) -> None:
    """Without login, loopback is the only guard: a name that resolves to it from elsewhere must not pass."""
    paths = [route.path for route in client.app.routes if isinstance(route, APIRoute)]  # type: ignore[attr-defined]
    for path in [*paths, "/", "/static/andon.svg", "/openapi.json"]:
        answer = client.get(path.replace("{monitor}", "m"), headers={"host": "attacker.example"})
        assert answer.status_code == 400, path


@pytest.mark.parametrize("headers", [{"origin": "https://attacker.example"}, {"sec-fetch-site": "cross-site"}])
def test_another_sites_page_cannot_change_anything(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/api/v1/drift/m/baseline", headers=headers).status_code == 403


def test_answers_carry_security_headers(client: TestClient) -> None:
    headers = client.get("/api/v1/alerts").headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_ready_means_both_stores_answer(client: TestClient) -> None:
    assert client.get("/readyz").status_code == 200


def test_times_as_people_write_them() -> None:
    now = datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert parse_time("from", "now-90s", now) == now - timedelta(seconds=90)
    assert parse_time("from", "2026-11-01T14:00:00 02:00", now) == now  # a plus sign that was not escaped
    assert parse_time("from", "2026-11-01T12:00:00Z", now) == now
    assert parse_time("from", "2026-11-01", now) == now - timedelta(hours=12)
    assert parse_time("from", str(now.timestamp()), now) == now
    assert parse_span("step", "2h") == timedelta(hours=2)
    with pytest.raises(ParameterError, match="write seconds"):
        parse_span("step", "2 weeks")
