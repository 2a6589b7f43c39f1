"""`POST /api/v1/tco` over real stores: a scenario, an empty body, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from fastapi.testclient import TestClient

from dashboard.app import create_app
from dashboard.board import Board
from economics.fold import Fold
from economics.prices import VERSION, input_bands
from economics.report import Reports
from economics.usage_rollup import UsageRollUp
from settings import Pool, Serves, Settings
from store.collectors import Watched
from store.control import ControlStore
from store.telemetry import TelemetryStore
from tests.economics.spans import NOON, span, store_spans
from tests.economics.tco.cases import PLAIN, changed

POOL = Pool(name="own", accelerator="H100", count=1, usd_per_hour=Decimal(2), serves=Serves(models=("llama",)))
NOW = NOON + timedelta(hours=2, minutes=5)


@pytest.fixture
def client(telemetry: TelemetryStore, control: ControlStore) -> Iterator[TestClient]:
    settings = Settings(pools=(POOL,))
    board = Board(settings, telemetry, control, Reports(telemetry, settings.pools), dict, lambda: NOW)
    with TestClient(create_app(board), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        yield client


def measured(telemetry: TelemetryStore) -> None:
    """Two whole hours, of 3.6 M and 1.8 M output tokens."""
    for hour, tokens in ((0, 3_600_000), (1, 1_800_000)):
        store_spans(telemetry, span(NOON + timedelta(hours=hour), n_in=10, n_out=tokens, request_model="llama"))
    Fold(telemetry, UsageRollUp(input_bands()), timedelta(seconds=10)).run_once(NOW, Watched(NOON, NOW))


def plain(**changes: Any) -> dict[str, Any]:
    values = changed(PLAIN, **changes)
    return {name: part for name, part in values.items() if part is not None}


def test_a_scenario_is_answered_with_what_it_rests_on(client: TestClient) -> None:
    found = client.post("/api/v1/tco", json=plain(rented__usd_per_gpu_hour=2)).json()
    ratios = {each["option"]: each["cost_ratio"] for each in found["comparisons"]}
    assert ratios == {"rented": "3.600000", "owned": "4.500000", "hybrid": "6.000000"}
    assert (found["price_version"], found["facts_taken"], found["years"]) == (VERSION, "2026-11-22", 4)
    assert "written demand" in found["basis"]
    assert {each["name"] for each in found["assumptions"]} >= {"rented.usd_per_gpu_hour", "finance.years"}
    assert found["now"].startswith("2026-11-01T14:05")


def test_an_empty_body_is_the_measured_demand_and_the_configured_pools(
    client: TestClient, telemetry: TelemetryStore
) -> None:
    measured(telemetry)
    found = client.post("/api/v1/tco").json()
    demand = found["demand"]
    assert (demand["source"], demand["model"], demand["vantage"]) == ("measured", "llama", ["client"])
    assert (demand["window_start"], demand["window_end"]) == ("2026-11-01T12:00:00Z", "2026-11-01T14:00:00Z")
    assert (demand["coverage"], demand["peak_tokens"], demand["calls"]) == ("1.000", 3_600_000, "2")
    (rented,) = (each for each in found["options"] if each["name"] == "rented")
    # One accelerator at $2 in both hours: 3.6 M tokens in the busiest make 1000 tok/s its measured speed.
    assert rented["usd_per_month"] == "1460.000000"
    # Nothing says what service is wanted: nothing is compared, and the answer says why.
    assert [each["verdict"] for each in found["comparisons"]] == ["not judged"] * len(found["comparisons"])
    assert {"option", "reason", "fix"} == set(found["refusals"][0])
    assert any(each["option"] == "api" for each in found["missing"])


def test_without_any_data_everything_that_is_missing_is_named(client: TestClient) -> None:
    found = client.post("/api/v1/tco", json={}).json()
    assert found["options"] == []
    assert any("no whole hour" in each["what"] for each in found["missing"])


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"owned": {"availability": 2}}, "owned.availability", "at most 1"),
        ({"colour": 1}, "colour", "Extra inputs"),
        ({"demand": {"days": 0}}, "demand.days", "greater than or equal to 1"),
        ({"demand": {"levels": [{"hours": 1, "output_tokens": -1}]}}, "demand.levels.0.output_tokens", "-1"),
        (plain(rented__egress_usd_per_gb=None, rented__egress="Nobody"), "rented.egress", "AWS"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed(
    client: TestClient, body: dict[str, Any], field: str, said: str
) -> None:
    answer = client.post("/api/v1/tco", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["field"] == field
    assert said in error["message"]


def test_what_is_no_json_is_refused(client: TestClient) -> None:
    answer = client.post("/api/v1/tco", content=b"{", headers={"content-type": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize("headers", [{"origin": "https://attacker.example"}, {"sec-fetch-site": "cross-site"}])
def test_another_sites_page_may_not_ask(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/api/v1/tco", headers=headers).status_code == 403


def test_a_foreign_host_name_is_refused(client: TestClient) -> None:
    assert client.post("/api/v1/tco", headers={"host": "attacker.example"}).status_code == 400


def test_the_schema_says_that_a_number_or_a_range_is_taken(client: TestClient) -> None:
    schema = client.get("/openapi.json").json()["components"]["schemas"]
    (terms,) = (each for name, each in schema.items() if name.startswith("RentedTerms"))
    kinds = [each.get("type") or each["$ref"] for each in terms["properties"]["usd_per_gpu_hour"]["anyOf"]]
    assert "number" in kinds
    assert any("Spread" in kind for kind in kinds)
