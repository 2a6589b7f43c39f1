"""A plain decoder over the official protobuf classes: slow, obvious, and what the fast one must agree with."""

from __future__ import annotations

import base64
import json
import math
from typing import Any

import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collector.columns import (
    OPERATION_OF_KIND,
    RESOURCE_ATTRIBUTES,
    ROLLUP_OPERATIONS,
    SPAN_ATTRIBUTES,
    TOKEN_COLUMNS,
    ValueKind,
)


def spans_of(body: bytes) -> list[dict[str, Any]]:
    """Every span of a request as a row of the span schema, in order."""
    request = ExportTraceServiceRequest.FromString(body)
    rows = []
    for resource_spans in request.resource_spans:
        resource = typed_and_rest(resource_spans.resource.attributes, RESOURCE_ATTRIBUTES)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                typed, rest = typed_and_rest(span.attributes, SPAN_ATTRIBUTES)
                typed["operation"] = typed["operation"] or operation(span.attributes)
                has_usage = any(typed[name] is not None for name in TOKEN_COLUMNS)
                rollup = typed["operation"] in ROLLUP_OPERATIONS
                rows.append(
                    {
                        "trace_id": span.trace_id,
                        "span_id": span.span_id,
                        "parent_span_id": span.parent_span_id or bytes(8),
                        "trace_state": span.trace_state,
                        "flags": span.flags,
                        "start_time": span.start_time_unix_nano,
                        "end_time": span.end_time_unix_nano,
                        "name": span.name,
                        "kind": span.kind if 0 <= span.kind <= 255 else 0,
                        "status_code": span.status.code if 0 <= span.status.code <= 255 else 0,
                        "status_message": span.status.message,
                        **typed,
                        **resource[0],
                        "usage_role": ("rollup" if rollup else "leaf") if has_usage else "none",
                        "scope_name": scope_spans.scope.name,
                        "scope_version": scope_spans.scope.version,
                        "attributes": rest,
                        "resource": resource[1],
                        "event_times": [event.time_unix_nano for event in span.events],
                        "event_names": [event.name for event in span.events],
                        "event_attributes": [pairs(event.attributes) for event in span.events],
                        "link_trace_ids": [exactly(link.trace_id, 16) for link in span.links],
                        "link_span_ids": [exactly(link.span_id, 8) for link in span.links],
                        "link_attributes": [pairs(link.attributes) for link in span.links],
                    }
                )
    return rows


def operation(attributes: Any) -> str:
    """What the kind of a span in other conventions means; the first convention that says something wins."""
    for key, meanings in OPERATION_OF_KIND.items():
        said = [text(pair.value) for pair in attributes if pair.key == key]
        if said and said[-1] in meanings:
            return meanings[said[-1]]
    return ""


def exactly(identity: bytes, length: int) -> bytes:
    return identity if len(identity) == length else bytes(length)


def pairs(attributes: Any) -> list[tuple[str, str]]:
    return [(pair.key, text(pair.value)) for pair in attributes]


def typed_and_rest(attributes: Any, columns: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Typed columns, and the attributes that filled none, in order."""
    attributes = list(attributes)
    used: set[int] = set()
    typed: dict[str, Any] = {}
    for column in columns:
        place = None
        for spelling in reversed(column.spellings):
            for index, pair in enumerate(attributes):
                if pair.key == spelling:
                    place = index
        value = None if place is None else read(attributes[place], column.kind)
        if value is not None and place is not None:
            used.add(place)
        typed[column.name] = "" if value is None and column.kind is ValueKind.TEXT else value
    return typed, [(pair.key, text(pair.value)) for index, pair in enumerate(attributes) if index not in used]


def read(pair: KeyValue, kind: ValueKind) -> Any:
    value, which = pair.value, pair.value.WhichOneof("value")
    if kind is ValueKind.TEXT:
        return text(value)
    if kind is ValueKind.COUNT:
        number: int | None = None
        if which == "int_value":
            number = value.int_value
        elif which == "double_value" and math.isfinite(value.double_value) and value.double_value.is_integer():
            number = int(value.double_value)
        elif which == "string_value" and value.string_value.isascii() and value.string_value.isdigit():
            number = int(value.string_value) if len(value.string_value) <= 18 else None
        return number if number is not None and 0 <= number <= 2**62 else None
    if which not in {"double_value", "int_value"}:
        return None
    seconds = float(value.double_value if which == "double_value" else value.int_value)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def text(value: AnyValue) -> str:
    """The text that stands for a value in an attribute map."""
    which = value.WhichOneof("value")
    if which is None:
        return ""
    if which == "bool_value":
        return "true" if value.bool_value else "false"
    if which == "double_value":
        return str(pa.scalar(value.double_value).cast(pa.string()).as_py())
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if which in {"array_value", "kvlist_value"}:
        return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
    return str(getattr(value, which))


def plain(value: AnyValue) -> Any:
    which = value.WhichOneof("value")
    if which == "array_value":
        return [plain(item) for item in value.array_value.values]
    if which == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if which == "double_value" and not math.isfinite(value.double_value):
        return str(value.double_value)
    return None if which is None else getattr(value, which)
