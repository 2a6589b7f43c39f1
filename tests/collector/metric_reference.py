"""A plain reading of metrics over the official protobuf classes, point by point: what the fast decoder must agree with.

The hash of a series is computed here in ordinary integers, from its definition in `docs/collector.md`.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from collector.columns import RESOURCE_ATTRIBUTES
from tests.collector.reference import exactly, pairs, typed_and_rest

KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
WORD = 2**64


def points_of(body: bytes) -> list[dict[str, Any]]:
    """Every data point of a request as a row of the metric schema: kind by kind, in order."""
    request = ExportMetricsServiceRequest.FromString(body)
    rows = []
    for kind in KINDS:
        for resource_metrics in request.resource_metrics:
            typed, rest = typed_and_rest(resource_metrics.resource.attributes, RESOURCE_ATTRIBUTES)
            for scope_metrics in resource_metrics.scope_metrics:
                for metric in scope_metrics.metrics:
                    data = getattr(metric, kind)
                    stream = stream_of(kind, data)
                    identity = combined(
                        text_hash(metric.name),
                        text_hash(metric.unit),
                        combined(
                            text_hash(scope_metrics.scope.name),
                            text_hash(scope_metrics.scope.version),
                            pairs_hash(scope_metrics.scope.attributes),
                        ),
                        pairs_hash(resource_metrics.resource.attributes),
                    )
                    stream_hash = text_hash("/".join([kind, stream["temporality"], str(stream["monotonic"]).lower()]))
                    rows += [
                        {
                            "time": point.time_unix_nano,
                            "start_time": point.start_time_unix_nano or None,
                            "metric": metric.name,
                            "unit": metric.unit,
                            "kind": kind,
                            **stream,
                            "series": combined(combined(identity, stream_hash), pairs_hash(point.attributes)),
                            "flags": point.flags,
                            **values_of(kind, point),
                            **typed,
                            "scope_name": scope_metrics.scope.name,
                            "scope_version": scope_metrics.scope.version,
                            "attributes": pairs(point.attributes),
                            "resource": rest,
                        }
                        for point in data.data_points
                    ]
    return rows


def stream_of(kind: str, data: Any) -> dict[str, Any]:
    has_temporality = kind in {"sum", "histogram", "exponential_histogram"}
    names = {1: "delta", 2: "cumulative"}
    return {
        "temporality": names.get(data.aggregation_temporality, "unspecified") if has_temporality else "",
        "monotonic": data.is_monotonic if kind == "sum" else False,
    }


def values_of(kind: str, point: Any) -> dict[str, Any]:
    values: dict[str, Any] = dict.fromkeys(
        ("value", "int_value", "count", "sum", "min", "max", "scale", "zero_count", "zero_threshold")
    )
    values |= {"positive_offset": None, "negative_offset": None}
    lists = ("bucket_bounds", "bucket_counts", "positive_counts", "negative_counts", "quantiles", "quantile_values")
    values |= {name: [] for name in lists}
    recorded = not point.flags & 1
    if kind in {"gauge", "sum"} and recorded:
        which = point.WhichOneof("value")
        values["int_value"] = point.as_int if which == "as_int" else None
        values["value"] = None if which is None else known(float(getattr(point, which)))
    if kind in {"histogram", "exponential_histogram"} and recorded:
        values["count"] = point.count
        values |= {n: known(getattr(point, n)) if point.HasField(n) else None for n in ("sum", "min", "max")}
    if kind == "summary" and recorded:
        values |= {"count": point.count, "sum": known(point.sum)}
    if kind == "histogram":
        values |= {"bucket_bounds": list(point.explicit_bounds), "bucket_counts": list(point.bucket_counts)}
    if kind == "exponential_histogram":
        values |= {"scale": point.scale, "zero_threshold": point.zero_threshold}
        values["zero_count"] = point.zero_count if recorded else None
        for side in ("positive", "negative"):
            if point.HasField(side):
                values[f"{side}_offset"] = getattr(point, side).offset
                values[f"{side}_counts"] = list(getattr(point, side).bucket_counts)
    if kind == "summary":
        values["quantiles"] = [pair.quantile for pair in point.quantile_values]
        values["quantile_values"] = [pair.value for pair in point.quantile_values]
    exemplars = [] if kind == "summary" else point.exemplars
    return values | {
        "exemplar_times": [exemplar.time_unix_nano for exemplar in exemplars],
        "exemplar_values": [exemplar_value(exemplar) for exemplar in exemplars],
        "exemplar_trace_ids": [exactly(exemplar.trace_id, 16) for exemplar in exemplars],
        "exemplar_span_ids": [exactly(exemplar.span_id, 8) for exemplar in exemplars],
    }


def exemplar_value(exemplar: Any) -> float:
    which = exemplar.WhichOneof("value")
    return math.nan if which is None else float(getattr(exemplar, which))


def known(number: float) -> float | None:
    return None if math.isnan(number) else number


def pairs_hash(attributes: Any) -> int:
    return sum(combined(text_hash(key), text_hash(value)) for key, value in pairs(attributes)) % WORD


def text_hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def combined(*parts: int) -> int:
    result = 0
    for part in parts:
        result = (result + 0x9E3779B97F4A7C15 + part) % WORD
        result = (result ^ (result >> 30)) * 0xBF58476D1CE4E5B9 % WORD
        result = (result ^ (result >> 27)) * 0x94D049BB133111EB % WORD
        result ^= result >> 31
    return result
