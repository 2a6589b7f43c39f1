"""The values of metric data points, by kind, as the value columns of `POINT_SCHEMA`.

`values_of` reads them, `faults_of` says which points cannot be stored as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.attributes import regroup
from collector.columns import NO_RECORDED_VALUE, VALUE_COLUMNS, MetricKind
from collector.metric_request import open_exemplars, open_quantiles
from collector.rows import Mask, as_time, exactly, list_lengths

# Fields that the protobuf message gives as 0 where nothing was recorded.
_KEPT_ROWS = 2**14
_UNRECORDED = ("value", "int_value", "count", "sum", "min", "max", "zero_count")


def values_of(kind: MetricKind, points: pa.RecordBatch) -> dict[str, pa.Array]:
    """Every value column, one row per point: null, or an empty list, where the kind or the point has none.

    Args:
        kind: gauges and sums are alike.
    """
    match kind:
        case MetricKind.GAUGE | MetricKind.SUM:
            found = _number(points)
        case MetricKind.HISTOGRAM:
            found = _distribution(points) | _buckets(points)
        case MetricKind.EXPONENTIAL_HISTOGRAM:
            found = _distribution(points) | _exponential_buckets(points)
        case MetricKind.SUMMARY:
            found = _summary(points)
    if kind is not MetricKind.SUMMARY and len(points.column("exemplars").values):
        found |= _exemplars(points.column("exemplars"))
    flags = points.column("flags").to_numpy(zero_copy_only=False)
    if flags.any():
        recorded = pa.array(flags & NO_RECORDED_VALUE == 0)
        found |= {name: pc.if_else(recorded, found[name], None) for name in _UNRECORDED if name in found}
    missing = {name: absent(column, points.num_rows) for name, column in VALUE_COLUMNS.items() if name not in found}
    return {name: _typed(column, VALUE_COLUMNS[name]) for name, column in found.items()} | missing


def faults_of(columns: Mapping[str, pa.ChunkedArray]) -> dict[str, Mask]:
    """What is wrong with the buckets of histograms: reason -> a mask over the points."""
    bounds, counts = columns["bucket_bounds"], columns["bucket_counts"]
    bound_count, count_count = (
        np.concatenate([list_lengths(part) for part in each.chunks]) for each in (bounds, counts)
    )
    without_buckets = (bound_count == 0) & (count_count == 0)
    return {
        "bucket_counts is not one longer than explicit_bounds": ~without_buckets & (count_count != bound_count + 1),
        "explicit_bounds do not ascend": np.concatenate([_descending(part) for part in bounds.chunks]),
    }


def _number(points: pa.RecordBatch) -> dict[str, pa.Array]:
    double, whole = points.column("as_double"), points.column("as_int")
    if whole.null_count == len(whole):
        return {"value": _known(double)}
    return {
        "value": _known(pc.coalesce(double, whole.cast(pa.float64(), safe=False))),
        "int_value": pc.if_else(double.is_null(), whole, None),
    }


def _distribution(points: pa.RecordBatch) -> dict[str, pa.Array]:
    return {"count": points.column("count")} | {name: _known(points.column(name)) for name in ("sum", "min", "max")}


def _buckets(points: pa.RecordBatch) -> dict[str, pa.Array]:
    return {"bucket_bounds": points.column("explicit_bounds"), "bucket_counts": points.column("bucket_counts")}


def _exponential_buckets(points: pa.RecordBatch) -> dict[str, pa.Array]:
    columns = {name: points.column(name) for name in ("scale", "zero_count", "zero_threshold")}
    for side in ("positive", "negative"):
        buckets = points.column(side)
        columns[f"{side}_offset"] = pc.if_else(buckets.is_valid(), buckets.field("offset"), None)
        columns[f"{side}_counts"] = buckets.field("bucket_counts")
    return columns


def _summary(points: pa.RecordBatch) -> dict[str, pa.Array]:
    lists = points.column("quantile_values")
    pairs = open_quantiles(lists.flatten())
    return {
        "count": points.column("count"),
        "sum": _known(points.column("sum")),
        "quantiles": regroup(lists, pairs.column("quantile")),
        "quantile_values": regroup(lists, pairs.column("value")),
    }


def _exemplars(lists: pa.ListArray) -> dict[str, pa.Array]:
    exemplars = open_exemplars(lists.flatten())
    value = pc.coalesce(exemplars.column("as_double"), exemplars.column("as_int").cast(pa.float64(), safe=False))
    return {
        "exemplar_times": regroup(lists, as_time(exemplars.column("time_unix_nano"))),
        "exemplar_values": regroup(lists, value.fill_null(float("nan"))),
        "exemplar_trace_ids": regroup(lists, exactly(exemplars.column("trace_id"), 16)),
        "exemplar_span_ids": regroup(lists, exactly(exemplars.column("span_id"), 8)),
    }


def _known(values: pa.DoubleArray) -> pa.DoubleArray:
    unknown = pc.is_nan(values)
    return pc.if_else(unknown, None, values) if unknown.true_count else values


def _typed(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The column as it is stored: a list of a message says that it holds no nulls, which is another type."""
    return column if column.type == kind else column.cast(kind)


def absent(kind: pa.DataType, count: int) -> pa.Array:
    """`count` times nothing: null, or in a list column an empty list."""
    if count > _KEPT_ROWS:
        return _nothing(kind, count)
    return _kept_nothing(kind).slice(0, count)


@cache
def _kept_nothing(kind: pa.DataType) -> pa.Array:
    return _nothing(kind, _KEPT_ROWS)


def _nothing(kind: pa.DataType, count: int) -> pa.Array:
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(pa.array(np.zeros(count + 1, np.int32)), pa.array([], kind.value_type))
    return pa.nulls(count, kind)


def _descending(lists: pa.ListArray) -> Mask:
    """Lists in which a number is not larger than the one before it, or is NaN."""
    found = np.zeros(len(lists), dtype=bool)
    numbers = lists.flatten().to_numpy(zero_copy_only=False)
    ascends = np.ones(len(numbers), dtype=bool)
    np.greater(numbers[1:], numbers[:-1], out=ascends[1:])
    lengths = list_lengths(lists)
    firsts = (np.cumsum(lengths) - lengths)[lengths > 0]
    ascends[firsts] = ~np.isnan(numbers[firsts])
    if not ascends.all():
        found[np.repeat(np.arange(len(lists)), lengths)[~ascends]] = True
    return found
