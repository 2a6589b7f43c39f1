"""Metric points for tests: rows of `metric_points` as the collector stores them, and Prometheus text as such rows."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from itertools import pairwise
from typing import Any

import pyarrow as pa

from collector.columns import METRIC_SCHEMA
from store.telemetry import TelemetryStore
from tests.metric_rows import store_whole

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
Row = dict[str, Any]


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def point(
    time: datetime,
    metric: str,
    value: float | None = None,
    *,
    kind: str = "sum",
    start: datetime | None = None,
    temporality: str | None = None,
    monotonic: bool = True,
    unit: str = "",
    labels: dict[str, str] | None = None,
    resource: dict[str, str] | None = None,
    service: str = "engine",
    environment: str = "",
    scope: str = "",
    count: int | None = None,
    total: float | None = None,
    bounds: Iterable[float] = (),
    buckets: Iterable[int] = (),
    flags: int = 0,
) -> Row:
    """One row; a whole number is exact, as it is on the wire."""
    if temporality is None:
        temporality = "" if kind in ("gauge", "summary") else "cumulative"
    labels, resource = labels or {}, resource or {}
    identity = repr((metric, unit, kind, temporality, sorted(labels.items()), sorted(resource.items()), service, scope))
    return {
        "time": time,
        "start_time": start,
        "metric": metric,
        "unit": unit,
        "kind": kind,
        "temporality": temporality,
        "monotonic": kind == "sum" and monotonic,
        "series": int.from_bytes(blake2b(identity.encode(), digest_size=8).digest(), "little"),
        "flags": flags,
        "value": None if value is None else float(value),
        "int_value": value if isinstance(value, int) else None,
        "count": count,
        "sum": total,
        "bucket_bounds": list(bounds),
        "bucket_counts": list(buckets),
        "service": service,
        "environment": environment,
        "accelerator_pool": "",
        "scope_name": scope,
        "scope_version": "",
        "attributes": list(labels.items()),
        "resource": list(resource.items()),
    }


def gauge(time: datetime, metric: str, value: float | None, **more: Any) -> Row:
    return point(time, metric, value, kind="gauge", **more)


def store_points(store: TelemetryStore, *rows: Row) -> None:
    empty = {field.name: [] if pa.types.is_list(field.type) else None for field in METRIC_SCHEMA}
    store_whole(store, pa.Table.from_pylist([empty | row for row in rows], schema=METRIC_SCHEMA))


_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def scraped(text: str, time: datetime, start: datetime | None = None, **more: Any) -> list[Row]:
    """Prometheus text as the points that a scraper stores: names as exposed, one row for each histogram."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    rows: list[Row] = []
    parts: dict[tuple[str, tuple[tuple[str, str], ...]], dict[str, Any]] = defaultdict(lambda: {"buckets": []})
    for line in text.splitlines():
        found = _SAMPLE.match(line)
        if not found:
            continue
        name, labels, value = found.group(1), dict(_LABEL.findall(found.group(2) or "")), float(found.group(3))
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        if name.endswith("_created"):
            continue
        if kinds.get(base) == "histogram":
            bound = labels.pop("le", None)
            held = parts[base, tuple(sorted(labels.items()))]
            if bound is None:
                held[name.rsplit("_", 1)[1]] = value
            else:
                held["buckets"].append((float(bound), int(value)))
        else:
            kind = "sum" if kinds.get(name, kinds.get(base)) == "counter" else "gauge"
            rows.append(point(time, name, value, kind=kind, start=start, labels=labels, **more))
    for (base, pairs), held in parts.items():
        edges = sorted(held["buckets"])
        upto = [0, *(count for _, count in edges)]
        rows.append(
            point(
                time,
                base,
                kind="histogram",
                start=start,
                labels=dict(pairs),
                count=int(held["count"]),
                total=held["sum"],
                bounds=[edge for edge, _ in edges[:-1]],
                buckets=[after - before for before, after in pairwise(upto)],
                **more,
            )
        )
    return rows
