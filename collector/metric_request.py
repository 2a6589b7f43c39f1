"""A metrics request, opened level by level: what repeats from request to request stays bytes until somebody needs it.

Resources, scopes and attributes of points are left closed, since a series that is known needs no more than its name.
Each level is counted before the next is opened, so that few bytes cannot become many elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from google.protobuf.descriptor import Descriptor
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from collector.census import Census, Tally
from collector.columns import MetricKind
from collector.envelope import UndecodableError
from collector.opaque import opaque_handlers
from collector.rows import Bodies

Places: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

KINDS: Final = tuple(MetricKind)

_METRICS: Final = "opentelemetry.proto.metrics.v1"
_DATA: Final = ("Gauge", "Sum", "Histogram", "ExponentialHistogram", "Summary")
_POINTS: Final = ("NumberDataPoint", "HistogramDataPoint", "ExponentialHistogramDataPoint", "SummaryDataPoint")
_UPPER: Final = {
    f"{_METRICS}.ResourceMetrics": frozenset({"resource"}),
    f"{_METRICS}.ScopeMetrics": frozenset({"scope"}),
    f"{_METRICS}.Metric": frozenset({"metadata"}),
    **{f"{_METRICS}.{kind}": frozenset({"data_points"}) for kind in _DATA},
}
_LOWER: Final = {
    **{f"{_METRICS}.{kind}": frozenset({"attributes", "exemplars", "quantile_values"}) for kind in _POINTS},
    f"{_METRICS}.Exemplar": frozenset({"filtered_attributes"}),
}
_SKELETON: Final = _UPPER | {f"{_METRICS}.ScopeMetrics": frozenset({"scope", "metrics"})}

_request = ExportMetricsServiceRequest.DESCRIPTOR
(_request_handler,) = opaque_handlers(_UPPER, _request)
(_skeleton_handler,) = opaque_handlers(_SKELETON, _request)
_number, _histogram, _exponential, _summary, _exemplar, _quantile = opaque_handlers(
    _LOWER,
    NumberDataPoint.DESCRIPTOR,
    HistogramDataPoint.DESCRIPTOR,
    ExponentialHistogramDataPoint.DESCRIPTOR,
    SummaryDataPoint.DESCRIPTOR,
    Exemplar.DESCRIPTOR,
    SummaryDataPoint.ValueAtQuantile.DESCRIPTOR,
)
_POINT_HANDLERS: Final = {
    MetricKind.GAUGE: _number,
    MetricKind.SUM: _number,
    MetricKind.HISTOGRAM: _histogram,
    MetricKind.EXPONENTIAL_HISTOGRAM: _exponential,
    MetricKind.SUMMARY: _summary,
}


class Closed:
    """A message that is left closed in requests: opened where it is new.

    Args:
        message: its descriptor.
    """

    def __init__(self, message: Descriptor) -> None:
        (self._handler,) = opaque_handlers({}, message)
        self._census = Census(message)

    def open(self, messages: pa.BinaryArray) -> pa.RecordBatch:
        """The fields of each.

        Raises:
            UndecodableError: one is no such message.
            TooManyElementsError: together they hold more than one request may.
        """
        self._census.check_parts(messages)
        return read(self._handler, messages)


PAIR: Final = Closed(KeyValue.DESCRIPTOR)
RESOURCE: Final = Closed(Resource.DESCRIPTOR)
SCOPE: Final = Closed(InstrumentationScope.DESCRIPTOR)


@dataclass(frozen=True)
class MetricRequest:
    """One request, or several as if they were one: its metrics.

    `resource_of` and `scope_of` give, for every metric, its place in `resources` and `scopes`, which are closed.
    """

    metrics: pa.StructArray
    resource_of: Places
    resources: pa.BinaryArray
    scope_of: Places
    scopes: pa.BinaryArray
    tally: Tally


@dataclass(frozen=True)
class Points:
    """The points of some kinds; `metric_of` gives the metric of each, `kind_of` the place of its kind in `KINDS`."""

    kinds: tuple[MetricKind, ...]
    fields: pa.RecordBatch
    metric_of: Places
    kind_of: Places


def open_request(bodies: Bodies) -> MetricRequest:
    """Open requests down to their metrics.

    Raises:
        UndecodableError: the bytes are not such messages.
        TooManyElementsError: they hold more elements than one request may.
    """
    requests = [bodies] if isinstance(bodies, bytes) else list(bodies)
    if Census.may_hold_too_much(requests):
        Tally().add(items=sum(map(len, _levels(_skeleton_handler, requests))))
    per_resource, per_scope, metrics = _levels(_request_handler, requests)
    scope_lists, metric_lists = per_resource.field("scope_metrics"), per_scope.field("metrics")
    scope_of = _parents(metric_lists)
    tally = Tally()
    tally.add(items=len(per_resource) + len(per_scope) + len(metrics))
    return MetricRequest(
        metrics=metrics,
        resource_of=_parents(scope_lists)[scope_of],
        resources=per_resource.field("resource"),
        scope_of=scope_of,
        scopes=per_scope.field("scope"),
        tally=tally,
    )


def open_points(request: MetricRequest, kinds: tuple[MetricKind, ...]) -> Points | None:
    """The points of the metrics of some kinds, that one message holds; None when there are none.

    Raises:
        UndecodableError, TooManyElementsError: as of `open_request`.
    """
    lists = [request.metrics.field(kind.value).field("data_points") for kind in kinds]
    closed = [each.flatten() for each in lists]
    counts = [len(each) for each in closed]
    if not sum(counts):
        return None
    request.tally.add(items=sum(counts))
    fields = read(_POINT_HANDLERS[kinds[0]], closed[0] if len(closed) == 1 else pa.concat_arrays(closed))
    more = [fields.column(name) for name in ("exemplars", "quantile_values") if name in fields.schema.names]
    request.tally.add(items=sum(len(each.values) for each in more), attributes=len(fields.column("attributes").values))
    return Points(
        kinds=kinds,
        fields=fields,
        metric_of=np.concatenate([_parents(each) for each in lists]),
        kind_of=np.repeat([KINDS.index(kind) for kind in kinds], counts),
    )


def open_exemplars(closed: pa.BinaryArray) -> pa.RecordBatch:
    """The fields of exemplars."""
    return read(_exemplar, closed)


def open_quantiles(closed: pa.BinaryArray) -> pa.RecordBatch:
    """The fields of the quantiles of summaries."""
    return read(_quantile, closed)


def read(handler: Any, messages: pa.BinaryArray) -> pa.RecordBatch:
    """The fields of messages.

    Raises:
        UndecodableError: one is no such message.
    """
    try:
        return handler.array_to_record_batch(messages)
    except ValueError as error:
        raise UndecodableError(str(error)) from None


def _levels(handler: Any, requests: Sequence[bytes]) -> tuple[pa.StructArray, pa.StructArray, pa.Array]:
    """Resources, scopes and metrics of requests."""
    try:
        batch = handler.list_to_record_batch(requests)
    except ValueError as error:
        raise UndecodableError(str(error)) from None
    per_resource = batch.column("resource_metrics").flatten()
    per_scope = per_resource.field("scope_metrics").flatten()
    return per_resource, per_scope, per_scope.field("metrics").flatten()


def _parents(lists: pa.ListArray) -> Places:
    found: Places = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
    return found
