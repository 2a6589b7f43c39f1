"""Log records as they were sent, one row each: whatever is no observation.

The text of a body is made like that of an attribute: a string as it is, anything structured as JSON.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.attributes import KeyValues, value_text
from collector.columns import LOG_SCHEMA
from collector.envelope import Opened, resource_columns, scope_columns
from collector.rows import TIME_FAULT, Decoded, Mask, as_code, as_time, exactly, out_of_time, without_faulty

RECORDS_TABLE = "logs"


def decode_records(opened: Opened, chosen: Mask, now_nanos: int) -> Decoded:
    """The chosen records of a logs request as rows of `LOG_SCHEMA`.

    Args:
        now_nanos: UTC now; the time of a record that has none, as OTLP has it for who first observes one.
    """
    if not chosen.any():
        return Decoded(LOG_SCHEMA.empty_table())
    where = pa.array(np.flatnonzero(chosen))
    records = opened.items.take(where)
    observed, sent = records.field("observed_time_unix_nano"), records.field("time_unix_nano")
    time = pc.if_else(pc.equal(sent, 0), observed, sent)
    is_undated = pc.any(pc.equal(time, 0)).as_py()
    time = pc.if_else(pc.equal(time, 0), pa.scalar(now_nanos, pa.uint64()), time)
    pairs = KeyValues(records.field("attributes"))
    shared = resource_columns(opened) | scope_columns(opened)
    columns: dict[str, pa.Array] = {
        "time": as_time(time),
        "observed_time": as_time(pc.if_else(pc.equal(observed, 0), None, observed)),
        "severity_number": as_code(records.field("severity_number")),
        "severity_text": records.field("severity_text"),
        "event_name": records.field("event_name"),
        "body": value_text(records.field("body")),
        "trace_id": exactly(records.field("trace_id"), 16),
        "span_id": exactly(records.field("span_id"), 8),
        "flags": records.field("flags"),
        "attributes": pairs.rest(),
        **{name: column.take(where) for name, column in shared.items()},
    }
    decoded = without_faulty(columns, {TIME_FAULT: out_of_time(time, now_nanos)}, LOG_SCHEMA)
    return replace(decoded, undated=frozenset({RECORDS_TABLE} if is_undated else ()))
