"""OTLP metrics to Arrow columns, vectorised: one row per data point of any of the five kinds.

`decode_metrics` takes one request body and gives the rows of `POINT_SCHEMA`, how many points were refused and why, and
`identify`, which gives what their series say as rows of `SERIES_SCHEMA`. What a point does not tell is null: a value
that was not recorded, a sum that was not sent, NaN.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector import series
from collector.columns import KIND_CODES, POINT_SCHEMA, TEMPORALITIES, MetricKind
from collector.envelope import may_expand, refuse_expanded, whole
from collector.identities import Described, attribute_names, metric_names, series_rows, stream_names
from collector.metric_request import KINDS, MetricRequest, Places, Points, open_points, open_request
from collector.points import faults_of, values_of
from collector.rows import Bodies, Decoded, Mask, as_time, list_lengths, mask, out_of_time

# Kinds whose points are one message are read together.
_TOGETHER = (
    (MetricKind.GAUGE, MetricKind.SUM),
    (MetricKind.HISTOGRAM,),
    (MetricKind.EXPONENTIAL_HISTOGRAM,),
    (MetricKind.SUMMARY,),
)
_WITH_TEMPORALITY = {MetricKind.SUM, MetricKind.HISTOGRAM, MetricKind.EXPONENTIAL_HISTOGRAM}


@whole
def decode_metrics(bodies: Bodies, now_nanos: int) -> Decoded:
    """Decode one ExportMetricsServiceRequest into rows of `POINT_SCHEMA`, kind by kind.

    Args:
        bodies: protobuf bytes of a request, or of several.
        now_nanos: UTC now; points more than a day later are refused.

    Raises:
        UndecodableError: the bytes are not such a message.
        TooManyElementsError: it holds more than one request may.
    """
    request = open_request(bodies)
    opened = [points for kinds in _TOGETHER if (points := open_points(request, kinds)) is not None]
    if not opened:
        return Decoded(POINT_SCHEMA.empty_table())
    metric_of = np.concatenate([points.metric_of for points in opened])
    _bound(request, metric_of)
    described = Described(
        metric_of,
        pa.concat_arrays([points.fields.column("attributes").flatten() for points in opened]),
        np.concatenate([list_lengths(points.fields.column("attributes")) for points in opened]),
    )
    start, time = (_numbers(opened, name) for name in ("start_time_unix_nano", "time_unix_nano"))
    started = start != 0
    faults: dict[str, Mask] = {
        "the metric has no name": mask(pc.equal(request.metrics.field("name"), ""))[metric_of],
        "start or time is before 2000 or more than a day ahead": out_of_time(time, now_nanos)
        | (started & out_of_time(start, now_nanos)),
    }
    kind_of = np.concatenate([points.kind_of for points in opened])
    columns = _identity(request, described, kind_of) | {
        "time": as_time(pa.array(time)),
        "start_time": as_time(pa.array(start, mask=None if started.all() else ~started)),
        "flags": pa.array(_numbers(opened, "flags")),
    }
    values = [values_of(points.kinds[0], points.fields) for points in opened]
    columns |= {name: pa.chunked_array([each[name] for each in values]) for name in values[0]}
    faults |= faults_of(columns)
    rows = pa.Table.from_arrays([columns[name] for name in POINT_SCHEMA.names], schema=POINT_SCHEMA)
    bad, refused = np.zeros(len(metric_of), dtype=bool), Counter[str]()
    for reason, faulty in faults.items():
        refused[reason] = int((faulty & ~bad).sum())
        bad |= faulty
    good = np.flatnonzero(~bad)
    if bad.any():
        rows = rows.take(pa.array(good))
    return Decoded(rows, dict(+refused), identify=partial(series_rows, request, rows, described, good))


def _bound(request: MetricRequest, metric_of: Places) -> None:
    """Names stand in every row, and resources and scopes in those of new series."""
    said = (request.metrics.field("name"), request.resources, request.scopes)
    if may_expand(said, len(metric_of)):
        of_name, of_resource, of_scope = (
            pc.binary_length(each).to_numpy(zero_copy_only=False).astype(np.int64) for each in said
        )
        lengths = of_name + of_resource[request.resource_of] + of_scope[request.scope_of]
        refuse_expanded(lengths, np.bincount(metric_of, minlength=len(lengths)))


def _numbers(opened: list[Points], name: str) -> np.ndarray[Any, Any]:
    return np.concatenate([points.fields.column(name).to_numpy(zero_copy_only=False) for points in opened])


def _identity(request: MetricRequest, described: Described, kind_of: Places) -> dict[str, pa.Array]:
    """The columns that say which series each point is of.

    Args:
        kind_of: the place of the kind of each point in `KINDS`.
    """
    names, metrics = metric_names(request), len(request.metrics)
    temporality = np.zeros((len(KINDS), metrics), np.int64)
    monotonic = np.zeros((len(KINDS), metrics), np.int64)
    for place, kind in enumerate(KINDS):
        if kind in _WITH_TEMPORALITY:
            data = request.metrics.field(kind.value)
            code = data.field("aggregation_temporality").to_numpy(zero_copy_only=False)
            temporality[place] = np.where((code >= 0) & (code < len(TEMPORALITIES)), code, 0) + 1
            if kind is MetricKind.SUM:
                monotonic[place] = data.field("is_monotonic").to_numpy(zero_copy_only=False)
    codes = np.array([KIND_CODES[kind.value] for kind in KINDS])
    streams = stream_names(np.repeat(codes, metrics), temporality.ravel(), monotonic.ravel())
    # A series is of a metric and a kind: one that is malformed may hold points of two.
    of_metrics = series.combined(np.tile(names, len(KINDS)), streams)
    place_of = kind_of * metrics + described.metric_of
    return {
        "metric": request.metrics.field("name").take(pa.array(described.metric_of)),
        "series": pa.array(series.combined(of_metrics[place_of], attribute_names(described))),
        "kind": pa.array(codes[kind_of].astype(np.int8)),
        "temporality": pa.array(temporality.ravel()[place_of].astype(np.int8)),
        "monotonic": pa.array(monotonic.ravel()[place_of].astype(bool)),
    }
