"""Every encoding and compression that the receiver takes leads to the same rows; what is none of them is refused."""

from __future__ import annotations

import gzip
import json
import time

import pytest
from google.rpc.status_pb2 import Status
from starlette.testclient import TestClient

from collector.bodies import zstd
from collector.intake import Intake
from store.telemetry import TelemetryStore
from tests.collector.conftest import LIMIT
from tests.collector.test_decode import VLLM

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json; charset=utf-8"}


def json_spans(*span_ids: str) -> bytes:
    then = str(time.time_ns())
    spans = [
        {"traceId": "0a" * 16, "spanId": span_id, "startTimeUnixNano": then, "endTimeUnixNano": then}
        for span_id in span_ids
    ]
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics", "/v1/logs"])
def test_json_is_answered_in_json(client: TestClient, path: str) -> None:
    answer = client.post(path, content=b"{}", headers=JSON)
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["content-type"] == "application/json"


def test_spans_in_json_are_stored_and_refused_like_others(
    client: TestClient, intake: Intake, telemetry: TelemetryStore
) -> None:
    packed = gzip.compress(json_spans("0b" * 8, "0c"))
    answer = client.post("/v1/traces", content=packed, headers={**JSON, "content-encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.json() == {
        "partialSuccess": {
            "rejectedSpans": "1",
            "errorMessage": "1 refused: span_id is not 8 bytes, or all zero",
        }
    }
    intake.stop()
    assert telemetry.rows("SELECT hex(trace_id) AS t, hex(span_id) AS s FROM spans") == [
        {"t": "0A" * 16, "s": "0B" * 8}
    ]


def test_bad_json_is_a_bad_request_with_a_status_body_in_json(client: TestClient) -> None:
    answer = client.post("/v1/traces", content=b"{", headers=JSON)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["code"] == 3
    assert answer.json()["message"].startswith("the body is not OTLP JSON: ")


def test_another_media_type_is_refused_in_json(client: TestClient) -> None:
    answer = client.post("/v1/traces", content=b"", headers={"content-type": "text/plain"})
    assert answer.status_code == 415
    assert "send application/x-protobuf or application/json" in answer.json()["message"]


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_compression_is_taken_also_in_several_members(
    client: TestClient, intake: Intake, telemetry: TelemetryStore, name: str
) -> None:
    body, pack = VLLM.read_bytes(), {"gzip": gzip.compress, "zstd": zstd.compress}[name]
    packed = pack(body[:4000]) + pack(body[4000:])
    answer = client.post("/v1/traces", content=packed, headers={**PROTOBUF, "content-encoding": name})
    assert answer.status_code == 200
    intake.stop()
    assert telemetry.rows("SELECT count() AS n FROM spans") == [{"n": 16}]


def wide_zstd() -> bytes:
    """A frame that asks for a window of 64 MiB, eight times what HTTP allows."""
    options = {zstd.CompressionParameter.window_log: 26, zstd.CompressionParameter.content_size_flag: 0}
    packer = zstd.ZstdCompressor(options=options)
    return packer.compress(b"abc" * 50) + packer.flush()


@pytest.mark.parametrize(
    ("name", "body", "http_status", "says"),
    [
        ("gzip", gzip.compress(b"\0" * (LIMIT + 1), mtime=0), 413, "max_body_bytes"),
        ("gzip", gzip.compress(b"abc" * 50, mtime=0)[:-9], 400, "cut short"),
        ("gzip", b"not gzip", 400, "not valid gzip"),
        ("zstd", zstd.compress(b"\0" * (LIMIT + 1)), 413, "max_body_bytes"),
        ("zstd", zstd.compress(b"abc" * 50)[:-3], 400, "cut short"),
        ("zstd", b"not zstd", 400, "not valid zstd"),
        ("zstd", wide_zstd(), 400, "requires too much memory"),
        ("br", b"", 415, "'br' is not taken; use gzip, zstd or none"),
    ],
)
def test_compression_that_cannot_be_undone_within_the_limits_is_refused(
    client: TestClient, intake: Intake, name: str, body: bytes, http_status: int, says: str
) -> None:
    answer = client.post("/v1/traces", content=body, headers={**PROTOBUF, "content-encoding": name})
    assert answer.status_code == http_status
    assert says in Status.FromString(answer.content).message
    assert sum(intake.health()["refused_requests"].values()) == 1
