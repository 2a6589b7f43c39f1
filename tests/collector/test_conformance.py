"""OTLP's rules for a receiver, rule by rule, in every way that a request can come, against a real `andon serve`."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest

from collector.exports import EXPORTS, Export
from tests.collector.otlp_calls import (
    BAD_DATA,
    GRPC_COMPRESSIONS,
    JSON,
    LOGS,
    METRICS,
    PROTOBUF,
    RETRY,
    SUCCESS,
    TOO_LARGE,
    TRACES,
    body_of,
    call,
    call_grpc,
    post,
    request_of,
    transport,
)
from tests.servers import ServeProcess, query_directory, wait_until

pytestmark = pytest.mark.long

LIMIT = 2**20
WAYS = (PROTOBUF, JSON, "grpc")
COMBINATIONS = [(way, packing) for way in (PROTOBUF, JSON) for packing in ("", "gzip", "zstd")]
COMBINATIONS += [("grpc", packing) for packing in GRPC_COMPRESSIONS]

every_signal = pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.path)
every_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    """A server for all rules that are about answers; bodies of at most 1 MiB."""
    folder = tmp_path_factory.mktemp("conformance")
    (folder / "andon.toml").write_text(f"[collector]\nmax_body_bytes = {LIMIT}\n")
    with ServeProcess(folder / "data", folder / "andon.toml") as running:
        yield running
        assert running.stop() == 0


def partial(export: Export, message: Message) -> tuple[int, str]:
    found = message.partial_success  # type: ignore[attr-defined]  # every answer of an export has it
    return getattr(found, export.rejected), found.error_message


def test_every_signal_encoding_and_compression_leads_to_the_same_rows(tmp_path: Path) -> None:
    names = [f"{way}+{packing}" for way, packing in COMBINATIONS]
    with ServeProcess(tmp_path / "data") as running:
        for (way, packing), name in zip(COMBINATIONS, names, strict=True):
            for export in EXPORTS:
                answer = call(running, way, export, body_of(request_of(export, name, good=2), way), packing)
                assert answer.code == SUCCESS[transport(way)]
        assert running.stop() == 0
    for columns, table in (
        ("name, kind, hex(span_id)", "spans"),
        ("metric, unit, value, kind", "metrics"),
        ("body, severity_number", "logs"),
    ):
        sql = f"SELECT service, groupArray(({columns})) AS rows FROM (SELECT * FROM {table} ORDER BY ALL) GROUP BY ALL"
        rows = {row["service"]: row["rows"] for row in query_directory(tmp_path / "data", sql)}
        assert sorted(rows) == sorted(names)
        assert all(found == rows[names[0]] and len(found) == 2 for found in rows.values())


@every_signal
@pytest.mark.parametrize(("way", "body", "expected"), [(PROTOBUF, b"", b""), (JSON, b"{}", b"{}"), ("grpc", b"", b"")])
def test_c5_c6_an_empty_request_succeeds_and_the_answer_holds_no_partial_success(
    server: ServeProcess, export: Export, way: str, body: bytes, expected: bytes
) -> None:
    answer = call(server, way, export, body)
    assert (answer.code, answer.body) == (SUCCESS[transport(way)], expected)


@every_signal
@every_way
def test_c7_c8_a_partial_success_counts_what_is_rejected_and_says_why(
    server: ServeProcess, export: Export, way: str
) -> None:
    answer = call(server, way, export, body_of(request_of(export, "shop", good=7, bad=3), way))
    assert answer.code == SUCCESS[transport(way)]
    rejected, why = partial(export, answer.message(export.answer))
    assert rejected == 3
    assert "before 2000" in why


@every_signal
@every_way
def test_h11_g5_what_cannot_be_decoded_is_bad_data_with_a_bad_request_in_its_details(
    server: ServeProcess, export: Export, way: str
) -> None:
    answer = call(server, way, export, b"hello world")
    assert answer.code == BAD_DATA[transport(way)]
    assert answer.status.code == 3
    details = BadRequest()
    assert answer.status.details[0].Unpack(details)
    assert details.field_violations[0].description == answer.status.message
    assert answer.retry_after is None


@every_way
@pytest.mark.parametrize("packing", ["", "gzip"])
def test_c3_h8_g3_a_body_above_the_limit_plain_or_inflated_is_too_large_and_not_to_be_retried(
    server: ServeProcess, way: str, packing: str
) -> None:
    before = peak_bytes(server)
    size = LIMIT + 1 if not packing else 256 * LIMIT
    answer = call(server, way, TRACES, b"\0" * size, packing)
    assert answer.code == TOO_LARGE[transport(way)]
    assert answer.retry_after is None
    if way != "grpc":  # gRPC refuses by itself, without details
        assert answer.status.code == 8
    assert peak_bytes(server) - before < 64 * LIMIT


@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
@pytest.mark.parametrize(
    ("path", "method", "headers", "body", "status", "code"),
    [
        ("/v1/traces", "POST", {"content-encoding": "gzip"}, b"no gzip", 400, 3),
        ("/v1/traces", "POST", {"host": "attacker.example"}, b"", 403, 7),
        ("/v1/profiles", "POST", {}, b"", 404, 5),
        ("/v1/traces", "GET", {}, b"", 405, 12),
        ("/v1/traces", "PUT", {}, b"", 405, 12),
        ("/v1/traces", "DELETE", {}, b"", 405, 12),
        ("/v1/traces", "OPTIONS", {"origin": "http://page.example"}, b"", 405, 12),
        ("/v1/traces", "POST", {}, b"\0" * (LIMIT + 1), 413, 8),
        ("/v1/traces", "POST", {"content-encoding": "br"}, b"", 415, 3),
    ],
)
def test_h5_h10_every_error_is_a_status_in_the_encoding_of_the_request(
    server: ServeProcess,
    media_type: str,
    path: str,
    method: str,
    headers: dict[str, str],
    body: bytes,
    status: int,
    code: int,
) -> None:
    answer = post(server, path, body, {"content-type": media_type, **headers}, method)
    assert (answer.code, answer.media_type) == (status, media_type)
    assert answer.status.code == code
    assert answer.status.message


def test_h15_another_method_is_told_which_is_allowed(server: ServeProcess) -> None:
    for method in ("GET", "HEAD", "PUT"):
        answer = httpx.request(method, f"{server.otlp_url}/v1/logs")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_h15_another_media_type_is_answered_in_json(server: ServeProcess) -> None:
    answer = post(server, "/v1/metrics", b"", {"content-type": "text/plain"})
    assert (answer.code, answer.media_type, answer.status.code) == (415, JSON, 3)


def test_h18_a_page_of_another_origin_is_not_let_in(server: ServeProcess) -> None:
    headers = {"origin": "http://page.example", "access-control-request-method": "POST"}
    answer = httpx.options(f"{server.otlp_url}/v1/traces", headers=headers)
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_g1_a_service_that_is_not_served_is_unimplemented(server: ServeProcess) -> None:
    method = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
    assert call_grpc(server, method, b"").code is grpc.StatusCode.UNIMPLEMENTED
    assert call_grpc(server, TRACES.method.replace("Export", "Import"), b"").code is grpc.StatusCode.UNIMPLEMENTED


def test_g2_many_calls_at_once_are_all_answered(server: ServeProcess) -> None:
    body = body_of(request_of(TRACES, "many", good=50), "grpc")
    with ThreadPoolExecutor(32) as callers:
        answers = list(callers.map(lambda _: call(server, "grpc", TRACES, body), range(64)))
    assert {answer.code for answer in answers} == {grpc.StatusCode.OK}


@pytest.mark.parametrize("way", [PROTOBUF, "grpc"])
def test_h13_g6_what_cannot_be_stored_now_is_to_be_retried_soon_and_then_succeeds(tmp_path: Path, way: str) -> None:
    """The journal may hold one byte: a second request waits until the first has gone into the store."""
    config = tmp_path / "andon.toml"
    config.write_text("[collector]\njournal_max_bytes = 1\n")
    with ServeProcess(tmp_path / "data", config) as running:
        first, body = (body_of(request_of(TRACES, name), way) for name in ("first", "second"))
        assert call(running, way, TRACES, first).code == SUCCESS[transport(way)]
        answer = call(running, way, TRACES, body)
        assert answer.code == RETRY[transport(way)]
        assert answer.status.code == 14
        assert 1 <= int(answer.retry_after or 0) <= 5
        assert answer.retry_delay == int(answer.retry_after or 0)
        wait_until(
            lambda: call(running, way, TRACES, body).code == SUCCESS[transport(way)], "the repeated request is taken"
        )


@pytest.mark.parametrize("way", [PROTOBUF, "grpc"])
def test_c12_a_request_that_is_sent_twice_is_stored_once(tmp_path: Path, way: str) -> None:
    with ServeProcess(tmp_path / "data") as running:
        body = body_of(request_of(TRACES, "shop", good=3), way)
        for _ in range(2):
            assert call(running, way, TRACES, body).code == SUCCESS[transport(way)]
        assert running.stop() == 0
    (found,) = query_directory(tmp_path / "data", "SELECT count() AS rows FROM spans")
    assert int(found["rows"]) == 3


def json_examples() -> dict[Export, Any]:
    """One request for each signal in the shapes that OTLP's documents use, with what a reader must tolerate."""
    now = time.time_ns()
    resource = {
        "attributes": [{"key": "service.name", "value": {"stringValue": "by-the-book"}}],
        "entityRefs": [{"type": "service", "idKeys": ["service.name"]}],
        "notYetInvented": {"a": [1]},
    }
    attributes = [
        {"key": "bytes", "value": {"bytesValue": "AP8="}},
        {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "a"}, {}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"doubleValue": 0.5}}]}}},
        {"key": "empty", "value": {}},
        {"key": "number", "value": {"intValue": 7}},
    ]
    scope = {"name": "my.library", "version": "1.0.0", "attributes": []}
    span = {
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "eee19b7ec3c1b174",
        "parentSpanId": "EEE19B7EC3C1B173",
        "name": "I'm a server span",
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": now,
        "kind": "SPAN_KIND_SERVER",
        "status": {"code": 2},
        "attributes": attributes,
    }
    total = {
        "name": "my.counter",
        "unit": "1",
        "sum": {
            "aggregationTemporality": 1,
            "isMonotonic": True,
            "dataPoints": [{"asDouble": 5, "startTimeUnixNano": str(now), "timeUnixNano": str(now)}],
        },
    }
    record = {
        "timeUnixNano": str(now),
        "severityNumber": 10,
        "body": {"stringValue": "Example log record"},
        "traceId": "5b8efff798038103d269b633813fc60c",
    }
    return {
        TRACES: {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": [span]}]}]},
        METRICS: {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"scope": scope, "metrics": [total]}]}]},
        LOGS: {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": [record]}]}]},
    }


def test_j1_to_j10_json_as_the_documents_write_it_is_stored(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServeProcess(data) as running:
        for export, example in json_examples().items():
            answer = post(running, export.path, json.dumps(example).encode(), {"content-type": f"{JSON};charset=utf-8"})
            assert (answer.code, answer.body) == (200, b"{}")
        assert running.stop() == 0
    (span,) = query_directory(data, "SELECT hex(trace_id) AS t, hex(span_id) AS s, kind, status_code AS c FROM spans")
    assert span == {"t": "5B8EFFF798038103D269B633813FC60C", "s": "EEE19B7EC3C1B174", "kind": 2, "c": 2}
    (kept,) = query_directory(data, "SELECT attributes, service FROM spans")
    expected = {"bytes": "AP8=", "list": '[1,"a",null]', "map": '{"k":0.5}', "empty": "", "number": "7"}
    assert kept == {"attributes": expected, "service": "by-the-book"}
    assert query_directory(data, "SELECT metric, value, temporality FROM metrics") == [
        {"metric": "my.counter", "value": 5.0, "temporality": "delta"}
    ]
    assert query_directory(data, "SELECT body, severity_number, hex(trace_id) AS t FROM logs") == [
        {"body": "Example log record", "severity_number": 10, "t": "5B8EFFF798038103D269B633813FC60C"}
    ]


def peak_bytes(server: ServeProcess) -> int:
    """The most memory that the server has held since it started."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{server.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
