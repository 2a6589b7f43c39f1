"""OTLP metrics to Arrow columns, vectorised: one row per data point of any of the five kinds.

`decode_metrics` takes one request body and gives the rows of `POINT_SCHEMA`, how many points were refused and why, and
`identify`, which gives what their series say as rows of `SERIES_SCHEMA`. What a point does not tell is null: a value
that was not recorded, a sum that was not sent, NaN.
"""

from __future__ import annotations

from collections import Counter
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector import series
from collector.columns import KIND_CODES, POINT_SCHEMA, TEMPORALITIES, MetricKind
from collector.envelope import may_expand, refuse_expanded, whole
from collector.identities import Described, attribute_names, metric_names, series_rows, stream_names
from collector.metric_request import MetricRequest, Places, Points, open_points, open_request
from collector.points import faults_of, values_of
from collector.rows import Bodies, Decoded, Mask, as_time, mask, out_of_time
from collector.series import Hashes

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
    _bound(request, opened)
    names = metric_names(request)
    tables, parts, refused = [], [], Counter[str]()
    for points in opened:
        columns, faults = _columns(request, points, names, now_nanos)
        part = Described(points.metric_of, points.fields.column("attributes"))
        table = pa.Table.from_arrays([columns[name] for name in POINT_SCHEMA.names], schema=POINT_SCHEMA)
        bad = np.zeros(table.num_rows, dtype=bool)
        for reason, faulty in faults.items():
            refused[reason] += int((faulty & ~bad).sum())
            bad |= faulty
        if bad.any():
            good = pa.array(np.flatnonzero(~bad))
            table, part = table.take(good), Described(part.metric_of[~bad], part.attributes.take(good))
        tables.append(table)
        parts.append(part)
    rows = pa.concat_tables(tables)
    return Decoded(rows, dict(+refused), identify=partial(series_rows, request, rows, parts))


def _bound(request: MetricRequest, opened: list[Points]) -> None:
    """Names stand in every row, and resources and scopes in those of new series."""
    name = request.metrics.field("name")
    said, rows = (name, request.resources, request.scopes), sum(len(points.metric_of) for points in opened)
    if not may_expand(said, rows):
        return
    counts = np.zeros(len(request.metrics), np.int64)
    for points in opened:
        counts += np.bincount(points.metric_of, minlength=len(counts))
    of_name, of_resource, of_scope = (
        pc.binary_length(each).to_numpy(zero_copy_only=False).astype(np.int64) for each in said
    )
    refuse_expanded(of_name + of_resource[request.resource_of] + of_scope[request.scope_of], counts)


def _columns(
    request: MetricRequest, points: Points, names: Hashes, now_nanos: int
) -> tuple[dict[str, pa.Array], dict[str, Mask]]:
    """The columns of points, and what is wrong with them: reason -> a mask over the points."""
    fields, metric_of = points.fields, points.metric_of
    start, time = fields.column("start_time_unix_nano"), fields.column("time_unix_nano")
    started = start.to_numpy(zero_copy_only=False) != 0
    kind, temporality, monotonic = _stream(request, points)
    attributes = fields.column("attributes")
    name = request.metrics.field("name")
    of_metrics = series.combined(names[metric_of], stream_names(kind, temporality, monotonic))
    columns: dict[str, pa.Array] = {
        **values_of(points.kinds[0], fields),
        "metric": name.take(pa.array(metric_of)),
        "series": pa.array(series.combined(of_metrics, attribute_names(attributes))),
        "time": as_time(time),
        "start_time": as_time(start) if started.all() else as_time(pc.if_else(pa.array(started), start, None)),
        "kind": pa.array(kind.astype(np.int8)),
        "temporality": pa.array(temporality.astype(np.int8)),
        "monotonic": pa.array(monotonic.astype(bool)),
        "flags": fields.column("flags"),
    }
    faults: dict[str, Mask] = {
        "the metric has no name": mask(pc.equal(name, ""))[metric_of],
        "start or time is before 2000 or more than a day ahead": out_of_time(time, now_nanos)
        | (started & out_of_time(start, now_nanos)),
        **(faults_of(columns) if points.kinds[0] is MetricKind.HISTOGRAM else {}),
    }
    return columns, faults


def _stream(request: MetricRequest, points: Points) -> tuple[Places, Places, Places]:
    """Kind, temporality and monotonicity of every point, by the numbers they are stored with."""
    codes = np.array([KIND_CODES[kind.value] for kind in points.kinds], np.int64)
    temporality = np.zeros(len(points.metric_of), np.int64)
    monotonic = np.zeros(len(points.metric_of), np.int64)
    for place, kind in enumerate(points.kinds):
        if kind in _WITH_TEMPORALITY:
            data = request.metrics.field(kind.value)
            code = data.field("aggregation_temporality").to_numpy(zero_copy_only=False)
            known = (code >= 0) & (code < len(TEMPORALITIES))
            mine = points.kind_of == place
            of_metric = np.where(known, code, 0) + 1
            temporality[mine] = of_metric[points.metric_of[mine]]
            if kind is MetricKind.SUM:
                monotonic[mine] = data.field("is_monotonic").to_numpy(zero_copy_only=False)[points.metric_of[mine]]
    return codes[points.kind_of], temporality, monotonic
