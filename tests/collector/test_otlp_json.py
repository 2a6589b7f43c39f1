"""JSON says the same as protobuf: whatever an official message holds arrives through either encoding."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.census import TooManyElementsError
from collector.envelope import UndecodableError
from collector.otlp_json import MOST_MARKS, protobuf_of
from tests.collector.metric_strategies import metric_requests
from tests.collector.strategies import requests

IDENTITIES = {"traceId", "spanId", "parentSpanId"}


def as_otlp_json(message: Message) -> Any:
    """The message as OTLP has it in JSON: protobuf's own JSON with identities in hexadecimal."""

    def with_hex(value: Any) -> Any:
        if isinstance(value, list):
            return [with_hex(item) for item in value]
        if isinstance(value, dict):
            return {
                name: base64.b64decode(item).hex() if name in IDENTITIES else with_hex(item)
                for name, item in value.items()
            }
        return value

    return with_hex(MessageToDict(message, use_integers_for_enums=True))


def as_otlp_json_bytes(message: Message) -> bytes:
    """The body of a request in JSON."""
    return json.dumps(as_otlp_json(message)).encode()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(requests() | metric_requests())
def test_both_encodings_carry_the_same_message(request: Message) -> None:
    found = protobuf_of(json.dumps(as_otlp_json(request)).encode(), type(request))
    # As JSON again, in which NaN equals NaN.
    assert as_otlp_json(type(request).FromString(found)) == as_otlp_json(request)


def span_of(**members: Any) -> Any:
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [members]}]}]})
    request = ExportTraceServiceRequest.FromString(protobuf_of(body.encode(), ExportTraceServiceRequest))
    return request.resource_spans[0].scope_spans[0].spans[0]


def test_identities_are_hexadecimal_in_either_case() -> None:
    span = span_of(traceId="5B8EFFF798038103D269B633813FC60C", spanId="eee19b7ec3c1b174", links=[{"traceId": "0aFF"}])
    assert span.trace_id == bytes.fromhex("5b8efff798038103d269b633813fc60c")
    assert span.span_id == bytes.fromhex("eee19b7ec3c1b174")
    assert span.links[0].trace_id == b"\x0a\xff"


@pytest.mark.parametrize("identity", ["xyz", "abc", "ab cd", "0x12"])
def test_an_identity_that_is_not_hexadecimal_makes_the_body_undecodable(identity: str) -> None:
    with pytest.raises(UndecodableError, match=r"traceId .* is not hexadecimal"):
        span_of(traceId=identity)


@pytest.mark.parametrize(("kind", "number"), [(2, 2), ("SPAN_KIND_SERVER", 2), (99, 99), (None, 0)])
def test_an_enum_is_a_number_or_a_name(kind: Any, number: int) -> None:
    assert span_of(kind=kind).kind == number


def test_every_enum_of_otlp_is_understood_by_its_full_name_as_by_its_number() -> None:
    """OTLP wants numbers only; senders that print protobuf's own JSON write names."""
    named = {"kind": "SPAN_KIND_PRODUCER", "status": {"code": "STATUS_CODE_ERROR"}}
    assert span_of(**named) == span_of(kind=4, status={"code": 2})

    def protobuf(request: type[Message], body: Any) -> bytes:
        return protobuf_of(json.dumps(body).encode(), request)

    def record(severity: Any) -> Any:
        return {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"severityNumber": severity}]}]}]}

    def counter(temporality: Any) -> Any:
        total = {"aggregationTemporality": temporality, "dataPoints": [{"asInt": 1}]}
        return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "sum": total}]}]}]}

    logs, metrics = ExportLogsServiceRequest, ExportMetricsServiceRequest
    assert protobuf(logs, record("SEVERITY_NUMBER_ERROR")) == protobuf(logs, record(17))
    assert protobuf(metrics, counter("AGGREGATION_TEMPORALITY_DELTA")) == protobuf(metrics, counter(1))


def test_a_name_that_an_enum_does_not_have_is_not_taken_for_zero() -> None:
    with pytest.raises(UndecodableError, match="kind 'SERVER' is no number, and no name of SpanKind"):
        span_of(kind="SERVER")


@pytest.mark.parametrize("number", [1_544_712_660_000_000_001, "1544712660000000001"])
def test_a_64_bit_integer_is_exact_as_a_number_and_as_a_string(number: Any) -> None:
    assert span_of(startTimeUnixNano=number).start_time_unix_nano == 1_544_712_660_000_000_001


def test_fields_that_are_not_known_are_ignored_at_every_level() -> None:
    body = {"new": 1, "resourceSpans": [{"new": {"a": []}, "scopeSpans": [{"spans": [{"name": "n", "new": None}]}]}]}
    request = ExportTraceServiceRequest.FromString(protobuf_of(json.dumps(body).encode(), ExportTraceServiceRequest))
    assert request.resource_spans[0].scope_spans[0].spans[0].name == "n"


def test_bytes_are_base64_and_doubles_may_be_named() -> None:
    attribute = {"key": "b", "value": {"bytesValue": base64.b64encode(b"\x00\xff").decode()}}
    point = {"asDouble": "Infinity", "attributes": [attribute]}
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "gauge": {"dataPoints": [point]}}]}]}]}
    request = ExportMetricsServiceRequest.FromString(
        protobuf_of(json.dumps(body).encode(), ExportMetricsServiceRequest)
    )
    found = request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]
    assert (found.as_double, found.attributes[0].value.bytes_value) == (float("inf"), b"\x00\xff")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"[]",
        b"null",
        b"\xff",
        b'{"resourceSpans": 5}',
        b'{"resourceSpans": [5]}',
        b'{"resourceSpans": [NaN]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"\\ud800": 1}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "\\ud800"}]}]}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": ' + b"9" * 5000 + b"}]}]}]}",
        b"[" * 100_000,
        b'{"resourceSpans":' * 50_000,
    ],
)
def test_what_is_no_request_in_json_is_undecodable(body: bytes) -> None:
    with pytest.raises(UndecodableError):
        protobuf_of(body, ExportTraceServiceRequest)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["attributes", "key", "value", "body", "arrayValue", "values", "traceId", "kind"]), inner
        )
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(JSONS)
def test_values_of_any_shape_in_any_place_are_read_or_refused(value: object) -> None:
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [value]}]}]}).replace("Infinity", "0")
    try:
        ExportLogsServiceRequest.FromString(protobuf_of(body.encode(), ExportLogsServiceRequest))
    except UndecodableError as refused:
        assert str(refused)


def test_too_many_elements_are_refused_before_they_are_read() -> None:
    with pytest.raises(TooManyElementsError, match=f"holds {MOST_MARKS + 1} braces, brackets and commas"):
        protobuf_of(b"{" + b"," * MOST_MARKS, ExportTraceServiceRequest)
