"""OTLP log records to rows of observations, one per observed signal; other log records are refused and counted.

`decode_logs` takes one request body. A record `andon.observation` is one row, read here; a record `andon.observations`
holds many as packed columns, which `collector.packed` reads.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from ptars import HandlerPool

from collector.attributes import KeyValues, columns_of
from collector.columns import OBSERVATION_ATTRIBUTES, OBSERVATION_EVENT, OBSERVATION_SCHEMA, OBSERVATIONS_EVENT
from collector.decode import EARLIEST_NANOS, FUTURE_NANOS, Decoded, counted, open_request, or_zeros, whole
from collector.packed import read_packed
from collector.signals import (
    BAD_WEIGHT,
    Heads,
    Signals,
    segments_of,
    signal_names,
    signal_pairs,
    table_of,
    values_of,
    weights_of,
)

_logs = HandlerPool([logs_service_pb2.DESCRIPTOR]).get_for_message(logs_service_pb2.ExportLogsServiceRequest.DESCRIPTOR)


@whole
def decode_logs(body: bytes, now_nanos: int) -> Decoded:
    """Decode one ExportLogsServiceRequest into rows of `OBSERVATION_SCHEMA`, one per observed signal.

    Only `andon.observation` and `andon.observations` records are stored; others are refused and counted.

    Raises:
        UndecodableError: the bytes are not such a message.
    """
    resource_of, resources, _, _, records = open_request(_logs, body, "resource_logs", "scope_logs", "log_records")
    if not len(records):
        return Decoded(OBSERVATION_SCHEMA.empty_table())
    times = pc.if_else(
        pc.equal(records.field("time_unix_nano"), 0),
        records.field("observed_time_unix_nano"),
        records.field("time_unix_nano"),
    )
    nanos = times.to_numpy(zero_copy_only=False)
    is_row = pc.equal(records.field("event_name"), OBSERVATION_EVENT).to_numpy(zero_copy_only=False)
    is_packed = pc.equal(records.field("event_name"), OBSERVATIONS_EVENT).to_numpy(zero_copy_only=False)
    in_time = (nanos >= EARLIEST_NANOS) & (nanos <= now_nanos + FUTURE_NANOS)
    refused = counted(
        {
            "log records other than andon.observation are not stored": ~is_row & ~is_packed,
            "time is before 2000 or more than a day ahead": (is_row | is_packed) & ~in_time,
        }
    )
    heads = Heads(
        nanos,
        {
            "service": resources["service"].take(resource_of),
            "environment": resources["environment"].take(resource_of),
            "trace_id": or_zeros(records.field("trace_id"), 16),
            "span_id": or_zeros(records.field("span_id"), 8),
        },
    )
    tables = []
    for chosen, read in ((is_row & in_time, _read_rows), (is_packed & in_time, read_packed)):
        if chosen.any():
            where = pa.array(np.flatnonzero(chosen))
            table, faults = read(heads.take(where), records.field("attributes").take(where))
            tables.append(table)
            refused |= faults
    return Decoded(pa.concat_tables(tables) if tables else OBSERVATION_SCHEMA.empty_table(), refused)


def _read_rows(heads: Heads, attributes: pa.ListArray) -> tuple[pa.Table, dict[str, int]]:
    """Records of one row each."""
    pairs = KeyValues(attributes)
    weights, is_weighed = weights_of(pairs)
    where = signal_pairs(pairs, is_weighed)
    record = pairs.row_of_pair[where]
    number, text = values_of(pairs, where)
    signals = Signals(
        record=record,
        row=np.zeros(len(record), dtype=np.int64),
        signal=signal_names(pairs.keys.take(pa.array(where))),
        number=number,
        text=text,
        segments=segments_of(pairs),
        segment=record,
    )
    return table_of(heads, columns_of(pairs, OBSERVATION_ATTRIBUTES), weights, signals), counted(
        {BAD_WEIGHT: ~is_weighed}
    )
