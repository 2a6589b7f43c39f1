"""OTLP metrics to Arrow columns, vectorised: one row per data point of any of the five kinds.

`decode_metrics` takes one request body and gives the rows of `METRIC_SCHEMA`, how many points were refused and why.
What a point does not tell is null: a value that was not recorded, a sum that was not sent, NaN.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from collector import series
from collector.attributes import KeyValues
from collector.columns import METRIC_SCHEMA, TEMPORALITIES, MetricKind
from collector.envelope import Envelope, Opened, resource_columns, scope_columns, whole
from collector.points import faults_of, values_of
from collector.rows import Bodies, Decoded, Mask, as_time, mask, out_of_time, without_faulty

_metrics = Envelope(ExportMetricsServiceRequest.DESCRIPTOR, "resource_metrics", "scope_metrics", "metrics")

_WITH_TEMPORALITY = {MetricKind.SUM, MetricKind.HISTOGRAM, MetricKind.EXPONENTIAL_HISTOGRAM}


@whole
def decode_metrics(bodies: Bodies, now_nanos: int) -> Decoded:
    """Decode one ExportMetricsServiceRequest into rows of `METRIC_SCHEMA`, kind by kind.

    Args:
        bodies: protobuf bytes of a request, or of several.
        now_nanos: UTC now; points more than a day later are refused.

    Raises:
        UndecodableError: the bytes are not such a message.
        TooManyElementsError: it holds more than one request may.
    """
    opened = _metrics.open(bodies)
    shared, identity = _shared(opened), _identity(opened)
    tables, refused = [METRIC_SCHEMA.empty_table()], Counter[str]()
    for kind in MetricKind:
        decoded = _decode_kind(kind, opened.items.field(kind.value), shared, identity, now_nanos)
        tables.append(decoded.rows)
        refused.update(decoded.refused)
    return Decoded(pa.concat_tables(tables), dict(refused))


def _shared(opened: Opened) -> dict[str, pa.Array]:
    """What the points of a metric have in common, one row per metric."""
    return {
        "metric": opened.items.field("name"),
        "unit": opened.items.field("unit"),
        **resource_columns(opened),
        **scope_columns(opened),
    }


def _identity(opened: Opened) -> series.Hashes:
    """Name, unit, scope and resource of every metric, hashed."""
    scopes = series.combined(
        series.of_texts(opened.scopes.field("name").fill_null("")),
        series.of_texts(opened.scopes.field("version").fill_null("")),
        series.of_pairs(KeyValues(opened.scopes.field("attributes"))),
    )
    return series.combined(
        series.of_texts(opened.items.field("name")),
        series.of_texts(opened.items.field("unit")),
        scopes[opened.scope_of],
        series.of_pairs(opened.resource_pairs)[opened.resource_of],
    )


def _decode_kind(
    kind: MetricKind, data: pa.StructArray, shared: dict[str, pa.Array], identity: series.Hashes, now_nanos: int
) -> Decoded:
    """The points of the metrics of one kind; `data` is null for a metric of another."""
    lists = data.field("data_points")
    points = lists.flatten()
    if not len(points):
        return Decoded(METRIC_SCHEMA.empty_table())
    metric_of = pc.list_parent_indices(lists)
    stream = _stream(kind, data)
    stream_text = pc.binary_join_element_wise(*(column.cast(pa.string()) for column in stream.values()), "/")
    metric_series = series.combined(identity, series.of_texts(stream_text))
    pairs = KeyValues(points.field("attributes"))
    start, time = points.field("start_time_unix_nano"), points.field("time_unix_nano")
    columns: dict[str, pa.Array] = {
        **{name: column.take(metric_of) for name, column in (shared | stream).items()},
        **values_of(kind, points),
        "time": as_time(time),
        "start_time": as_time(pc.if_else(pc.equal(start, 0), None, start)),
        "series": pa.array(series.combined(metric_series[metric_of], series.of_pairs(pairs))),
        "flags": points.field("flags"),
        "attributes": pairs.rest(),
    }
    has_start = mask(pc.not_equal(start, 0))
    faults: dict[str, Mask] = {
        "the metric has no name": mask(pc.equal(columns["metric"], "")),
        "start or time is before 2000 or more than a day ahead": out_of_time(time, now_nanos)
        | (has_start & out_of_time(start, now_nanos)),
        **faults_of(columns),
    }
    return without_faulty(columns, faults, METRIC_SCHEMA)


def _stream(kind: MetricKind, data: pa.StructArray) -> dict[str, pa.Array]:
    """Kind, temporality and monotonicity of every metric: '' and false where the kind has none."""
    temporality = pa.array([""] * len(data))
    if kind in _WITH_TEMPORALITY:
        code = data.field("aggregation_temporality").to_numpy(zero_copy_only=False)
        known = (code >= 0) & (code < len(TEMPORALITIES))
        temporality = pa.array(TEMPORALITIES).take(pa.array(np.where(known, code, 0)))
    no = pa.array(np.zeros(len(data), dtype=bool))
    return {
        "kind": pa.array([kind.value] * len(data)),
        "temporality": temporality,
        "monotonic": data.field("is_monotonic") if kind is MetricKind.SUM else no,
    }
