"""Metrics requests as any sender might make them: all five kinds, every flag, absent and extreme values."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from tests.collector.strategies import TEXTS, TIMES, attributes

COUNTS = st.integers(0, 2**64 - 1) | st.integers(0, 50)
WHOLE = st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5000)
NUMBERS = st.floats(allow_subnormal=False)
MAYBE = st.none() | NUMBERS
NAMES = TEXTS.filter(bool)
TEMPORALITIES = st.integers(0, 4)


def exemplars() -> st.SearchStrategy[list[Exemplar]]:
    shared = {
        "time_unix_nano": TIMES,
        "trace_id": st.binary(max_size=17) | st.just(b"t" * 16),
        "span_id": st.binary(max_size=9),
        "filtered_attributes": attributes(),
    }
    of_number = st.builds(Exemplar, as_double=NUMBERS, **shared)
    return st.lists(of_number | st.builds(Exemplar, as_int=WHOLE, **shared) | st.builds(Exemplar, **shared), max_size=2)


def base(**more: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    return {
        "attributes": attributes(),
        "start_time_unix_nano": st.just(0) | TIMES,
        "time_unix_nano": TIMES,
        "flags": st.integers(0, 3) | st.integers(0, 2**32 - 1),
        **more,
    }


def numbers() -> st.SearchStrategy[list[NumberDataPoint]]:
    with_exemplars = base(exemplars=exemplars())
    return st.lists(
        st.builds(NumberDataPoint, as_double=NUMBERS, **with_exemplars)
        | st.builds(NumberDataPoint, as_int=WHOLE, **with_exemplars)
        | st.builds(NumberDataPoint, **with_exemplars),
        max_size=3,
    )


@st.composite
def histogram_points(draw: st.DrawFn) -> HistogramDataPoint:
    bounds = sorted(draw(st.sets(st.floats(allow_nan=False), max_size=4)))
    buckets = draw(st.sampled_from([len(bounds) + 1, 0 if not bounds else len(bounds) + 1]))
    counts = draw(st.lists(COUNTS, min_size=buckets, max_size=buckets))
    point = draw(
        st.builds(HistogramDataPoint, **base(count=COUNTS, sum=MAYBE, min=MAYBE, max=MAYBE, exemplars=exemplars()))
    )
    point.explicit_bounds.extend(bounds)
    point.bucket_counts.extend(counts)
    return point


def exponential_points() -> st.SearchStrategy[ExponentialHistogramDataPoint]:
    buckets = st.none() | st.builds(
        ExponentialHistogramDataPoint.Buckets,
        offset=st.integers(-(2**31), 2**31 - 1),
        bucket_counts=st.lists(COUNTS, max_size=4),
    )
    return st.builds(
        ExponentialHistogramDataPoint,
        **base(
            count=COUNTS,
            sum=MAYBE,
            min=MAYBE,
            max=MAYBE,
            scale=st.integers(-10, 20),
            zero_count=COUNTS,
            zero_threshold=st.floats(0, 1),
            positive=buckets,
            negative=buckets,
            exemplars=exemplars(),
        ),
    )


def summary_points() -> st.SearchStrategy[SummaryDataPoint]:
    pair = st.builds(SummaryDataPoint.ValueAtQuantile, quantile=st.floats(0, 1), value=NUMBERS)
    return st.builds(SummaryDataPoint, **base(count=COUNTS, sum=NUMBERS, quantile_values=st.lists(pair, max_size=3)))


def metrics() -> st.SearchStrategy[Metric]:
    histogram = st.builds(
        Histogram, data_points=st.lists(histogram_points(), max_size=2), aggregation_temporality=TEMPORALITIES
    )
    exponential = st.builds(
        ExponentialHistogram,
        data_points=st.lists(exponential_points(), max_size=2),
        aggregation_temporality=TEMPORALITIES,
    )
    total = st.builds(Sum, data_points=numbers(), aggregation_temporality=TEMPORALITIES, is_monotonic=st.booleans())
    named = {"name": NAMES, "unit": TEXTS, "description": TEXTS, "metadata": attributes()}
    return st.one_of(
        st.builds(Metric, gauge=st.builds(Gauge, data_points=numbers()), **named),
        st.builds(Metric, sum=total, **named),
        st.builds(Metric, histogram=histogram, **named),
        st.builds(Metric, exponential_histogram=exponential, **named),
        st.builds(Metric, summary=st.builds(Summary, data_points=st.lists(summary_points(), max_size=2)), **named),
        st.builds(Metric, **named),
    )


def metric_requests() -> st.SearchStrategy[ExportMetricsServiceRequest]:
    scopes = st.none() | st.builds(InstrumentationScope, name=TEXTS, version=TEXTS, attributes=attributes())
    scope_metrics = st.builds(ScopeMetrics, scope=scopes, metrics=st.lists(metrics(), max_size=4))
    resources = st.none() | st.builds(Resource, attributes=attributes())
    resource_metrics = st.builds(ResourceMetrics, resource=resources, scope_metrics=st.lists(scope_metrics, max_size=2))
    return st.builds(ExportMetricsServiceRequest, resource_metrics=st.lists(resource_metrics, max_size=2))
