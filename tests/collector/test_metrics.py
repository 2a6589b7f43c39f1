"""Metrics: every kind of point is read as the official classes read it, and a series has one name for ever."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from collector.columns import POINT_SCHEMA
from collector.envelope import UndecodableError
from collector.metrics import decode_metrics
from tests.collector.metric_reference import points_of
from tests.collector.metric_strategies import metric_requests
from tests.collector.strategies import NOW
from tests.metric_rows import whole


def stored(table: pa.Table) -> list[dict[str, Any]]:
    """Rows with times as integer nanoseconds, so that nothing is rounded before it is compared."""
    for name in ("time", "start_time"):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(pa.int64()))
    times = table["exemplar_times"].cast(pa.list_(pa.int64()))
    return table.set_column(table.schema.get_field_index("exemplar_times"), "exemplar_times", times).to_pylist()


def same(ours: object, theirs: object) -> bool:
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(same(a, b) for a, b in zip(ours, theirs, strict=True))
    if isinstance(ours, float) and isinstance(theirs, float):
        return ours == theirs or (math.isnan(ours) and math.isnan(theirs))
    return ours == theirs


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(metric_requests())
def test_the_decoder_agrees_with_a_plain_reading_of_the_same_bytes(request: ExportMetricsServiceRequest) -> None:
    body = request.SerializeToString()
    decoded = decode_metrics(body, NOW)
    expected = points_of(body)
    assert decoded.refused == {}
    assert decoded.rows.schema == POINT_SCHEMA
    rows = stored(whole(decoded))
    assert len(rows) == len(expected)
    for ours, theirs in zip(rows, expected, strict=True):
        assert ours.keys() == theirs.keys()
        for name in theirs:
            assert same(ours[name], theirs[name]), name


def request_of(*metrics: Metric) -> bytes:
    request = ExportMetricsServiceRequest()
    request.resource_metrics.add().scope_metrics.add().metrics.extend(metrics)
    return request.SerializeToString()


def counter(value: int = 1, **attributes: str) -> Metric:
    metric = Metric(name="gen_ai.client.token.usage", unit="{token}")
    metric.sum.aggregation_temporality = 2
    metric.sum.is_monotonic = True
    point = metric.sum.data_points.add(as_int=value, time_unix_nano=NOW, start_time_unix_nano=NOW - 10**9)
    for key, text in attributes.items():
        point.attributes.add(key=key).value.string_value = text
    return metric


def series(*metrics: Metric) -> list[int]:
    found: list[int] = decode_metrics(request_of(*metrics), NOW).rows["series"].to_pylist()
    return found


def test_a_whole_number_stays_exact_beyond_what_a_double_holds() -> None:
    row = decode_metrics(request_of(counter(2**53 + 1)), NOW).rows.to_pylist()[0]
    assert (row["int_value"], row["value"]) == (2**53 + 1, float(2**53))


def test_a_gap_is_not_zero() -> None:
    metric = Metric(name="h")
    metric.histogram.data_points.add(time_unix_nano=NOW, flags=1)
    row = decode_metrics(request_of(metric), NOW).rows.to_pylist()[0]
    assert (row["count"], row["sum"], row["flags"]) == (None, None, 1)


def test_the_order_of_attributes_does_not_change_a_series() -> None:
    assert series(counter(1, a="x", b="y")) == series(counter(7, b="y", a="x"))


def test_a_series_keeps_its_name_from_version_to_version() -> None:
    """Stored values depend on it: this number may never change."""
    assert series(counter(1, a="x", b="y")) == [3840523812565934155]


def renamed(metric: Metric) -> None:
    metric.name = "other"


def in_other_unit(metric: Metric) -> None:
    metric.unit = "1"


def with_delta(metric: Metric) -> None:
    metric.sum.aggregation_temporality = 1


def not_monotonic(metric: Metric) -> None:
    metric.sum.is_monotonic = False


def with_swapped_values(metric: Metric) -> None:
    first, second = metric.sum.data_points[0].attributes
    first.value.string_value, second.value.string_value = "y", "x"


@pytest.mark.parametrize("change", [renamed, in_other_unit, with_delta, not_monotonic, with_swapped_values])
def test_what_makes_another_series(change: Callable[[Metric], None]) -> None:
    metric = counter(1, a="x", b="y")
    change(metric)
    assert series(metric) != series(counter(1, a="x", b="y"))


def test_resource_and_scope_are_part_of_a_series() -> None:
    request = ExportMetricsServiceRequest()
    for service, scope in (("a", "s"), ("b", "s"), ("a", "t")):
        resource = request.resource_metrics.add()
        resource.resource.attributes.add(key="service.name").value.string_value = service
        resource.scope_metrics.add(metrics=[counter()]).scope.name = scope
    rows = whole(decode_metrics(request.SerializeToString(), NOW))
    assert rows["service"].to_pylist() == ["a", "b", "a"]
    assert len(set(rows["series"].to_pylist())) == 3


def test_a_metric_without_points_gives_no_rows_and_no_complaint() -> None:
    decoded = decode_metrics(request_of(Metric(name="nothing yet")), NOW)
    assert (decoded.rows.num_rows, decoded.refused) == (0, {})
    assert decode_metrics(b"", NOW).rows.num_rows == 0


def unnamed(metric: Metric) -> None:
    metric.name = ""


def without_time(metric: Metric) -> None:
    metric.sum.data_points[0].time_unix_nano = 0


def started_before_2000(metric: Metric) -> None:
    metric.sum.data_points[0].start_time_unix_nano = 1


def with_bad_buckets(metric: Metric) -> None:
    metric.histogram.data_points.add(time_unix_nano=NOW, explicit_bounds=[1, 2], bucket_counts=[1, 2])


def with_descending_bounds(metric: Metric) -> None:
    metric.histogram.data_points.add(time_unix_nano=NOW, explicit_bounds=[2, 2], bucket_counts=[1, 2, 3])


def with_unknown_bound(metric: Metric) -> None:
    metric.histogram.data_points.add(time_unix_nano=NOW, explicit_bounds=[math.nan], bucket_counts=[1, 2])


LATE = "start or time is before 2000 or more than a day ahead"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (unnamed, "the metric has no name"),
        (without_time, LATE),
        (started_before_2000, LATE),
        (with_bad_buckets, "bucket_counts is not one longer than explicit_bounds"),
        (with_descending_bounds, "explicit_bounds do not ascend"),
        (with_unknown_bound, "explicit_bounds do not ascend"),
    ],
)
def test_a_point_that_cannot_be_stored_is_refused_alone_and_counted(
    change: Callable[[Metric], None], reason: str
) -> None:
    bad = counter()
    change(bad)
    decoded = decode_metrics(request_of(counter(), bad), NOW)
    assert decoded.refused == {reason: 1}
    assert decoded.rows["metric"].to_pylist() == ["gen_ai.client.token.usage"]


@pytest.mark.parametrize("body", [b"hello world", b"\x0a\xff", bytes(range(200))])
def test_bytes_that_are_no_request_are_undecodable(body: bytes) -> None:
    with pytest.raises(UndecodableError):
        decode_metrics(body, NOW)
