"""OTLP log records to rows of observations, one per observed signal; other log records come beside.

`decode_logs` takes one request body. A record `andon.observation` is one row, read here; a record `andon.observations`
holds many as packed columns, which `collector.packed` reads; `collector.records` reads those that are no observations.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from collector.attributes import KeyValues, columns_of
from collector.columns import OBSERVATION_ATTRIBUTES, OBSERVATION_EVENT, OBSERVATION_SCHEMA, OBSERVATIONS_EVENT
from collector.envelope import Envelope, whole
from collector.packed import read_packed
from collector.records import RECORDS_TABLE, decode_records
from collector.rows import TIME_FAULT, Bodies, Decoded, counted, exactly, mask, out_of_time
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

_logs = Envelope(ExportLogsServiceRequest.DESCRIPTOR, "resource_logs", "scope_logs", "log_records")


@whole
def decode_logs(bodies: Bodies, now_nanos: int) -> Decoded:
    """Decode one ExportLogsServiceRequest into rows of `OBSERVATION_SCHEMA`, one per observed signal.

    Records other than `andon.observation` and `andon.observations` come beside, as rows of `logs`.

    Raises:
        UndecodableError: the bytes are not such a message.
    """
    opened = _logs.open(bodies)
    records = opened.items
    if not len(records):
        return Decoded(OBSERVATION_SCHEMA.empty_table())
    times = pc.if_else(
        pc.equal(records.field("time_unix_nano"), 0),
        records.field("observed_time_unix_nano"),
        records.field("time_unix_nano"),
    )
    is_row = mask(pc.equal(records.field("event_name"), OBSERVATION_EVENT))
    is_packed = mask(pc.equal(records.field("event_name"), OBSERVATIONS_EVENT))
    in_time = ~out_of_time(times, now_nanos)
    others = decode_records(opened, ~is_row & ~is_packed, now_nanos)
    refused = Counter(others.refused) + Counter(counted({TIME_FAULT: (is_row | is_packed) & ~in_time}))
    heads = Heads(
        times.to_numpy(zero_copy_only=False),
        {
            "service": opened.resources["service"].take(opened.resource_of),
            "environment": opened.resources["environment"].take(opened.resource_of),
            "trace_id": exactly(records.field("trace_id"), 16),
            "span_id": exactly(records.field("span_id"), 8),
        },
    )
    tables = [OBSERVATION_SCHEMA.empty_table()]
    for chosen, read in ((is_row & in_time, _read_rows), (is_packed & in_time, read_packed)):
        if chosen.any():
            where = np.flatnonzero(chosen)
            table, faults = read(heads.take(where), records.field("attributes").take(pa.array(where)))
            tables.append(table)
            refused += Counter(faults)
    return Decoded(pa.concat_tables(tables), dict(refused), {RECORDS_TABLE: others.rows}, others.undated)


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
