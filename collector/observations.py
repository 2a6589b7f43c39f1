"""OTLP log records to rows of observations, one per observed signal; other log records come beside.

`decode_logs` takes one request body; `collector.records` reads the records that are no observations.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from collector.attributes import KeyValues, columns_of, string_maps
from collector.columns import (
    OBSERVATION_ATTRIBUTES,
    OBSERVATION_EVENT,
    OBSERVATION_PREFIX,
    OBSERVATION_SCHEMA,
    SEGMENT_PREFIX,
)
from collector.envelope import Envelope, whole
from collector.records import decode_records
from collector.rows import TIME_FAULT, Decoded, as_time, counted, exactly, mask, out_of_time

_logs = Envelope(ExportLogsServiceRequest.DESCRIPTOR, "resource_logs", "scope_logs", "log_records")


@whole
def decode_logs(body: bytes, now_nanos: int) -> Decoded:
    """Decode one ExportLogsServiceRequest into rows of `OBSERVATION_SCHEMA`, one per observed signal.

    Records other than `andon.observation` come beside, as rows of `logs`.

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
    others = decode_records(opened, ~is_observation, now_nanos)
    refused = counted({TIME_FAULT: is_observation & ~in_time})
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
    rows = pa.table([columns[name] for name in OBSERVATION_SCHEMA.names], schema=OBSERVATION_SCHEMA)
    return Decoded(rows, dict(Counter(refused) + Counter(others.refused)), {"logs": others.rows})
