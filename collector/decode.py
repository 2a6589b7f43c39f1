"""OTLP bytes to Arrow columns, vectorised: ptars opens the protobuf, pyarrow and numpy flatten it.

`decode_traces` takes one request body and gives the rows to store, how many were refused and why. The official protobuf
classes are the reference that the tests compare with.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.attributes import KeyValues, columns_of, regroup
from collector.columns import (
    OPERATION_OF_KIND,
    ROLLUP_OPERATIONS,
    SPAN_ATTRIBUTES,
    SPAN_SCHEMA,
    TOKEN_COLUMNS,
)
from collector.envelope import Envelope, resource_columns, scope_columns, whole
from collector.rows import (
    Bodies,
    Decoded,
    Mask,
    as_code,
    as_time,
    exactly,
    is_identity,
    or_zeros,
    out_of_time,
    without_faulty,
)

_traces = Envelope(ExportTraceServiceRequest.DESCRIPTOR, "resource_spans", "scope_spans", "spans")


@whole
def decode_traces(bodies: Bodies, now_nanos: int) -> Decoded:
    """Decode one ExportTraceServiceRequest into rows of `SPAN_SCHEMA`.

    Args:
        bodies: protobuf bytes of a request, or of several.
        now_nanos: UTC now; spans that end more than a day later are refused.

    Raises:
        UndecodableError: the bytes are not such a message.
    """
    opened = _traces.open(bodies)
    spans = opened.items
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
        "kind": as_code(spans.field("kind")),
        "status_code": as_code(spans.field("status").field("code").fill_null(0)),
        "status_message": spans.field("status").field("message").fill_null(""),
        **columns_of(pairs, SPAN_ATTRIBUTES),
        **resource_columns(opened),
        **scope_columns(opened),
        "attributes": pairs.rest(),
        **_events(spans.field("events")),
        **_links(spans.field("links")),
    }
    columns["operation"] = _operation(pairs, columns["operation"])
    columns["usage_role"] = usage_role(columns)
    return without_faulty(columns, _span_faults(spans, now_nanos), SPAN_SCHEMA)


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
        "link_trace_ids": regroup(lists, exactly(links.field("trace_id"), 16)),
        "link_span_ids": regroup(lists, exactly(links.field("span_id"), 8)),
        "link_attributes": regroup(lists, KeyValues(links.field("attributes")).rest()),
    }


def _span_faults(spans: pa.StructArray, now_nanos: int) -> dict[str, Mask]:
    parent_length = pc.binary_length(spans.field("parent_span_id")).to_numpy(zero_copy_only=False)
    late = out_of_time(spans.field("start_time_unix_nano"), now_nanos)
    late |= out_of_time(spans.field("end_time_unix_nano"), now_nanos)
    return {
        "trace_id is not 16 bytes, or all zero": ~is_identity(spans.field("trace_id"), 16),
        "span_id is not 8 bytes, or all zero": ~is_identity(spans.field("span_id"), 8),
        "parent_span_id is not 8 bytes": (parent_length != 0) & (parent_length != 8),
        "start or end time is before 2000 or more than a day ahead": late,
    }
