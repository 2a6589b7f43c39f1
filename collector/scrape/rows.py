"""The rows of one scrape: the layout of a target's series, filled with the values that it shows now.

Also the rows that no target shows: that a series has ended, and how the scrape went.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.columns import METRIC_SCHEMA, NO_RECORDED_VALUE, SPAN_ID, TIME, TRACE_ID, VALUE_COLUMNS, MetricKind
from collector.points import absent
from collector.rows import EARLIEST_NANOS, TIME_FAULT, Decoded, Mask, out_of_time, without_faulty
from collector.scrape.exposition import Exemplar, Exposition
from collector.scrape.families import Family
from collector.scrape.layout import SYNTHETIC, Layout, Lists, Origin, Places
from collector.scrape.numbers import Floats

_LARGEST_COUNT: Final = 2.0**63
_TRACE: Final = ("trace_id", "traceID", "TraceID")
_SPAN: Final = ("span_id", "spanID", "SpanID")


def rows_of(layout: Layout, shown: Exposition, now_nanos: int) -> Decoded:
    """The rows of `METRIC_SCHEMA`, and what could not be stored, by reason.

    Args:
        layout: made of the same samples.
        now_nanos: UTC; the time of what was shown without one.
    """
    count, buckets_fault, buckets = _counts(layout, shown.values)
    told = np.full(len(layout.value), now_nanos, np.uint64)
    if shown.nanos is not None:
        nanos = shown.nanos[layout.first]
        told = np.where(nanos > 0, nanos, told)
    times = pa.array(told)
    columns = {
        **_without_values(layout.identity),
        "time": times.cast(pa.int64(), safe=False).cast(TIME),
        "start_time": _starts(_at(shown.values, layout.created), now_nanos),
        "value": _known(_at(shown.values, layout.value)),
        "sum": _known(_at(shown.values, layout.sum)),
        "count": count,
        "bucket_bounds": layout.buckets.known,
        "bucket_counts": buckets,
        "quantiles": layout.quantiles.known,
        "quantile_values": pa.ListArray.from_arrays(
            pa.array(layout.quantiles.offsets, pa.int32()), pa.array(shown.values[layout.quantiles.samples])
        ),
        **_exemplars(layout, shown.exemplars, told),
    }
    faults = {
        TIME_FAULT: out_of_time(times, now_nanos),
        "the buckets are no counts that grow from bound to bound": buckets_fault,
        "the count is no whole number": _no_counts(_at(shown.values, layout.count)),
    }
    return without_faulty(columns, faults, METRIC_SCHEMA)


def gaps(ended: pa.Table, now_nanos: int) -> pa.Table:
    """For each series that has ended, given by its identity columns, a point that says so."""
    rows = ended.combine_chunks()
    columns = _without_values(rows) | {
        "time": pa.array(np.full(rows.num_rows, now_nanos, np.int64)).cast(TIME),
        "flags": pa.array(np.full(rows.num_rows, NO_RECORDED_VALUE, np.uint32)),
    }
    return pa.table([columns[name] for name in METRIC_SCHEMA.names], schema=METRIC_SCHEMA)


def synthetic_identity(origin: Origin) -> pa.Table:
    """The series that tell of the scrapes of a target, in the order of `SYNTHETIC`."""
    return origin.identity([(Family(name, unit, MetricKind.GAUGE, "", False), ()) for name, unit in SYNTHETIC.items()])


def synthetic(identity: pa.Table, values: Mapping[str, float], now_nanos: int) -> pa.Table:
    """How a scrape went: a value for each of `SYNTHETIC`."""
    columns = _without_values(identity) | {
        "time": pa.array(np.full(len(SYNTHETIC), now_nanos, np.int64)).cast(TIME),
        "value": pa.array([float(values[name]) for name in SYNTHETIC]),
    }
    return pa.table([columns[name] for name in METRIC_SCHEMA.names], schema=METRIC_SCHEMA)


def _without_values(identity: pa.Table) -> dict[str, pa.Array]:
    count = identity.num_rows
    return {
        **{name: absent(kind, count) for name, kind in VALUE_COLUMNS.items()},
        **{name: identity.column(name).combine_chunks() for name in identity.column_names},
        "start_time": pa.nulls(count, TIME),
        "flags": pa.array(np.zeros(count, np.uint32)),
    }


def _at(values: Floats, places: Places) -> Floats:
    """The samples at these places; NaN where there is none."""
    if not len(values):
        return np.full(len(places), np.nan)
    found: Floats = np.where(places >= 0, values[places], np.nan)
    return found


def _known(values: Floats) -> pa.DoubleArray:
    return pa.array(values, mask=np.isnan(values))


def _starts(seconds: Floats, now_nanos: int) -> pa.TimestampArray:
    """When series began, of Unix seconds; what no clock can have said is null."""
    with np.errstate(invalid="ignore"):
        usable = (seconds >= EARLIEST_NANOS / 1e9) & (seconds <= now_nanos / 1e9)
    whole = np.floor(np.where(usable, seconds, 0))
    rest = np.where(usable, seconds, 0) - whole
    nanos = whole.astype(np.int64) * 10**9 + np.round(rest * 1e9).astype(np.int64)
    return pa.array(nanos, mask=~usable).cast(TIME)


def _counts(layout: Layout, values: Floats) -> tuple[pa.UInt64Array, Mask, pa.ListArray]:
    """Counts of histograms and summaries, which rows have buckets that cannot be, and the buckets, each for itself."""
    lists = layout.buckets
    upto = values[lists.samples]
    bad = _no_counts(upto) | np.isnan(upto)
    upto = np.where(bad, 0.0, upto)
    below = np.concatenate([np.zeros(1), upto[:-1]])[: len(upto)]
    below[lists.offsets[:-1][lists.offsets[:-1] < lists.offsets[1:]]] = 0
    bad |= upto < below
    faulty = np.zeros(len(layout.value), dtype=bool)
    faulty[_row_of(lists)[bad]] = True
    each = np.maximum(upto - below, 0).astype(np.uint64)
    counted = _at(values, layout.count)
    unknown = np.isnan(counted) | _no_counts(counted)
    count = pa.array(np.where(unknown, 0, counted).astype(np.uint64), mask=unknown)
    return count, faulty, pa.ListArray.from_arrays(pa.array(lists.offsets, pa.int32()), pa.array(each))


def _no_counts(values: Floats) -> Mask:
    """Numbers that count nothing: negative, fractions, infinite."""
    with np.errstate(invalid="ignore"):
        found: Mask = ~np.isnan(values) & ~((values >= 0) & (values < _LARGEST_COUNT) & (values == np.floor(values)))
    return found


def _row_of(lists: Lists) -> Places:
    return np.repeat(np.arange(len(lists.offsets) - 1), np.diff(lists.offsets))


def _exemplars(layout: Layout, exemplars: tuple[Exemplar, ...], times: Any) -> dict[str, pa.Array]:
    """The exemplars of each row; no column when there are none."""
    if not exemplars:
        return {}
    row_of = {int(place): row for row, place in enumerate(layout.value) if place >= 0}
    row_of |= dict(zip(layout.buckets.samples.tolist(), _row_of(layout.buckets).tolist(), strict=True))
    of_row: dict[int, list[Exemplar]] = {}
    for exemplar in exemplars:
        if exemplar.sample in row_of:
            of_row.setdefault(row_of[exemplar.sample], []).append(exemplar)
    lists = [of_row.get(row, []) for row in range(len(layout.value))]
    nanos = [[one.nanos or int(times[row]) for one in each] for row, each in enumerate(lists)]
    return {
        "exemplar_times": pa.array(nanos, pa.list_(TIME)),
        "exemplar_values": pa.array([[one.value for one in each] for each in lists], pa.list_(pa.float64())),
        "exemplar_trace_ids": pa.array([[_id(one, _TRACE, 16) for one in each] for each in lists], pa.list_(TRACE_ID)),
        "exemplar_span_ids": pa.array([[_id(one, _SPAN, 8) for one in each] for each in lists], pa.list_(SPAN_ID)),
    }


def _id(exemplar: Exemplar, spellings: tuple[str, ...], length: int) -> bytes:
    """An identity in hexadecimal; zeros where there is none of this length."""
    text = next((exemplar.labels[spelling] for spelling in spellings if spelling in exemplar.labels), "")
    try:
        found = bytes.fromhex(text)
    except ValueError:
        return bytes(length)
    return found if len(found) == length else bytes(length)


def ended(before: pa.Table, now: pa.Table) -> pa.Table:
    """The identity of series that were there before and are not now."""
    if before.column("series").equals(now.column("series")):
        return before.slice(0, 0)
    return before.filter(pc.invert(pc.is_in(before.column("series"), now.column("series").combine_chunks())))
