"""A request that is sent again within ten minutes is stored once and answered as before, whichever way it comes."""

from __future__ import annotations

import gzip
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.testclient import TestClient

from collector.exports import Export
from collector.intake import Intake
from collector.journal import Journal, JournalFullError
from collector.segment import read_segment
from settings import CollectorSettings, Settings
from store.telemetry import TelemetryStore
from tests.collector.otlp_calls import LOGS, METRICS, PROTOBUF, SUCCESS, TRACES, body_of, call, request_of, transport
from tests.collector.test_journal import SCHEMA, open_journal, rows, sealed_numbers
from tests.collector.test_seen import mark
from tests.servers import ServeProcess, query_directory

TABLES = {TRACES: "spans", METRICS: "metric_points", LOGS: "logs"}
HEADERS = {"content-type": PROTOBUF}


def count(telemetry: TelemetryStore, table: str) -> int:
    return int(telemetry.rows(f"SELECT count() AS n FROM {table}")[0]["n"])


def test_a_marked_request_is_written_once_and_the_second_is_told_so(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    assert journal.append(rows(1), [mark(1)]).result(timeout=10) is True
    assert journal.append(rows(1), [mark(1)]).result(timeout=10) is False
    assert journal.append(rows(2), [mark(2)]).result(timeout=10) is True
    journal.close()
    assert sealed_numbers(journal) == [1, 2]


def test_of_copies_that_come_at_once_one_is_written_and_all_wait_for_it(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    copies = [journal.append(rows(1), [mark(1)]) for _ in range(50)]
    assert sorted(copy.result(timeout=10) for copy in copies) == [False] * 49 + [True]
    journal.close()
    assert sealed_numbers(journal) == [1]


def test_a_request_that_failed_is_no_duplicate(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, max_bytes=1)
    journal.append(rows(1), [mark(1)]).result(timeout=10)
    for _ in range(2):
        with pytest.raises(JournalFullError):
            journal.append(rows(2), [mark(2)]).result(timeout=10)
    assert journal.append(rows(1), [mark(1)]).result(timeout=10) is False
    journal.close()
    assert sealed_numbers(journal) == [1]


def test_a_request_whose_rows_survived_a_crash_is_known_and_a_torn_one_is_not(tmp_path: Path) -> None:
    """The mark stands in the frame of the rows: wherever the file ends, both are there or neither is."""
    before = open_journal(tmp_path / "before")
    before.append(rows(1), [mark(1)]).result(timeout=10)
    before.append(rows(2), [mark(2)]).result(timeout=10)
    (segment,) = (tmp_path / "before").glob("*.open")
    whole = segment.read_bytes()
    before.close()
    for cut in range(0, len(whole) + 1, 11):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / segment.name).write_bytes(whole[:cut])
        journal = open_journal(folder)
        for number in (1, 2):
            journal.append(rows(number), [mark(number)]).result(timeout=10)
        journal.close()
        assert sorted(sealed_numbers(journal)) == [1, 2]


def test_a_request_is_known_when_its_segment_is_gone_and_the_server_restarted(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append(rows(1), [mark(1)]).result(timeout=10)
    journal.close()
    for segment in journal.sealed():
        journal.discard(segment)
    again = open_journal(tmp_path)
    assert again.append(rows(1), [mark(1)]).result(timeout=10) is False
    again.close()


def test_segments_of_before_there_were_marks_are_read(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append(rows(1)).result(timeout=10)
    journal.close()
    (segment,) = journal.sealed()
    assert b"ANDM" not in segment.read_bytes()
    found = read_segment(segment, SCHEMA)
    assert found.rows is not None
    assert found.rows["n"].to_pylist() == [1]


@pytest.mark.parametrize("export", TABLES, ids=lambda export: export.path)
def test_the_same_request_again_is_stored_once_and_counted(
    client: TestClient, intake: Intake, telemetry: TelemetryStore, export: Export
) -> None:
    first = body_of(request_of(export, "first", good=3), PROTOBUF)
    other = body_of(request_of(export, "other", good=3), PROTOBUF)
    for body in (first, first, other, first):
        assert client.post(export.path, content=body, headers=HEADERS).status_code == 200
    intake.stop()
    assert count(telemetry, TABLES[export]) == 6
    assert intake.health()["duplicate_requests_total"] == 2
    assert intake.health()["accepted"][TABLES[export]] == 6


def test_the_answer_to_a_repetition_tells_the_same_items_refused(client: TestClient, intake: Intake) -> None:
    body = body_of(request_of(TRACES, "partly", good=2, bad=3), PROTOBUF)
    answers = [client.post(TRACES.path, content=body, headers=HEADERS).content for _ in range(2)]
    assert answers[0] == answers[1]
    assert ExportTraceServiceResponse.FromString(answers[0]).partial_success.rejected_spans == 3
    assert sum(intake.health()["refused_items"].values()) == 3


def test_records_that_take_the_time_of_their_arrival_are_stored_each_time(
    client: TestClient, intake: Intake, telemetry: TelemetryStore
) -> None:
    """The same bytes again may be another event. Observations in the same request have times, and are known again."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    records.add().body.string_value = "tick"
    dated = request_of(LOGS, "s").resource_logs[0].scope_logs[0].log_records[0]  # type: ignore[attr-defined]
    observed = records.add(event_name="andon.observation", time_unix_nano=dated.time_unix_nano)
    observed.attributes.add(key="andon.observation.score").value.double_value = 0.5
    for _ in range(2):
        assert client.post(LOGS.path, content=request.SerializeToString(), headers=HEADERS).status_code == 200
    intake.stop()
    assert (count(telemetry, "logs"), count(telemetry, "observations")) == (2, 1)


def test_a_request_of_two_tables_of_which_one_failed_is_completed_by_its_repetition(
    tmp_path: Path, telemetry: TelemetryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake = Intake(Settings(data_dir=tmp_path, collector=CollectorSettings()), telemetry)
    intake.start()
    request = request_of(LOGS, "both", good=2)
    record = request.resource_logs[0].scope_logs[0].log_records.add()  # type: ignore[attr-defined]
    record.event_name = "andon.observation"
    record.time_unix_nano = request.resource_logs[0].scope_logs[0].log_records[0].time_unix_nano  # type: ignore[attr-defined]
    record.attributes.add(key="andon.observation.score").value.double_value = 0.5
    whole_append = Journal.append

    def failing_for_logs(self: Journal, *given: object) -> object:
        if self.folder.name == "logs":
            raise OSError(28, "No space left on device")
        return whole_append(self, *given)  # type: ignore[arg-type]

    with TestClient(intake.receiver.app(), "http://localhost") as client:
        with monkeypatch.context() as patched:
            patched.setattr(Journal, "append", failing_for_logs)
            body = request.SerializeToString()
            assert client.post(LOGS.path, content=body, headers=HEADERS).status_code == 503
        for _ in range(2):
            assert client.post(LOGS.path, content=body, headers=HEADERS).status_code == 200
    intake.stop()
    assert (count(telemetry, "logs"), count(telemetry, "observations")) == (2, 1)


def test_copies_over_http_and_grpc_plain_and_compressed_are_one_request(tmp_path: Path) -> None:
    body = body_of(request_of(TRACES, "one", good=5), PROTOBUF)
    ways = [(way, packing) for way in (PROTOBUF, "grpc") for packing in ("", "gzip")] + [(PROTOBUF, "zstd")]
    with ServeProcess(tmp_path / "data") as server:
        with ThreadPoolExecutor(len(ways)) as senders:
            codes = senders.map(lambda way: (way[0], call(server, way[0], TRACES, body, way[1]).code), ways)
            assert all(code == SUCCESS[transport(way)] for way, code in codes)
        assert server.stop() == 0
    assert query_directory(tmp_path / "data", "SELECT count() AS n FROM spans") == [{"n": 5}]


def test_a_retry_to_a_server_that_was_killed_after_it_had_stored_the_request_is_recognised(tmp_path: Path) -> None:
    """Killed before it could answer, as far as the sender knows."""
    exports = {export: body_of(request_of(export, "killed", good=4), PROTOBUF) for export in TABLES}
    with ServeProcess(tmp_path / "data") as server:
        for export, body in exports.items():
            assert call(server, PROTOBUF, export, body).code == 200
        for _ in range(2):
            server.kill()
            server.start()
            for export, body in exports.items():
                packed = httpx.post(
                    f"{server.otlp_url}{export.path}",
                    content=gzip.compress(body),
                    headers=HEADERS | {"content-encoding": "gzip"},
                )
                assert packed.status_code == 200
        assert server.stop() == 0
    for table in TABLES.values():
        assert query_directory(tmp_path / "data", f"SELECT count() AS n FROM {table}") == [{"n": 4}], table
