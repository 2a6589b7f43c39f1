"""The guard of columns: how many values come in, what becomes of the others, and what is said about it."""

from __future__ import annotations

import logging
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from starlette.testclient import TestClient

from collector.cardinality import GUARDED, ORIGINAL, OTHER, Cardinality
from collector.columns import LOG_SCHEMA, OBSERVATION_SCHEMA, SERIES_SCHEMA, SPAN_SCHEMA
from collector.intake import Intake
from settings import CollectorSettings, ScrapeTarget, Settings
from store.telemetry import TelemetryStore
from tests.collector.exporter import Exporter
from tests.economics.spans import span, store_spans
from tests.servers import wait_until

DAY = 24 * 3600 * 10**9
TODAY = 20_000 * DAY
SCHEMAS = {"spans": SPAN_SCHEMA, "metric_series": SERIES_SCHEMA, "logs": LOG_SCHEMA, "observations": OBSERVATION_SCHEMA}


def guard(names: int = 3, few: int = 2) -> Cardinality:
    return Cardinality(CollectorSettings(max_values_per_column=names, max_pipelines_and_stages=few))


def rows_of(*spans: dict[str, Any]) -> pa.Table:
    return pa.table({name: [each[name] for each in spans] for name in SPAN_SCHEMA.names}, schema=SPAN_SCHEMA)


def services(*names: str, **more: Any) -> pa.Table:
    return rows_of(*[span(service=name, **more) for name in names])


def folded(cardinality: Cardinality, *names: str, at: int = TODAY, project: str = "default") -> list[str]:
    found: list[str] = cardinality.fold("spans", services(*names), at, project).column("service").to_pylist()
    return found


def test_values_up_to_the_limit_come_in_and_the_next_is_folded() -> None:
    assert folded(guard(), "a", "b", "a", "c", "d", "a", "e") == ["a", "b", "a", "c", OTHER, "a", OTHER]


def test_a_value_that_came_in_stays_in_and_one_that_did_not_stays_out() -> None:
    cardinality = guard()
    folded(cardinality, "a", "b", "c", "d")
    assert folded(cardinality, "d", "c", "b", "a") == [OTHER, "c", "b", "a"]


def test_what_is_not_said_is_no_value() -> None:
    assert folded(guard(names=1), "", "a", "", "b") == ["", "a", "", OTHER]


def test_pipelines_and_stages_have_a_limit_of_their_own() -> None:
    table = rows_of(*[span(service=name, pipeline=name, stage=name) for name in "abc"])
    found = guard(names=3, few=2).fold("spans", table, TODAY)
    assert found.column("service").to_pylist() == ["a", "b", "c"]
    assert found.column("pipeline").to_pylist() == ["a", "b", OTHER]
    assert found.column("stage").to_pylist() == ["a", "b", OTHER]


def test_a_project_does_not_use_up_the_values_of_another() -> None:
    cardinality = guard()
    assert OTHER in folded(cardinality, "a", "b", "c", "d")
    assert folded(cardinality, "d", "e", "f", project="other") == ["d", "e", "f"]


def test_what_a_row_said_stays_in_its_attributes_and_the_others_are_untouched() -> None:
    table = rows_of(
        span(service="a", attributes=[("x", "1")]),
        span(service="b"),
        span(service="c", attributes=[("y", "2"), ("z", "3")]),
    )
    found = guard(names=1).fold("spans", table, TODAY)
    assert found.column("attributes").to_pylist() == [
        [("x", "1")],
        [(f"{ORIGINAL}service", "b")],
        [("y", "2"), ("z", "3"), (f"{ORIGINAL}service", "c")],
    ]
    assert found.schema == SPAN_SCHEMA
    assert found.drop_columns(["service", "attributes"]) == table.drop_columns(["service", "attributes"])


def test_two_columns_of_one_row_can_be_folded() -> None:
    cardinality = guard(few=1)
    found = cardinality.fold("spans", rows_of(span(pipeline="p", stage="s"), span(pipeline="q", stage="t")), TODAY)
    assert found.column("attributes").to_pylist()[1] == [(f"{ORIGINAL}pipeline", "q"), (f"{ORIGINAL}stage", "t")]


def test_a_slice_is_folded_as_a_whole_table_is() -> None:
    table = services("a", "b", "c", "d", attributes=[("k", "v")])
    found = guard(names=1).fold("spans", table.slice(1), TODAY)
    assert found.column("service").to_pylist() == ["b", OTHER, OTHER]
    assert found.column("attributes").to_pylist()[2] == [("k", "v"), (f"{ORIGINAL}service", "d")]


@pytest.mark.parametrize("table", GUARDED)
def test_every_guarded_column_is_a_text_column_of_its_table_and_an_empty_batch_is_fine(table: str) -> None:
    schema = SCHEMAS[table]
    assert {schema.field(name).type for name in GUARDED[table].columns} == {pa.string()}
    assert GUARDED[table].time in schema.names
    assert guard().fold(table, schema.empty_table(), TODAY) == schema.empty_table()


def test_the_next_day_has_room_for_new_values_and_keeps_those_of_the_day_before() -> None:
    cardinality = guard()
    folded(cardinality, "a", "b", "c", "d")
    assert folded(cardinality, "e", "f", "g", "h", "a", "b", "c", at=TODAY + DAY) == [*"efg", OTHER, *"abc"]
    # Whoever was not seen for a whole day has no place any more.
    assert folded(cardinality, "x", "y", "z", "a", at=TODAY + 3 * DAY) == [*"xyz", OTHER]


def test_never_more_than_twice_the_limit_on_any_day() -> None:
    cardinality, chosen = guard(), random.Random(7)
    for day in range(20):
        seen: set[str] = set()
        for _ in range(50):
            seen |= set(folded(cardinality, *(str(chosen.randrange(40)) for _ in range(5)), at=TODAY + day * DAY))
        assert len(seen - {OTHER}) <= 6


def test_it_says_so_once_a_day_and_counts_every_row(caplog: pytest.LogCaptureFixture) -> None:
    cardinality = guard()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            folded(cardinality, "a", "b", "c", "dd", "dd")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "spans.service of project default has more than 3 new values today" in caplog.text
    assert cardinality.report()["spans"]["service"] == {
        "values": 3,
        "limit": 3,
        "folded_total": 6,
        "example": "dd",
    }
    with caplog.at_level(logging.WARNING):
        folded(cardinality, *"efgh", at=TODAY + DAY)
    assert len(caplog.records) == 2


def test_a_flood_of_values_leaves_a_bounded_memory_of_them() -> None:
    cardinality = Cardinality(CollectorSettings())
    table = services(*["x"] * 500)
    place = table.schema.get_field_index("pipeline")
    for batch in range(200):
        names = pa.array([f"pipeline-{batch}-{number}-" + "x" * 200 for number in range(500)])
        cardinality.fold("spans", table.set_column(place, table.schema.field(place), names), TODAY)
    report = cardinality.report()["spans"]["pipeline"]
    assert (report["values"], report["folded_total"]) == (1000, 99_000)
    (values,) = [kept for key, kept in cardinality._columns.items() if key[2] == "pipeline"]
    assert all(isinstance(value, int) for value in values.today)
    assert len(values.example or "") <= 120


def test_after_a_restart_the_values_of_the_last_quarter_hour_are_known_from_the_store(
    telemetry: TelemetryStore,
) -> None:
    now = datetime(2026, 11, 1, 18, tzinfo=UTC)
    store_spans(
        telemetry,
        span(service="a", end_time=now - timedelta(minutes=14)),
        span(service="b", end_time=now),
        span(service="long gone", end_time=now - timedelta(minutes=16)),
        span(service=OTHER, end_time=now),
    )
    cardinality = guard()
    cardinality.seed(telemetry, now)
    assert cardinality.report()["spans"]["service"]["values"] == 2
    at = int(now.timestamp()) * 10**9
    assert folded(cardinality, "a", "b", "c", "long gone", at=at) == ["a", "b", "c", OTHER]


def test_what_a_target_shows_goes_through_the_guard_of_the_receivers(tmp_path: Path, telemetry: TelemetryStore) -> None:
    with Exporter("a 1\nb 2\nc 3\n") as exporter:
        limits = CollectorSettings(
            scrape=[ScrapeTarget(name="engine", url=exporter.url, interval_seconds=0.5)], max_values_per_column=1
        )
        intake = Intake(Settings(data_dir=tmp_path, collector=limits), telemetry)
        intake.start()
        wait_until(
            lambda: intake.health()["scrape"]["by_target"][f"engine 127.0.0.1:{exporter.port}"]["rows_total"] > 0,
            "the target is scraped",
        )
        intake.stop()
    stored = telemetry.rows(
        "SELECT DISTINCT metric FROM metric_points WHERE metric IN ('a', 'b', 'c', :other)", other=OTHER
    )
    assert {row["metric"] for row in stored} == {"a", OTHER}
    assert intake.health()["columns"]["metric_series"]["metric"]["folded_total"] >= 2


def test_a_receiver_stores_what_the_guard_leaves(
    client: TestClient, intake: Intake, telemetry: TelemetryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_cardinality", guard(names=1))
    monkeypatch.setattr(intake._reception._decoding, "_cardinality", intake._cardinality)
    records = [{"eventName": name, "body": {"stringValue": "x"}} for name in ("first", "second", "third")]
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    assert client.post("/v1/logs", json=body).status_code == 200
    intake.stop()
    stored = telemetry.rows("SELECT event_name, attributes FROM logs ORDER BY attributes['andon.original.event_name']")
    assert [(row["event_name"], row["attributes"]) for row in stored] == [
        ("first", {}),
        (OTHER, {f"{ORIGINAL}event_name": "second"}),
        (OTHER, {f"{ORIGINAL}event_name": "third"}),
    ]
    assert intake.health()["columns"]["logs"]["event_name"]["folded_total"] == 2
