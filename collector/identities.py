"""What the series of a metrics request are: their names (64-bit hashes), and for those that are new all that they say.

Names come from bytes that are recognised; attributes, resources and scopes are opened where they were not seen before,
and by `series_rows` for the series that somebody asks for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector import series
from collector.attributes import KeyValues, columns_of, value_text
from collector.columns import KIND_CODES, POINT_SCHEMA, RESOURCE_ATTRIBUTES, SERIES_SCHEMA, TEMPORALITY_CODES
from collector.metric_request import PAIR, RESOURCE, SCOPE, MetricRequest, Places
from collector.remembered import Remembered
from collector.rows import PROJECT
from collector.series import Hashes

DAY_NANOS = 24 * 3600 * 10**9

_KINDS = pa.array(list(KIND_CODES))
_TEMPORALITIES = pa.array(list(TEMPORALITY_CODES))


@dataclass(frozen=True)
class Described:
    """The points of a request, also those that are refused: the metric of each, and `counts` many of the closed pairs
    that are their attributes."""

    metric_of: Places
    pairs: pa.BinaryArray
    counts: Places


def metric_names(request: MetricRequest) -> Hashes:
    """Name, unit, scope and resource of every metric, hashed."""
    scopes = _scopes.of(request.scopes)
    resources = _resources.of(request.resources)
    return series.combined(
        _texts.of(request.metrics.field("name").cast(pa.binary())),
        _texts.of(request.metrics.field("unit").cast(pa.binary())),
        scopes[request.scope_of],
        resources[request.resource_of],
    )


def stream_names(kind: Places, temporality: Places, monotonic: Places) -> Hashes:
    """Kind, temporality and monotonicity, by the numbers they are stored with, hashed."""
    return _STREAMS[kind, temporality, monotonic]


def attribute_names(points: Described) -> Hashes:
    """The attributes of every point, in any order, hashed."""
    return series.of_pair_hashes(_pairs.of(points.pairs), points.counts)


def series_rows(request: MetricRequest, rows: pa.Table, points: Described, stored: Places, places: Places) -> pa.Table:
    """Rows of `SERIES_SCHEMA`: what the series of some points say.

    Args:
        rows: of `POINT_SCHEMA`, the points that are stored.
        points: all of them; `stored` is where among them the stored ones are.
        places: of the stored points that are asked for.
    """
    chosen = rows.take(pa.array(places))
    metric = points.metric_of[stored[places]]
    resource_of, scope_of = request.resource_of[metric], request.scope_of[metric]
    said = {
        **{name: chosen.column(name).combine_chunks() for name in ("metric", "series", "monotonic")},
        "day": days_of(chosen.column("time")),
        "unit": request.metrics.field("unit").take(pa.array(metric)),
        "kind": _KINDS.take(chosen.column("kind").combine_chunks()),
        "temporality": _TEMPORALITIES.take(chosen.column("temporality").combine_chunks()),
        **_resource_columns(request, resource_of),
        **_scope_columns(request, scope_of),
        "attributes": KeyValues(_opened(points, stored[places])).rest(),
    }
    return pa.table([said[name] for name in SERIES_SCHEMA.names], schema=SERIES_SCHEMA)


def points_of(rows: pa.Table) -> pa.Table:
    """What is stored of points, rows of `POINT_SCHEMA`, of rows of `METRIC_SCHEMA`."""
    codes = {
        name: pc.index_in(rows.column(name), value_set=names).cast(pa.int8())
        for name, names in (("kind", _KINDS), ("temporality", _TEMPORALITIES))
    }
    return pa.table(
        [codes[name] if name in codes else rows.column(name) for name in POINT_SCHEMA.names], schema=POINT_SCHEMA
    )


def series_of(rows: pa.Table) -> pa.Table:
    """What is stored of their series, rows of `SERIES_SCHEMA`: one of each row."""
    days = {"day": days_of(rows.column("time"))}
    return pa.table(
        [days[name] if name in days else rows.column(name) for name in SERIES_SCHEMA.names], schema=SERIES_SCHEMA
    )


def parted(rows: pa.Table) -> tuple[pa.Table, pa.Table | None]:
    """Rows of a segment as points and their series; None where the rows are points alone already.

    A segment that was written before series stood apart holds `METRIC_SCHEMA`.
    """
    if "attributes" not in rows.schema.names:
        return rows, None
    owner = rows.column(PROJECT.name)
    return points_of(rows).append_column(PROJECT, owner), series_of(rows).append_column(PROJECT, owner)


def days_of(times: pa.ChunkedArray) -> pa.TimestampArray:
    """The UTC days of points, as their first second."""
    nanos = times.cast(pa.int64()).to_numpy()
    return pa.array(nanos // DAY_NANOS * (DAY_NANOS // 10**9)).cast(SERIES_SCHEMA.field("day").type)


def _resource_columns(request: MetricRequest, resource_of: Places) -> dict[str, pa.Array]:
    wanted, place = np.unique(resource_of, return_inverse=True)
    pairs = KeyValues(RESOURCE.open(request.resources.take(pa.array(wanted))).column("attributes"))
    columns = columns_of(pairs, RESOURCE_ATTRIBUTES) | {"resource": pairs.rest()}
    return {name: column.take(pa.array(place)) for name, column in columns.items()}


def _scope_columns(request: MetricRequest, scope_of: Places) -> dict[str, pa.Array]:
    wanted, place = np.unique(scope_of, return_inverse=True)
    scopes = SCOPE.open(request.scopes.take(pa.array(wanted)))
    return {f"scope_{name}": scopes.column(name).take(pa.array(place)) for name in ("name", "version")}


def _opened(points: Described, places: Places) -> pa.ListArray:
    """The attributes of some points as lists of key and value."""
    counts = points.counts[places]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    first = (np.cumsum(points.counts) - points.counts)[places]
    pair_of = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], counts)
    pairs = PAIR.open(points.pairs.take(pa.array(pair_of))).to_struct_array()
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pairs)


def _of_pairs(closed: pa.BinaryArray) -> Hashes:
    pairs = PAIR.open(closed)
    return series.combined(series.of_texts(pairs.column("key")), series.of_texts(value_text(pairs.column("value"))))


def _of_resources(closed: pa.BinaryArray) -> Hashes:
    return series.of_pairs(KeyValues(RESOURCE.open(closed).column("attributes")))


def _of_scopes(closed: pa.BinaryArray) -> Hashes:
    scopes = SCOPE.open(closed)
    return series.combined(
        series.of_texts(scopes.column("name")),
        series.of_texts(scopes.column("version")),
        series.of_pairs(KeyValues(scopes.column("attributes"))),
    )


def _of_texts(texts: pa.BinaryArray) -> Hashes:
    return series.of_texts(texts.cast(pa.string()))


def _streams() -> Hashes:
    texts = [
        f"{kind}/{temporality}/{monotonic}"
        for kind in KIND_CODES
        for temporality in TEMPORALITY_CODES
        for monotonic in ("false", "true")
    ]
    return series.of_texts(pa.array(texts)).reshape(len(KIND_CODES), len(TEMPORALITY_CODES), 2)


_STREAMS = _streams()
_texts, _pairs = Remembered(_of_texts), Remembered(_of_pairs)
_resources, _scopes = Remembered(_of_resources), Remembered(_of_scopes)
