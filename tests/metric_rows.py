"""Metric points in tests as one table, `METRIC_SCHEMA`: what a point says together with what its series says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.columns import METRIC_SCHEMA
from collector.identities import points_of, series_of
from collector.rows import Decoded
from store.telemetry import TelemetryStore


def whole(decoded: Decoded) -> pa.Table:
    """The points of a decoder, each with what its series says."""
    if decoded.identify is None:
        assert decoded.rows.num_rows == 0
        return METRIC_SCHEMA.empty_table()
    return joined(decoded.rows, decoded.identify(np.arange(decoded.rows.num_rows)))


def joined(points: pa.Table, series: pa.Table) -> pa.Table:
    """Points, each with what its series says."""
    places = pc.index_in(points.column("series"), value_set=series.column("series").combine_chunks())
    assert not places.null_count
    said = series.take(places)
    columns = {name: points.column(name) for name in points.schema.names}
    columns |= {name: said.column(name) for name in series.schema.names}
    return pa.table([columns[name] for name in METRIC_SCHEMA.names], schema=METRIC_SCHEMA)


def store_whole(store: TelemetryStore, rows: pa.Table) -> None:
    """Store such points and their series."""
    store.insert("metric_series", series_of(rows))
    store.insert("metric_points", points_of(rows))
