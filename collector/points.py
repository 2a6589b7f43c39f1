"""The values of metric data points, by kind, as the value columns of `POINT_SCHEMA`.

`values_of` reads them, `faults_of` says which points cannot be stored as they are.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.attributes import regroup
from collector.columns import NO_RECORDED_VALUE, VALUE_COLUMNS, MetricKind
from collector.metric_request import open_exemplars, open_quantiles
from collector.rows import Mask, as_time, exactly

# Fields that the protobuf message gives as 0 where nothing was recorded.
_UNRECORDED = ("value", "int_value", "count", "sum", "min", "max", "zero_count")


def values_of(kind: MetricKind, points: pa.RecordBatch) -> dict[str, pa.Array]:
    """Every value column, one row per point: null, or an empty list, where the kind or the point has none.

    Args:
        kind: gauges and sums are alike.
    """
    columns = {name: absent(column, points.num_rows) for name, column in VALUE_COLUMNS.items()}
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
    return columns | found


def faults_of(columns: dict[str, pa.Array]) -> dict[str, Mask]:
    """What is wrong with the buckets of a histogram: reason -> a mask over the points."""
    bounds, counts = columns["bucket_bounds"], columns["bucket_counts"]
    bound_count, count_count = _lengths(bounds), _lengths(counts)
    without_buckets = (bound_count == 0) & (count_count == 0)
    return {
        "bucket_counts is not one longer than explicit_bounds": ~without_buckets & (count_count != bound_count + 1),
        "explicit_bounds do not ascend": _descending(bounds),
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


def absent(kind: pa.DataType, count: int) -> pa.Array:
    """`count` times nothing: null, or in a list column an empty list."""
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(pa.array(np.zeros(count + 1, np.int32)), pa.array([], kind.value_type))
    return pa.nulls(count, kind)


def _lengths(lists: pa.ListArray) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    lengths: np.ndarray[tuple[int], np.dtype[np.int32]] = pc.list_value_length(lists).to_numpy(zero_copy_only=False)
    return lengths


def _descending(lists: pa.ListArray) -> Mask:
    """Lists in which a number is not larger than the one before it, or is NaN."""
    numbers = lists.flatten().to_numpy(zero_copy_only=False)
    list_of = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False)
    wrong = np.isnan(numbers)
    wrong[1:] |= (list_of[1:] == list_of[:-1]) & ~(numbers[1:] > numbers[:-1])
    found = np.zeros(len(lists), dtype=bool)
    found[list_of[wrong]] = True
    return found
