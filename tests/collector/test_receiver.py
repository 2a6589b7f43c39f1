"""The OTLP/HTTP receiver over a real journal and the real store: answers, limits, and what arrives."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from starlette.testclient import TestClient

from collector.census import MOST_ITEMS
from collector.intake import Intake
from settings import CollectorSettings, Settings
from store.telemetry import TelemetryStore
from tests.collector.conftest import LIMIT
from tests.collector.test_decode import VLLM

PROTOBUF = {"content-type": "application/x-protobuf"}


def status_of(body: bytes) -> Status:
    return Status.FromString(body)


def test_recorded_vllm_bytes_are_acknowledged_and_stored_once_whole(
    client: TestClient, intake: Intake, telemetry: TelemetryStore
) -> None:
    answer = client.post("/v1/traces", content=VLLM.read_bytes(), headers=PROTOBUF)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/x-protobuf"
    intake.stop()
    rows = telemetry.rows(
        "SELECT count() AS spans, countIf(usage_role = 'leaf') AS calls, sum(input_tokens) AS n_in, "
        "sum(output_tokens) AS n_out FROM spans"
    )
    assert rows == [{"spans": 16, "calls": 4, "n_in": 523, "n_out": 56}]


def test_an_empty_request_succeeds(client: TestClient) -> None:
    answer = client.post("/v1/traces", content=b"", headers=PROTOBUF)
    assert (answer.status_code, answer.content) == (200, b"")


def test_undecodable_bytes_are_a_bad_request_with_a_status_body(client: TestClient) -> None:
    answer = client.post("/v1/traces", content=b"hello world", headers=PROTOBUF)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert status_of(answer.content).code == 3
    assert "not OTLP protobuf" in status_of(answer.content).message


def test_part_of_a_request_can_be_refused_and_is_counted(client: TestClient, intake: Intake) -> None:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    then = time.time_ns()
    spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, start_time_unix_nano=then, end_time_unix_nano=then)
    spans.add(trace_id=b"t" * 16, span_id=b"", start_time_unix_nano=then, end_time_unix_nano=then)
    answer = client.post("/v1/traces", content=request.SerializeToString(), headers=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert answer.status_code == 200
    assert partial.rejected_spans == 1
    assert "span_id is not 8 bytes" in partial.error_message
    assert sum(intake.health()["refused_items"].values()) == 1


def test_log_records_and_observations_of_one_request_go_to_tables_of_their_own(
    client: TestClient, intake: Intake, telemetry: TelemetryStore
) -> None:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    records = resource.scope_logs.add().log_records
    seen = records.add(time_unix_nano=time.time_ns(), event_name="andon.observation")
    seen.attributes.add(key="andon.observation.score").value.double_value = 0.5
    said = records.add(time_unix_nano=time.time_ns(), severity_number=17, severity_text="ERROR", trace_id=b"t" * 16)
    said.body.string_value = "out of memory"
    said.attributes.add(key="code.line.number").value.int_value = 7
    records.add(time_unix_nano=1).body.string_value = "from a clock that was never set"
    answer = client.post("/v1/logs", content=request.SerializeToString(), headers=PROTOBUF)
    assert ExportLogsServiceResponse.FromString(answer.content).partial_success.rejected_log_records == 1
    intake.stop()
    assert telemetry.rows("SELECT signal, number FROM observations") == [{"signal": "score", "number": 0.5}]
    assert telemetry.rows("SELECT severity_number, body, service, trace_id, attributes FROM logs") == [
        {
            "severity_number": 17,
            "body": "out of memory",
            "service": "shop",
            "trace_id": b"t" * 16,
            "attributes": {"code.line.number": "7"},
        }
    ]
    health = intake.health()
    assert (health["accepted"]["observations"], health["accepted"]["logs"]) == (1, 1)


@pytest.mark.parametrize(
    ("path", "headers", "body", "http_status", "says"),
    [
        ("/v1/traces", PROTOBUF, b"x" * (LIMIT + 1), 413, "max_body_bytes"),
        ("/v1/profiles", PROTOBUF, b"", 404, "/v1/profiles is not served; post to /v1/traces, /v1/metrics, /v1/logs"),
    ],
)
def test_what_is_refused_says_why_in_the_encoding_of_the_request(
    client: TestClient,
    intake: Intake,
    path: str,
    headers: dict[str, str],
    body: bytes,
    http_status: int,
    says: str,
) -> None:
    answer = client.post(path, content=body, headers=headers)
    assert answer.status_code == http_status
    assert says in status_of(answer.content).message
    assert sum(intake.health()["refused_requests"].values()) == 1


def test_a_small_body_that_would_inflate_in_memory_is_refused_before_it_is_opened(
    tmp_path: Path, telemetry: TelemetryStore
) -> None:
    """Two bytes make an empty span; 600 kB of them make more spans than one request may hold."""
    intake = Intake(Settings(data_dir=tmp_path), telemetry)
    scope_spans = ScopeSpans(spans=[Span()] * (MOST_ITEMS + 1))
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[scope_spans])])
    packed = gzip.compress(request.SerializeToString())
    assert len(packed) < 2000
    with TestClient(intake.receiver.app(), "http://localhost") as client:
        answer = client.post("/v1/traces", content=packed, headers={**PROTOBUF, "content-encoding": "gzip"})
    assert answer.status_code == 413
    # The two above the limit are the resource and its scope.
    assert status_of(answer.content).message == (
        f"the request holds {MOST_ITEMS + 3} items, at most {MOST_ITEMS} are taken in one"
    )
    assert intake.health()["refused_requests"] == {"too_many_elements": 1}
    intake.start()
    intake.stop()


def test_a_foreign_host_name_is_refused(client: TestClient) -> None:
    """A page of another site could make its own name resolve to this machine."""
    answer = client.post("/v1/traces", content=b"", headers={**PROTOBUF, "host": "attacker.example"})
    assert answer.status_code == 403
    assert "attacker.example" in status_of(answer.content).message


def test_inflated_bytes_count_against_the_budget_of_all_requests(tmp_path: Path, telemetry: TelemetryStore) -> None:
    limits = CollectorSettings(max_body_bytes=10 * LIMIT, max_in_flight_bytes=LIMIT)
    intake = Intake(Settings(data_dir=tmp_path, collector=limits), telemetry)
    with TestClient(intake.receiver.app(), base_url="http://localhost") as client:
        packed = gzip.compress(b"\0" * 2 * LIMIT)
        answer = client.post("/v1/traces", content=packed, headers={**PROTOBUF, "content-encoding": "gzip"})
        assert answer.status_code == 503
        assert client.post("/v1/traces", content=VLLM.read_bytes(), headers=PROTOBUF).status_code == 200
    intake.start()
    intake.stop()


def test_a_wrong_method_is_answered_with_a_status_body(client: TestClient) -> None:
    answer = client.get("/v1/traces", headers=PROTOBUF)
    assert answer.status_code == 405
    assert status_of(answer.content).code == 12


def test_when_the_journal_cannot_take_it_the_answer_asks_for_a_retry(tmp_path: Path, telemetry: TelemetryStore) -> None:
    limits = CollectorSettings(journal_max_bytes=1)
    intake = Intake(Settings(data_dir=tmp_path, collector=limits), telemetry)
    with TestClient(intake.receiver.app(), "http://localhost") as client:
        assert client.post("/v1/traces", content=VLLM.read_bytes(), headers=PROTOBUF).status_code == 200
        answer = client.post("/v1/traces", content=2 * VLLM.read_bytes(), headers=PROTOBUF)
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= 5
    assert status_of(answer.content).code == 14
    intake.start()
    intake.stop()
    assert telemetry.rows("SELECT count() AS n FROM spans") == [{"n": 16}]


def test_a_segment_inserted_twice_is_stored_once(
    client: TestClient, intake: Intake, telemetry: TelemetryStore, tmp_path: Path
) -> None:
    """A crash between insert and delete repeats the insert: its token makes that a no-op."""
    client.post("/v1/traces", content=VLLM.read_bytes(), headers=PROTOBUF)
    folder = tmp_path / "journal" / "spans"
    (segment,) = folder.glob("*.open")
    copy = segment.read_bytes()
    intake.stop()
    segment.with_suffix(".segment").write_bytes(copy)
    again = Intake(Settings(data_dir=tmp_path), telemetry)
    again.start()
    again.stop()
    assert list(folder.glob("*.segment")) == []
    assert telemetry.rows("SELECT count() AS n FROM spans") == [{"n": 16}]
