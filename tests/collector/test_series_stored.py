"""Series on their way: an acknowledged point is never without what its series says, however it came into the store."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from starlette.testclient import TestClient

from collector.cardinality import ORIGINAL, OTHER, Cardinality
from collector.columns import METRIC_SCHEMA
from collector.frames import read_frames
from collector.identities import parted
from collector.intake import Intake
from collector.journal import Journal
from collector.metrics import decode_metrics
from collector.rows import of_project, stored_schema
from collector.segment import read_segment
from collector.writer import Writer
from settings import CollectorSettings, Settings
from store.telemetry import TelemetryStore
from tests.collector.test_journal import open_journal, rows
from tests.metric_rows import whole
from tests.servers import wait_until

PROTOBUF = {"content-type": "application/x-protobuf"}
NOW = time.time_ns()
SERIES = pa.table({"series": [1, 2]})


def body(value: int, *hosts: str, metric: str = "calls") -> bytes:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "gateway"
    sent = resource.scope_metrics.add().metrics.add(name=metric, unit="1").sum
    sent.aggregation_temporality, sent.is_monotonic = 2, True
    for host in hosts:
        point = sent.data_points.add(as_int=value, time_unix_nano=NOW + value)
        point.attributes.add(key="host").value.string_value = host
    return request.SerializeToString()


def post(client: TestClient, content: bytes) -> int:
    return client.post("/v1/metrics", content=content, headers=PROTOBUF).status_code


def stored(telemetry: TelemetryStore) -> list[tuple[Any, ...]]:
    rows = telemetry.rows("SELECT int_value, service, attributes['host'] AS host FROM metrics ORDER BY ALL")
    return [tuple(row.values()) for row in rows]


@pytest.fixture
def second(tmp_path: Path, telemetry: TelemetryStore) -> Iterator[Intake]:
    intake = Intake(Settings(data_dir=tmp_path / "second"), telemetry)
    intake.start()
    yield intake
    intake.stop()


def test_a_known_series_is_not_stored_again_and_its_points_still_say_everything(
    client: TestClient, intake: Intake, telemetry: TelemetryStore
) -> None:
    assert post(client, body(1, "a", "b")) == 200
    assert post(client, body(2, "b", "c")) == 200
    intake.stop()
    assert stored(telemetry) == [(1, "gateway", "a"), (1, "gateway", "b"), (2, "gateway", "b"), (2, "gateway", "c")]
    assert telemetry.rows("SELECT count() AS n FROM metric_series") == [{"n": 3}]
    assert intake.health()["series"] == {"today": 3, "announced_total": 3, "forgotten_total": 0}


def test_a_series_that_two_collectors_announce_is_read_once(
    client: TestClient, intake: Intake, second: Intake, telemetry: TelemetryStore
) -> None:
    assert post(client, body(1, "a")) == 200
    with TestClient(second.receiver.app(), "http://localhost") as other:
        assert post(other, body(2, "a")) == 200
    intake.stop()
    second.stop()
    assert stored(telemetry) == [(1, "gateway", "a"), (2, "gateway", "a")]


def test_a_request_that_could_not_be_stored_announces_its_series_when_it_comes_again(
    client: TestClient, intake: Intake, telemetry: TelemetryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = intake._journals["metric_points"]
    monkeypatch.setattr(journal, "_max_bytes", -1)
    assert post(client, body(1, "a")) == 503
    monkeypatch.setattr(journal, "_max_bytes", 2**30)
    assert post(client, body(2, "a")) == 200
    intake.stop()
    assert stored(telemetry) == [(2, "gateway", "a")]


def test_series_stand_in_the_journal_before_the_points_that_need_them_and_share_their_sync(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append(rows(1), beside=SERIES).result(timeout=10)
    journal.append(rows(2)).result(timeout=10)
    (segment,) = tmp_path.glob("*.open")
    whole_file = segment.read_bytes()
    journal.close()
    assert [frame.is_beside for frame in read_frames(whole_file).intact] == [False, True, False, False]
    for cut in range(len(whole_file)):
        segment.write_bytes(whole_file[:cut])
        found = read_segment(segment, journal.schema)
        assert found.rows is None or found.beside == SERIES


class Noting(TelemetryStore):
    """A store that notes into which tables it is told to insert, and refuses some."""

    def __init__(self, refused: list[str]) -> None:
        self.refused, self.tables = refused, list[str]()

    def insert(self, table: str, rows: pa.Table, token: str | None = None) -> None:
        self.tables.append(table)
        if table in self.refused:
            self.refused.remove(table)
            raise RuntimeError("refused")


@pytest.mark.parametrize(
    ("refused", "tables"),
    [
        ([], ["series", "points"]),
        (["series"], ["series", "series", "points"]),
        (["points"], ["series", "points", "series", "points"]),
    ],
)
def test_no_point_is_in_the_store_before_its_series(tmp_path: Path, refused: list[str], tables: list[str]) -> None:
    journal = open_journal(tmp_path)
    journal.append(rows(1), beside=SERIES).result(timeout=10)
    journal.close()
    store = Noting(refused)
    writer = Writer(journal, store, "points", beside="series")
    writer.start()
    wait_until(lambda: writer.counts.segments == 1, "the segment is moved")
    writer.stop(60)
    writer.join()
    assert store.tables == tables


def test_after_a_damaged_segment_all_series_are_announced_again(
    client: TestClient, intake: Intake, telemetry: TelemetryStore
) -> None:
    journal = intake._journals["metric_points"]
    assert post(client, body(1, "a")) == 200
    wait_until(lambda: journal.state().segments == 0, "the store has it")
    (journal.folder / "00000000000000000001-damaged.segment").write_bytes(b"\x00garbage" * 100)
    intake._writers["metric_points"].wake()
    wait_until(lambda: intake.health()["series"]["forgotten_total"] == 1, "the damage is seen")
    telemetry.execute("TRUNCATE TABLE metric_series")  # as if the segment had held it
    assert post(client, body(2, "a")) == 200
    intake.stop()
    assert stored(telemetry) == [(1, "gateway", "a"), (2, "gateway", "a")]


def test_a_segment_of_before_series_stood_apart_is_stored_as_points_and_series(
    tmp_path: Path, telemetry: TelemetryStore
) -> None:
    journal = Journal(tmp_path, stored_schema(METRIC_SCHEMA), seal_seconds=60, seal_bytes=2**30, max_bytes=2**30)
    journal.append(of_project(whole(decode_metrics(body(1, "a", "b"), NOW)), "default")).result(timeout=10)
    journal.close()
    writer = Writer(journal, telemetry, "metric_points", beside="metric_series", parted=parted)
    writer.start()
    wait_until(lambda: writer.counts.segments == 1, "the segment is moved")
    writer.stop(60)
    writer.join()
    assert stored(telemetry) == [(1, "gateway", "a"), (1, "gateway", "b")]


def test_a_name_beyond_the_limit_is_folded_in_points_and_series_alike(
    client: TestClient, intake: Intake, telemetry: TelemetryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = Cardinality(CollectorSettings(max_values_per_column=1))
    monkeypatch.setattr(intake._reception._decoding, "_cardinality", guard)
    for value, metric in enumerate(("first", "second", "first", "second")):
        assert post(client, body(value, "a", metric=metric)) == 200
    intake.stop()
    found = telemetry.rows("SELECT int_value, metric, attributes FROM metrics ORDER BY int_value")
    other = {"host": "a", f"{ORIGINAL}metric": "second"}
    assert [tuple(row.values()) for row in found] == [
        (0, "first", {"host": "a"}),
        (1, OTHER, other),
        (2, "first", {"host": "a"}),
        (3, OTHER, other),
    ]
    named = telemetry.rows("SELECT DISTINCT metric FROM metric_series ORDER BY metric")
    assert [row["metric"] for row in named] == [OTHER, "first"]


def test_only_the_series_that_are_asked_for_are_described() -> None:
    decoded = decode_metrics(body(1, "a", "b", "c"), NOW)
    assert decoded.identify is not None
    described = decoded.identify(np.array([0, 2]))
    assert described.column("attributes").to_pylist() == [[("host", "a")], [("host", "c")]]
    assert described.column("series").to_pylist() == decoded.rows.column("series").take([0, 2]).to_pylist()
