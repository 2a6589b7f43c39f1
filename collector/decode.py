"""OTLP bytes to Arrow columns, vectorised: ptars opens the protobuf, pyarrow and numpy flatten it.

`decode_traces` takes one request body and gives the rows to store, how many were refused and why; observations, in
`collector.observations`, are opened by the same means. The official protobuf classes are the reference of the tests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from ptars import HandlerPool

from collector.attributes import KeyValues, columns_of, regroup
from collector.columns import (
    RESOURCE_ATTRIBUTES,
    ROLLUP_OPERATIONS,
    SPAN_ATTRIBUTES,
    SPAN_SCHEMA,
    TIME,
    TOKEN_COLUMNS,
)

EARLIEST_NANOS = 946_684_800 * 10**9  # 2000-01-01: before it a clock was never set
FUTURE_NANOS = 24 * 3600 * 10**9

_traces = HandlerPool([trace_service_pb2.DESCRIPTOR]).get_for_message(
    trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR
)


Decoder = Callable[[bytes, int], "Decoded"]


class UndecodableError(ValueError):
    """The body is not the protobuf message that its path promises."""


@dataclass(frozen=True)
class Decoded:
    """Rows to store, and what was refused: reason -> count."""

    rows: pa.Table
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        return sum(self.refused.values())


def whole(decode: Decoder) -> Decoder:
    """Nested values are opened late; a fault in one makes the whole body undecodable, as the official classes say."""

    @wraps(decode)
    def decoded(body: bytes, now_nanos: int) -> Decoded:
        try:
            return decode(body, now_nanos)
        except (DecodeError, RecursionError) as error:
            raise UndecodableError(f"a nested value: {error}") from None

    return decoded


@whole
def decode_traces(body: bytes, now_nanos: int) -> Decoded:
    """Decode one ExportTraceServiceRequest into rows of `SPAN_SCHEMA`.

    Args:
        body: protobuf bytes.
        now_nanos: UTC now; spans that end more than a day later are refused.

    Raises:
        UndecodableError: the bytes are not such a message.
    """
    resource_of, resources, scope_of, scopes, spans = open_request(
        _traces, body, "resource_spans", "scope_spans", "spans"
    )
    if not len(spans):
        return Decoded(SPAN_SCHEMA.empty_table())
    pairs = KeyValues(spans.field("attributes"))
    columns: dict[str, pa.Array] = {
        "trace_id": spans.field("trace_id"),
        "span_id": spans.field("span_id"),
        "parent_span_id": or_zeros(spans.field("parent_span_id"), 8),
        "trace_state": spans.field("trace_state"),
        "flags": spans.field("flags"),
        "start_time": as_time(spans.field("start_time_unix_nano")),
        "end_time": as_time(spans.field("end_time_unix_nano")),
        "name": spans.field("name"),
        "kind": _small(spans.field("kind")),
        "status_code": _small(spans.field("status").field("code").fill_null(0)),
        "status_message": spans.field("status").field("message").fill_null(""),
        **columns_of(pairs, SPAN_ATTRIBUTES),
        **{name: column.take(resource_of) for name, column in resources.items()},
        "scope_name": scopes.field("name").fill_null("").take(scope_of),
        "scope_version": scopes.field("version").fill_null("").take(scope_of),
        "attributes": pairs.rest(),
        **_events(spans.field("events")),
        **_links(spans.field("links")),
    }
    columns["usage_role"] = usage_role(columns)
    return _refuse(columns, _span_faults(spans, now_nanos), SPAN_SCHEMA)


def usage_role(columns: dict[str, pa.Array]) -> pa.StringArray:
    """What a span can tell by itself: `leaf` (holds usage), `rollup` (an agent's total), `none`.

    Whether a rollup or a server's mirror counts is decided per trace when minutes are folded.
    """
    has_usage = np.zeros(len(columns["operation"]), dtype=bool)
    for name in TOKEN_COLUMNS:
        has_usage |= columns[name].is_valid().to_numpy(zero_copy_only=False)
    is_rollup = pc.is_in(columns["operation"], pa.array(ROLLUP_OPERATIONS))
    return pc.if_else(pa.array(has_usage), pc.if_else(is_rollup, "rollup", "leaf"), "none")


def open_request(
    handler: Any, body: bytes, *path: str
) -> tuple[pa.Array, dict[str, pa.Array], pa.Array, pa.Array, pa.Array]:
    """Walk resource -> scope -> item: (resource index per item, resource columns, scope index, scopes, items)."""
    try:
        batch = handler.list_to_record_batch([body])
    except ValueError as error:
        raise UndecodableError(str(error)) from None
    per_resource = batch.column(path[0]).flatten()
    scope_lists = per_resource.field(path[1])
    per_scope = scope_lists.flatten()
    item_lists = per_scope.field(path[2])
    scope_of = pc.list_parent_indices(item_lists)
    resource_of = pc.list_parent_indices(scope_lists).take(scope_of)
    pairs = KeyValues(per_resource.field("resource").field("attributes"))
    resources = columns_of(pairs, RESOURCE_ATTRIBUTES)
    resources["resource"] = pairs.rest()
    return resource_of, resources, scope_of, per_scope.field("scope"), item_lists.flatten()


def _events(lists: pa.ListArray) -> dict[str, pa.Array]:
    events = lists.flatten()
    return {
        "event_times": regroup(lists, as_time(events.field("time_unix_nano"))),
        "event_names": regroup(lists, events.field("name")),
        "event_attributes": regroup(lists, KeyValues(events.field("attributes")).rest()),
    }


def _links(lists: pa.ListArray) -> dict[str, pa.Array]:
    links = lists.flatten()
    return {
        "link_trace_ids": regroup(lists, _exactly(links.field("trace_id"), 16)),
        "link_span_ids": regroup(lists, _exactly(links.field("span_id"), 8)),
        "link_attributes": regroup(lists, KeyValues(links.field("attributes")).rest()),
    }


def _span_faults(spans: pa.StructArray, now_nanos: int) -> dict[str, np.ndarray[Any, Any]]:
    end = spans.field("end_time_unix_nano").to_numpy(zero_copy_only=False)
    start = spans.field("start_time_unix_nano").to_numpy(zero_copy_only=False)
    parent_length = pc.binary_length(spans.field("parent_span_id")).to_numpy(zero_copy_only=False)
    late = (end < EARLIEST_NANOS) | (end > now_nanos + FUTURE_NANOS)
    late |= (start < EARLIEST_NANOS) | (start > now_nanos + FUTURE_NANOS)
    return {
        "trace_id is not 16 bytes, or all zero": ~_is_id(spans.field("trace_id"), 16),
        "span_id is not 8 bytes, or all zero": ~_is_id(spans.field("span_id"), 8),
        "parent_span_id is not 8 bytes": (parent_length != 0) & (parent_length != 8),
        "start or end time is before 2000 or more than a day ahead": late,
    }


def _refuse(columns: dict[str, pa.Array], faults: dict[str, np.ndarray[Any, Any]], schema: pa.Schema) -> Decoded:
    """Keep the rows without a fault; a row with several is counted under the first."""
    bad = np.zeros(len(columns["name"]), dtype=bool)
    for reason, rows in faults.items():
        faults[reason] = rows & ~bad
        bad |= rows
    table = pa.table([columns[name] for name in schema.names], names=schema.names)
    if bad.any():
        table = table.filter(pa.array(~bad))
    return Decoded(table.cast(schema), counted(faults))


def counted(faults: dict[str, np.ndarray[Any, Any]]) -> dict[str, int]:
    """How often each fault occurs; those that do not are absent."""
    return {reason: int(rows.sum()) for reason, rows in faults.items() if rows.any()}


def _is_id(ids: pa.BinaryArray, length: int) -> np.ndarray[Any, Any]:
    good = pc.and_(pc.equal(pc.binary_length(ids), length), pc.not_equal(ids, bytes(length)))
    return _numpy(good)


def _numpy(mask: pa.BooleanArray) -> np.ndarray[Any, Any]:
    values: np.ndarray[Any, Any] = mask.to_numpy(zero_copy_only=False)
    return values


def or_zeros(ids: pa.BinaryArray, length: int) -> pa.BinaryArray:
    """Ids, zeros for absent ones."""
    return pc.if_else(pc.equal(pc.binary_length(ids), 0), bytes(length), ids)


def _exactly(ids: pa.BinaryArray, length: int) -> pa.FixedSizeBinaryArray:
    return pc.if_else(pc.equal(pc.binary_length(ids), length), ids, bytes(length)).cast(pa.binary(length))


def as_time(nanos: pa.UInt64Array) -> pa.TimestampArray:
    """UTC from nanoseconds since the epoch."""
    return nanos.cast(pa.int64(), safe=False).cast(TIME)


def _small(codes: pa.Int32Array) -> pa.UInt8Array:
    return pc.if_else(pc.and_(pc.greater_equal(codes, 0), pc.less_equal(codes, 255)), codes, 0).cast(pa.uint8())
