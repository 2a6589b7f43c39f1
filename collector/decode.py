"""OTLP bytes to Arrow columns, vectorised: ptars opens the protobuf, pyarrow and numpy flatten it.

`decode_traces` and `decode_logs` take one request body and give the rows to store, how many were refused and why.
The official protobuf classes are the reference that the tests compare with.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.attributes import KeyValues, columns_of, regroup, string_maps
from collector.columns import (
    OBSERVATION_ATTRIBUTES,
    OBSERVATION_EVENT,
    OBSERVATION_PREFIX,
    OBSERVATION_SCHEMA,
    ROLLUP_OPERATIONS,
    SEGMENT_PREFIX,
    SPAN_ATTRIBUTES,
    SPAN_SCHEMA,
    TOKEN_COLUMNS,
)
from collector.envelope import Envelope, resource_columns, scope_columns, whole
from collector.rows import (
    Decoded,
    Mask,
    as_code,
    as_time,
    counted,
    exactly,
    is_identity,
    mask,
    or_zeros,
    out_of_time,
    without_faulty,
)

_traces = Envelope(ExportTraceServiceRequest.DESCRIPTOR, "resource_spans", "scope_spans", "spans")
_logs = Envelope(ExportLogsServiceRequest.DESCRIPTOR, "resource_logs", "scope_logs", "log_records")


@whole
def decode_traces(body: bytes, now_nanos: int) -> Decoded:
    """Decode one ExportTraceServiceRequest into rows of `SPAN_SCHEMA`.

    Args:
        body: protobuf bytes.
        now_nanos: UTC now; spans that end more than a day later are refused.

    Raises:
        UndecodableError: the bytes are not such a message.
    """
    opened = _traces.open(body)
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
    columns["usage_role"] = usage_role(columns)
    return without_faulty(columns, _span_faults(spans, now_nanos), SPAN_SCHEMA)


@whole
def decode_logs(body: bytes, now_nanos: int) -> Decoded:
    """Decode one ExportLogsServiceRequest into rows of `OBSERVATION_SCHEMA`, one per observed signal.

    Only `andon.observation` records are stored; others are refused and counted.

    Raises:
        UndecodableError: the bytes are not such a message.
    """
    opened = _logs.open(body)
    records = opened.items
    if not len(records):
        return Decoded(OBSERVATION_SCHEMA.empty_table())
    times = pc.if_else(
        pc.equal(records.field("time_unix_nano"), 0),
        records.field("observed_time_unix_nano"),
        records.field("time_unix_nano"),
    )
    is_observation = mask(pc.equal(records.field("event_name"), OBSERVATION_EVENT))
    in_time = ~out_of_time(times, now_nanos)
    refused = counted(
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
        "time": as_time(times).take(row),
        "service": opened.resources["service"].take(opened.resource_of).take(row),
        "environment": opened.resources["environment"].take(opened.resource_of).take(row),
        **{name: column.take(row) for name, column in typed.items()},
        "signal": pc.utf8_slice_codeunits(pairs.keys.take(pair), len(OBSERVATION_PREFIX)),
        "number": number,
        "text": pc.if_else(has_number, None, pairs.text.take(pair)),
        "segment": segments.take(row),
        "trace_id": exactly(records.field("trace_id"), 16).take(row),
        "span_id": exactly(records.field("span_id"), 8).take(row),
    }
    return Decoded(pa.table([columns[name] for name in OBSERVATION_SCHEMA.names], schema=OBSERVATION_SCHEMA), refused)


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
