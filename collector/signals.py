"""Observed signals as columns, whichever form they came in, and the rows that are stored of them.

The row form (`collector.observations`) and the packed form (`collector.packed`) both end here, so that the same
observations give the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.attributes import KeyValues, string_maps
from collector.columns import OBSERVATION_PREFIX, OBSERVATION_SCHEMA, OBSERVATION_WEIGHT, SEGMENT_PREFIX, TIME

BAD_WEIGHT = "andon.observation.weight is not a positive number"

Numbers = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Heads:
    """What each log record says beside its attributes: UTC nanoseconds, and service, environment, trace and span id."""

    nanos: Numbers
    columns: dict[str, pa.Array]

    def take(self, where: Numbers) -> Heads:
        """Those of some records."""
        places = pa.array(where)
        return Heads(self.nanos[where], {name: column.take(places) for name, column in self.columns.items()})


@dataclass(frozen=True)
class Signals:
    """One entry for each observed value.

    Attributes:
        record: the log record that it came in.
        row: its row within the record.
        signal: its name without the prefix.
        number, text: one of the two is there.
        segments: string maps; `segment` is the place of the value's map in them.
    """

    record: Numbers
    row: Numbers
    signal: pa.StringArray
    number: pa.DoubleArray
    text: pa.StringArray
    segments: pa.MapArray
    segment: Numbers


def table_of(heads: Heads, typed: dict[str, pa.Array], weights: Numbers, signals: Signals) -> pa.Table:
    """The rows of `OBSERVATION_SCHEMA`; each row of a record is one nanosecond later than the one before.

    Args:
        typed: the typed columns, one entry for each record.
        weights: of each record's rows.
    """
    record = pa.array(signals.record)
    columns = {
        "time": pa.array(heads.nanos[signals.record].astype(np.int64) + signals.row).cast(TIME),
        **{name: column.take(record) for name, column in (heads.columns | typed).items()},
        "signal": signals.signal,
        "number": signals.number,
        "text": signals.text,
        "segment": signals.segments.take(pa.array(signals.segment)),
        "weight": pa.array(weights[signals.record]),
    }
    for name in ("trace_id", "span_id"):
        columns[name] = columns[name].cast(OBSERVATION_SCHEMA.field(name).type)
    return pa.table([columns[name] for name in OBSERVATION_SCHEMA.names], schema=OBSERVATION_SCHEMA)


def signal_pairs(pairs: KeyValues, usable: Numbers) -> Numbers:
    """The places of the pairs that carry a signal, of records marked in `usable`."""
    is_signal = pairs.having_prefix(OBSERVATION_PREFIX) & ~pairs.having_prefix(SEGMENT_PREFIX)
    is_signal &= ~pairs.named(OBSERVATION_WEIGHT)
    return np.flatnonzero(is_signal & usable[pairs.row_of_pair])


def signal_names(keys: pa.StringArray) -> pa.StringArray:
    """Names of signals from attribute keys."""
    return pc.utf8_slice_codeunits(keys, len(OBSERVATION_PREFIX))


def segments_of(pairs: KeyValues) -> pa.MapArray:
    """The segment of each record."""
    keys = pc.utf8_slice_codeunits(pairs.keys, len(SEGMENT_PREFIX))
    return string_maps(pairs.row_of_pair, keys, pairs.text, pairs.having_prefix(SEGMENT_PREFIX), pairs.rows)


def values_of(pairs: KeyValues, where: Numbers) -> tuple[pa.DoubleArray, pa.StringArray]:
    """Numbers, and texts where the value is none, of the pairs at `where`."""
    number = _numbers(pairs, where)
    return number, pc.if_else(number.is_valid(), None, pairs.text.take(pa.array(where)))


def weights_of(pairs: KeyValues) -> tuple[Numbers, Numbers]:
    """Rows that each row of a record stands for (1 where it does not say), and whether that can be."""
    weights = np.ones(pairs.rows)
    where = np.flatnonzero(pairs.named(OBSERVATION_WEIGHT))
    weights[pairs.row_of_pair[where]] = _numbers(pairs, where).fill_null(float("nan")).to_numpy(zero_copy_only=False)
    return weights, np.isfinite(weights) & (weights > 0)


def _numbers(pairs: KeyValues, where: Numbers) -> pa.DoubleArray:
    values = pairs.values.take(pa.array(where))
    return pc.coalesce(values.field("double_value"), values.field("int_value").cast(pa.float64(), safe=False))
