"""Decoding: the fast way agrees with the official classes, and what cannot be stored is refused and counted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.columns import SPAN_SCHEMA
from collector.decode import UndecodableError, decode_traces
from collector.observations import decode_logs
from tests.collector.reference import spans_of
from tests.collector.strategies import NOW, requests

VLLM = Path(__file__).parent / "data" / "vllm_0.32.0_spans.otlp.binpb"


def stored(table: pa.Table) -> list[dict[str, Any]]:
    """Rows with times as integer nanoseconds, so that nothing is rounded before it is compared."""
    for name in ("start_time", "end_time"):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.int64()))
    times = table["event_times"].combine_chunks().cast(pa.list_(pa.int64()))
    return table.set_column(table.schema.get_field_index("event_times"), "event_times", times).to_pylist()


def same(ours: object, theirs: object) -> bool:
    if isinstance(ours, float) and isinstance(theirs, float):
        return ours == theirs or (math.isnan(ours) and math.isnan(theirs))
    return ours == theirs


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(requests())
def test_both_decoders_agree_attribute_for_attribute(request: ExportTraceServiceRequest) -> None:
    body = request.SerializeToString()
    decoded = decode_traces(body, NOW)
    expected = spans_of(body)
    assert decoded.refused == {}
    assert decoded.rows.schema == SPAN_SCHEMA
    rows = stored(decoded.rows)
    assert len(rows) == len(expected)
    for ours, theirs in zip(rows, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for name in theirs:
            assert same(ours[name], theirs[name]), name


def test_recorded_vllm_requests_count_and_its_start_up_spans_do_not() -> None:
    rows = decode_traces(VLLM.read_bytes(), NOW).rows
    leaves = rows.filter(pa.compute.equal(rows["usage_role"], "leaf"))
    assert rows.num_rows == 16
    assert leaves["name"].to_pylist() == ["llm_request"] * 4
    assert leaves["input_tokens"].to_pylist() == [171, 171, 171, 10]
    assert leaves["output_tokens"].to_pylist() == [16, 16, 16, 8]
    assert all(seconds > 0 for seconds in leaves["time_to_first_token_seconds"].to_pylist())


@pytest.mark.parametrize("body", [b"hello world", b"\x0a\xff", bytes(range(200))])
def test_bytes_that_are_no_request_are_undecodable(body: bytes) -> None:
    with pytest.raises(UndecodableError):
        decode_traces(body, NOW)


def nested(kind: str, item: bytes) -> bytes:
    """A request whose one attribute is an array or kvlist that holds the bytes `item` as its one element."""

    def field(number: int, payload: bytes) -> bytes:
        length, head = len(payload), bytearray([number << 3 | 2])
        while length > 127:
            head.append(length & 127 | 128)
            length >>= 7
        return bytes([*head, length]) + payload

    value = field({"array": 5, "kvlist": 6}[kind], field(1, item))
    attribute = field(1, b"k") + field(2, value)
    span = field(1, b"t" * 16) + field(2, b"s" * 8) + field(9, attribute)
    return field(1, field(2, field(2, span)))


@pytest.mark.parametrize("kind", ["array", "kvlist"])
@pytest.mark.parametrize("item", [b"\xff\xff\xff", b"\x0a\x7fshort", b"\x0a\x02\xff\xfe"])
def test_a_nested_value_that_is_malformed_makes_the_body_undecodable_as_the_official_classes_say(
    kind: str, item: bytes
) -> None:
    body = nested(kind, item)
    with pytest.raises(DecodeError):
        ExportTraceServiceRequest.FromString(body)
    with pytest.raises(UndecodableError):
        decode_traces(body, NOW)


def test_an_empty_request_holds_no_rows() -> None:
    assert decode_traces(b"", NOW).rows.num_rows == 0
    assert decode_logs(b"", NOW).rows.num_rows == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"trace_id": b"short"}, "trace_id is not 16 bytes, or all zero"),
        ({"trace_id": bytes(16)}, "trace_id is not 16 bytes, or all zero"),
        ({"span_id": b""}, "span_id is not 8 bytes, or all zero"),
        ({"parent_span_id": b"123"}, "parent_span_id is not 8 bytes"),
        ({"end_time_unix_nano": 0}, "start or end time is before 2000 or more than a day ahead"),
        ({"end_time_unix_nano": 2**64 - 1}, "start or end time is before 2000 or more than a day ahead"),
    ],
)
def test_a_span_that_cannot_be_stored_is_refused_alone_and_counted(change: dict[str, Any], reason: str) -> None:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    good = {"trace_id": b"t" * 16, "span_id": b"s" * 8, "start_time_unix_nano": NOW, "end_time_unix_nano": NOW}
    spans.add(**good)
    spans.add(**{**good, **change})
    decoded = decode_traces(request.SerializeToString(), NOW)
    assert decoded.rows.num_rows == 1
    assert decoded.refused == {reason: 1}


def test_a_span_with_several_faults_is_counted_once() -> None:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add()
    assert decode_traces(request.SerializeToString(), NOW).rejected == 1


def test_an_observation_becomes_one_row_per_signal_and_other_logs_are_refused() -> None:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    records = resource.scope_logs.add().log_records
    seen = records.add(time_unix_nano=NOW, event_name="andon.observation", trace_id=b"t" * 16, span_id=b"s" * 8)
    seen.attributes.add(key="andon.pipeline").value.string_value = "rag"
    seen.attributes.add(key="gen_ai.request.model").value.string_value = "m"
    seen.attributes.add(key="andon.observation.feature.length").value.int_value = 7
    seen.attributes.add(key="andon.observation.score").value.double_value = 0.5
    seen.attributes.add(key="andon.observation.label").value.string_value = "spam"
    seen.attributes.add(key="andon.observation.segment.country").value.string_value = "DE"
    records.add(time_unix_nano=NOW, event_name="something.else")
    decoded = decode_logs(request.SerializeToString(), NOW)
    assert decoded.refused == {"log records other than andon.observation are not stored": 1}
    rows = decoded.rows.to_pylist()
    assert [(row["signal"], row["number"], row["text"]) for row in rows] == [
        ("feature.length", 7.0, None),
        ("score", 0.5, None),
        ("label", None, "spam"),
    ]
    assert {row["pipeline"] for row in rows} == {"rag"}
    assert {row["model"] for row in rows} == {"m"}
    assert {row["service"] for row in rows} == {"shop"}
    assert all(row["segment"] == [("country", "DE")] for row in rows)
