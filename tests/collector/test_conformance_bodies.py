"""OTLP's rules for what stands in bodies: the shapes of its own examples, odd and empty ones, very many refused items,
and what is no HTTP at all; against a real `andon serve`."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import Parse
from google.protobuf.unknown_fields import UnknownFieldSet
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.testclient import TestClient

from collector.exports import Export
from collector.intake import Intake
from tests.collector.otlp_calls import (
    JSON,
    LOGS,
    METRICS,
    PROTOBUF,
    SUCCESS,
    TRACES,
    body_of,
    call,
    post,
    request_of,
    transport,
)
from tests.collector.test_conformance import every_signal, every_way, partial
from tests.servers import ServeProcess, query_directory

MOST_ANSWER_BYTES = 4 * 2**20


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    with ServeProcess(tmp_path_factory.mktemp("bodies") / "data") as running:
        yield running
        assert running.stop() == 0


@every_way
def test_c4_the_answer_to_a_hundred_thousand_refused_items_is_small(server: ServeProcess, way: str) -> None:
    answer = call(server, way, TRACES, body_of(request_of(TRACES, "clockless", good=1, bad=100_000), way))
    assert answer.code == SUCCESS[transport(way)]
    rejected, why = partial(TRACES, answer.message(TRACES.answer))
    assert rejected == 100_000
    assert why == "100000 refused: start or end time is before 2000 or more than a day ahead"
    assert len(answer.body) < MOST_ANSWER_BYTES


def test_c4_no_error_repeats_so_much_of_a_request_that_it_grows_too_large(server: ServeProcess) -> None:
    long = "x" * 60_000
    for path, headers in ((f"/{long}", {}), ("/v1/traces", {"content-encoding": long})):
        answer = post(server, path, b"", {"content-type": PROTOBUF, **headers})
        assert answer.code in {404, 415}
        assert len(answer.body) < MOST_ANSWER_BYTES
    answer = post(server, "/v1/traces", json.dumps({"resourceSpans": "x" * 5 * 2**20}).encode(), {"content-type": JSON})
    assert answer.code == 400
    assert len(answer.body) < MOST_ANSWER_BYTES


FOREIGN = {PROTOBUF: b"\x12\x03abc", JSON: b'{"resourceProfiles": [{}]}', "grpc": b"\x12\x03abc"}


@every_signal
@every_way
def test_c9_a_body_of_something_else_is_taken_with_a_warning(server: ServeProcess, export: Export, way: str) -> None:
    answer = call(server, way, export, FOREIGN[way])
    assert answer.code == SUCCESS[transport(way)]
    rejected, why = partial(export, answer.message(export.answer))
    assert (rejected, why) == (0, f"the body holds nothing that {export.path} takes; is it of another kind?")


@every_signal
@every_way
def test_c11_empty_envelopes_are_no_rows_and_no_complaint(server: ServeProcess, export: Export, way: str) -> None:
    (resources,) = export.request.DESCRIPTOR.fields
    (scopes,) = (field for field in resources.message_type.fields if field.name.startswith("scope_"))
    for envelope in ({}, {scopes.name: []}, {scopes.name: [{}]}):
        request = export.request(**{resources.name: [envelope]})
        answer = call(server, way, export, body_of(request, way))
        assert (answer.code, answer.message(export.answer)) == (SUCCESS[transport(way)], export.answer())
    if way == JSON:
        for text in (f'{{"{resources.json_name}": []}}', f'{{"{resources.json_name}": null}}', " { } "):
            assert call(server, way, export, text.encode()).body == b"{}"


def test_c10_when_a_part_cannot_be_stored_now_the_whole_is_to_be_sent_again(client: TestClient, intake: Intake) -> None:
    """An observation and a record go to journals of their own; one of them takes nothing any more."""
    request = request_of(LOGS, "halves", good=2)
    record = request.resource_logs[0].scope_logs[0].log_records[0]  # type: ignore[attr-defined]
    record.event_name = "andon.observation"
    record.attributes.add(key="andon.observation.score").value.double_value = 0.5
    intake._journals["logs"].close()
    answer = client.post("/v1/logs", content=body_of(request, PROTOBUF), headers={"content-type": PROTOBUF})
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"


def test_c13_fields_that_are_not_known_are_left_aside_in_protobuf(server: ServeProcess) -> None:
    request = request_of(TRACES, "newer")
    assert isinstance(request, ExportTraceServiceRequest)
    unknown = b"\xfa\x3f\x04what"  # field 1023
    for level in (request, request.resource_spans[0], request.resource_spans[0].scope_spans[0].spans[0]):
        level.MergeFromString(unknown)
        assert len(UnknownFieldSet(level)) == 1
    answer = call(server, PROTOBUF, TRACES, request.SerializeToString())
    assert (answer.code, answer.body) == (200, b"")


@pytest.mark.parametrize(
    ("sent", "media_type"),
    [
        (b"this is not HTTP\r\n\r\n", JSON),
        (b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n", JSON),
        (
            b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n"
            b"content-length: x\r\n\r\n",
            PROTOBUF,
        ),
    ],
)
def test_h10_what_is_no_http_is_answered_with_a_status_too(server: ServeProcess, sent: bytes, media_type: str) -> None:
    url = httpx.URL(server.otlp_url)
    with socket.create_connection((url.host, url.port or 0), timeout=60) as connection:
        connection.sendall(sent)
        head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert f"content-type: {media_type}".encode() in head
    status = Parse(body, Status()) if media_type == JSON else Status.FromString(body)
    assert (status.code, status.message) == (3, "Invalid HTTP request received.")


def test_h16_many_requests_go_over_one_connection(server: ServeProcess) -> None:
    with httpx.Client() as client:
        for _ in range(3):
            answer = client.post(f"{server.otlp_url}/v1/traces", content=b"", headers={"content-type": PROTOBUF})
            stream = answer.extensions["network_stream"]
        assert client.post(f"{server.otlp_url}/v1/traces", content=b"", headers={"content-type": PROTOBUF}).extensions[
            "network_stream"
        ].get_extra_info("socket") is stream.get_extra_info("socket")


def point(now: int, **values: Any) -> dict[str, Any]:
    attributes = [{"key": "my.gauge.attr", "value": {"stringValue": "some value"}}]
    return {"startTimeUnixNano": str(now), "timeUnixNano": str(now), "attributes": attributes, **values}


def examples() -> list[tuple[Export, Any]]:
    """Requests in the shapes of the four example files of OTLP; the values are our own, the times are now."""
    now = time.time_ns()
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}]}
    scope = {
        "name": "my.library",
        "version": "1.0.0",
        "attributes": [{"key": "my.scope.attribute", "value": {"stringValue": "some scope attribute"}}],
    }
    span = {
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "EEE19B7EC3C1B174",
        "parentSpanId": "EEE19B7EC3C1B173",
        "name": "I am a server span",
        "startTimeUnixNano": str(now),
        "endTimeUnixNano": str(now + 10**9),
        "kind": 2,
        "attributes": [{"key": "my.span.attr", "value": {"stringValue": "some value"}}],
    }
    metrics = [
        {
            "name": "my.counter",
            "unit": "1",
            "description": "counts",
            "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point(now, asDouble=5)]},
        },
        {"name": "my.gauge", "unit": "1", "description": "", "gauge": {"dataPoints": [point(now, asDouble=10)]}},
        {
            "name": "my.histogram",
            "unit": "1",
            "histogram": {
                "aggregationTemporality": 1,
                "dataPoints": [
                    point(now, count=2, sum=2, bucketCounts=[1, 1], explicitBounds=[1], min=0, max=2),
                ],
            },
        },
        {
            "name": "my.exponential.histogram",
            "unit": "1",
            "exponentialHistogram": {
                "aggregationTemporality": 1,
                "dataPoints": [
                    point(
                        now,
                        count=3,
                        sum=10,
                        scale=0,
                        zeroCount=1,
                        positive={"offset": 1, "bucketCounts": [0, 2]},
                        min=0,
                        max=5,
                        zeroThreshold=0,
                    )
                ],
            },
        },
    ]
    record = {
        "timeUnixNano": str(now),
        "observedTimeUnixNano": str(now),
        "severityNumber": 10,
        "severityText": "Information",
        "traceId": "5B8EFFF798038103D269B633813FC60C",
        "spanId": "EEE19B7EC3C1B174",
        "body": {"stringValue": "a record"},
        "attributes": [
            {"key": "string.attribute", "value": {"stringValue": "some string"}},
            {"key": "boolean.attribute", "value": {"boolValue": True}},
            {"key": "int.attribute", "value": {"intValue": "10"}},
            {"key": "double.attribute", "value": {"doubleValue": 637.704}},
            {
                "key": "array.attribute",
                "value": {"arrayValue": {"values": [{"stringValue": "many"}, {"stringValue": "values"}]}},
            },
            {
                "key": "map.attribute",
                "value": {"kvlistValue": {"values": [{"key": "some.map.key", "value": {"stringValue": "a value"}}]}},
            },
        ],
    }
    event = {
        "timeUnixNano": str(now),
        "observedTimeUnixNano": str(now),
        "eventName": "browser.page_view",
        "body": {"kvlistValue": {"values": [{"key": "type", "value": {"intValue": "0"}}]}},
        "attributes": [{"key": "url.path", "value": {"stringValue": "/ask"}}],
    }
    return [
        (TRACES, {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": [span]}]}]}),
        (
            METRICS,
            {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"scope": scope, "metrics": metrics}]}]},
        ),
        (LOGS, {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": [record]}]}]}),
        (LOGS, {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": scope, "logRecords": [event]}]}]}),
    ]


def test_j10_the_shapes_of_the_example_files_are_stored_value_for_value(tmp_path: Any) -> None:
    data = tmp_path / "data"
    with ServeProcess(data) as running:
        for export, request in examples():
            answer = post(running, export.path, json.dumps(request).encode(), {"content-type": JSON})
            assert (answer.code, answer.body) == (200, b"{}")
        assert running.stop() == 0
    (span,) = query_directory(
        data,
        "SELECT hex(trace_id) AS t, hex(span_id) AS s, hex(parent_span_id) AS p, name, kind, attributes, service, "
        "scope_name, scope_version, dateDiff('second', start_time, end_time) AS seconds FROM spans",
    )
    assert span == {
        "t": "5B8EFFF798038103D269B633813FC60C",
        "s": "EEE19B7EC3C1B174",
        "p": "EEE19B7EC3C1B173",
        "name": "I am a server span",
        "kind": 2,
        "attributes": {"my.span.attr": "some value"},
        "service": "my.service",
        "scope_name": "my.library",
        "scope_version": "1.0.0",
        "seconds": 1,
    }
    counter, exponential, gauge, histogram = query_directory(
        data,
        "SELECT kind, temporality, value, count, sum, min, max, bucket_bounds, bucket_counts, scale, zero_count, "
        "positive_offset, positive_counts FROM metrics ORDER BY metric",
    )
    assert (counter["kind"], counter["temporality"], counter["value"]) == ("sum", "delta", 5)
    assert (gauge["kind"], gauge["value"]) == ("gauge", 10)
    assert (histogram["count"], histogram["sum"], histogram["min"], histogram["max"]) == (2, 2, 0, 2)
    assert (histogram["bucket_bounds"], histogram["bucket_counts"]) == ([1], [1, 1])
    assert (exponential["count"], exponential["sum"], exponential["scale"], exponential["zero_count"]) == (3, 10, 0, 1)
    assert (exponential["positive_offset"], exponential["positive_counts"]) == (1, [0, 2])
    event, record = query_directory(
        data, "SELECT event_name, body, severity_number, severity_text, attributes FROM logs ORDER BY body DESC"
    )
    assert (event["event_name"], json.loads(event["body"])) == ("browser.page_view", {"type": 0})
    assert (record["body"], record["severity_number"], record["severity_text"]) == ("a record", 10, "Information")
    assert record["attributes"] == {
        "string.attribute": "some string",
        "boolean.attribute": "true",
        "int.attribute": "10",
        "double.attribute": "637.704",
        "array.attribute": '["many","values"]',
        "map.attribute": '{"some.map.key":"a value"}',
    }
