"""OTLP bytes to Arrow columns, vectorised: ptars opens the protobuf, pyarrow and numpy flatten it.

`decode_traces` and `decode_logs` take one request body and give the rows to store, how many were refused and why.
The official protobuf classes are the reference that the tests compare with.
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
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from ptars import HandlerPool

from collector.attributes import KeyValues, columns_of, regroup, string_maps
from collector.columns import (
    OBSERVATION_ATTRIBUTES,
    OBSERVATION_EVENT,
    OBSERVATION_PREFIX,
    OBSERVATION_SCHEMA,
    OPERATION_OF_KIND,
    RESOURCE_ATTRIBUTES,
    ROLLUP_OPERATIONS,
    SEGMENT_PREFIX,
    SPAN_ATTRIBUTES,
    SPAN_SCHEMA,
    TIME,
    TOKEN_COLUMNS,
)

EARLIEST_NANOS = 946_684_800 * 10**9  # 2000-01-01: before it a clock was never set
FUTURE_NANOS = 24 * 3600 * 10**9

_pool = HandlerPool([trace_service_pb2.DESCRIPTOR, logs_service_pb2.DESCRIPTOR])
_traces = _pool.get_for_message(trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR)
_logs = _pool.get_for_message(logs_service_pb2.ExportLogsServiceRequest.DESCRIPTOR)


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


def _whole(decode: Decoder) -> Decoder:
    """Nested values are opened late; a fault in one makes the whole body undecodable, as the official classes say."""

    @wraps(decode)
    def decoded(body: bytes, now_nanos: int) -> Decoded:
        try:
            return decode(body, now_nanos)
        except (DecodeError, RecursionError) as error:
            raise UndecodableError(f"a nested value: {error}") from None

    return decoded


@_whole
def decode_traces(body: bytes, now_nanos: int) -> Decoded:
    """Decode one ExportTraceServiceRequest into rows of `SPAN_SCHEMA`.

    Args:
        body: protobuf bytes.
        now_nanos: UTC now; spans that end more than a day later are refused.

    Raises:
        UndecodableError: the bytes are not such a message.
    """
    resource_of, resources, scope_of, scopes, spans = _open(_traces, body, "resource_spans", "scope_spans", "spans")
    if not len(spans):
        return Decoded(SPAN_SCHEMA.empty_table())
    pairs = KeyValues(spans.field("attributes"))
    columns: dict[str, pa.Array] = {
        "trace_id": spans.field("trace_id"),
        "span_id": spans.field("span_id"),
        "parent_span_id": _or_zeros(spans.field("parent_span_id"), 8),
        "trace_state": spans.field("trace_state"),
        "flags": spans.field("flags"),
        "start_time": _time(spans.field("start_time_unix_nano")),
        "end_time": _time(spans.field("end_time_unix_nano")),
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
    columns["operation"] = _operation(pairs, columns["operation"])
    columns["usage_role"] = usage_role(columns)
    return _refuse(columns, _span_faults(spans, now_nanos), SPAN_SCHEMA)


@_whole
def decode_logs(body: bytes, now_nanos: int) -> Decoded:
    """Decode one ExportLogsServiceRequest into rows of `OBSERVATION_SCHEMA`, one per observed signal.

    Only `andon.observation` records are stored; others are refused and counted.

    Raises:
        UndecodableError: the bytes are not such a message.
    """
    resource_of, resources, _, _, records = _open(_logs, body, "resource_logs", "scope_logs", "log_records")
    if not len(records):
        return Decoded(OBSERVATION_SCHEMA.empty_table())
    times = pc.if_else(
        pc.equal(records.field("time_unix_nano"), 0),
        records.field("observed_time_unix_nano"),
        records.field("time_unix_nano"),
    )
    nanos = times.to_numpy(zero_copy_only=False)
    is_observation = pc.equal(records.field("event_name"), OBSERVATION_EVENT).to_numpy(zero_copy_only=False)
    in_time = (nanos >= EARLIEST_NANOS) & (nanos <= now_nanos + FUTURE_NANOS)
    refused = _counted(
        {
            "log records other than andon.observation are not stored": ~is_observation,
            "time is before 2000 or more than a day ahead": is_observation & ~in_time,
        }
    )
    pairs = KeyValues(records.field("attributes"))
    typed = columns_of(pairs, OBSERVATION_ATTRIBUTES)
    in_segment = pairs.having_prefix(SEGMENT_PREFIX)
    segment_keys = pc.utf8_slice_codeunits(pairs.keys, len(SEGMENT_PREFIX))
    segments = string_maps(pairs.row_of_pair, segment_keys, pairs.text, in_segment, pairs.rows)
    signal_pairs = np.flatnonzero(
        pairs.having_prefix(OBSERVATION_PREFIX) & ~in_segment & (is_observation & in_time)[pairs.row_of_pair]
    )
    row = pa.array(pairs.row_of_pair[signal_pairs])
    pair = pa.array(signal_pairs)
    values = pairs.values.take(pair)
    number = pc.coalesce(values.field("double_value"), values.field("int_value").cast(pa.float64(), safe=False))
    has_number = number.is_valid()
    columns = {
        "time": _time(times).take(row),
        "service": resources["service"].take(resource_of).take(row),
        "environment": resources["environment"].take(resource_of).take(row),
        **{name: column.take(row) for name, column in typed.items()},
        "signal": pc.utf8_slice_codeunits(pairs.keys.take(pair), len(OBSERVATION_PREFIX)),
        "number": number,
        "text": pc.if_else(has_number, None, pairs.text.take(pair)),
        "segment": segments.take(row),
        "trace_id": _or_zeros(records.field("trace_id"), 16).take(row).cast(pa.binary(16)),
        "span_id": _or_zeros(records.field("span_id"), 8).take(row).cast(pa.binary(8)),
    }
    return Decoded(pa.table([columns[name] for name in OBSERVATION_SCHEMA.names], schema=OBSERVATION_SCHEMA), refused)


def _operation(pairs: KeyValues, said: pa.StringArray) -> pa.StringArray:
    """The operation as a span says it, or as its kind in other conventions means it."""
    silent = pc.equal(said, "")
    for key, meanings in OPERATION_OF_KIND.items():
        if pairs.has(key):
            said = pc.if_else(silent, pc.coalesce(pairs.told(key, meanings), said), said)
            silent = pc.equal(said, "")
    return said


def usage_role(columns: dict[str, pa.Array]) -> pa.StringArray:
    """What a span can tell by itself: `leaf` (holds usage), `rollup` (an agent's total), `none`.

    Whether a rollup or a server's mirror counts is decided per trace when minutes are folded.
    """
    has_usage = np.zeros(len(columns["operation"]), dtype=bool)
    for name in TOKEN_COLUMNS:
        has_usage |= columns[name].is_valid().to_numpy(zero_copy_only=False)
    is_rollup = pc.is_in(columns["operation"], pa.array(ROLLUP_OPERATIONS))
    return pc.if_else(pa.array(has_usage), pc.if_else(is_rollup, "rollup", "leaf"), "none")


def _open(handler: Any, body: bytes, *path: str) -> tuple[pa.Array, dict[str, pa.Array], pa.Array, pa.Array, pa.Array]:
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
        "event_times": regroup(lists, _time(events.field("time_unix_nano"))),
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
    return Decoded(table.cast(schema), _counted(faults))


def _counted(faults: dict[str, np.ndarray[Any, Any]]) -> dict[str, int]:
    return {reason: int(rows.sum()) for reason, rows in faults.items() if rows.any()}


def _is_id(ids: pa.BinaryArray, length: int) -> np.ndarray[Any, Any]:
    good = pc.and_(pc.equal(pc.binary_length(ids), length), pc.not_equal(ids, bytes(length)))
    return _numpy(good)


def _numpy(mask: pa.BooleanArray) -> np.ndarray[Any, Any]:
    values: np.ndarray[Any, Any] = mask.to_numpy(zero_copy_only=False)
    return values


def _or_zeros(ids: pa.BinaryArray, length: int) -> pa.BinaryArray:
    return pc.if_else(pc.equal(pc.binary_length(ids), 0), bytes(length), ids)


def _exactly(ids: pa.BinaryArray, length: int) -> pa.FixedSizeBinaryArray:
    return pc.if_else(pc.equal(pc.binary_length(ids), length), ids, bytes(length)).cast(pa.binary(length))


def _time(nanos: pa.UInt64Array) -> pa.TimestampArray:
    return nanos.cast(pa.int64(), safe=False).cast(TIME)


def _small(codes: pa.Int32Array) -> pa.UInt8Array:
    return pc.if_else(pc.and_(pc.greater_equal(codes, 0), pc.less_equal(codes, 255)), codes, 0).cast(pa.uint8())
