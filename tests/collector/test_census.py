"""Every element of a request is counted before it is opened, and a body too small to hold too many is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.census import MOST_ATTRIBUTES, MOST_ITEMS, Census, TooManyElementsError
from collector.metrics import decode_metrics
from tests.collector.strategies import NOW

TRACES = Census(ExportTraceServiceRequest.DESCRIPTOR)
METRICS = Census(ExportMetricsServiceRequest.DESCRIPTOR)


def test_spans_events_links_and_attributes_at_every_level_are_counted() -> None:
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    resource.resource.attributes.add(key="service.name")
    scope = resource.scope_spans.add()
    scope.scope.attributes.add()
    span = scope.spans.add()
    span.attributes.add()
    span.events.add().attributes.add()
    span.links.add().attributes.add()
    # Items: resource, scope, span, event, link. Attributes: one at each level.
    assert TRACES.count([request.SerializeToString()]) == (5, 5)


def test_points_exemplars_and_quantiles_are_counted() -> None:
    request = ExportMetricsServiceRequest()
    metrics = request.resource_metrics.add().scope_metrics.add().metrics
    point = metrics.add().gauge.data_points.add()
    point.attributes.add()
    point.exemplars.add().filtered_attributes.add()
    metrics.add().summary.data_points.add().quantile_values.add()
    # Items: resource, scope, 2 metrics, 2 points, exemplar, quantile.
    assert METRICS.count([request.SerializeToString()]) == (8, 2)


def test_the_elements_of_a_list_count_as_attributes() -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    for _ in range(4):
        span.attributes.add().value.array_value.values.add()
    span.attributes[0].value.kvlist_value.values.add()
    span.attributes[1].value.array_value.values.add()
    # A list value replaced by a kvlist keeps one element; the others hold 2, 1 and 1.
    assert TRACES.count([request.SerializeToString()]) == (3, 4 + 1 + 2 + 1 + 1)


def test_too_many_attributes_are_refused() -> None:
    span = b"\x4a\x00" * (MOST_ATTRIBUTES + 1)  # field 9, empty, again and again
    body = message(1, message(2, message(2, span)))
    with pytest.raises(TooManyElementsError, match=f"holds {MOST_ATTRIBUTES + 1} attributes, at most"):
        TRACES.check([body])


def message(field: int, payload: bytes) -> bytes:
    """A field that holds a message, on the wire."""
    length, head = len(payload), bytearray([field << 3 | 2])
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    return bytes([*head, length]) + payload


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (lambda: message(1, b"") * (MOST_ITEMS + 1), f"{MOST_ITEMS + 1} items"),
        (lambda: metric(b"\x0a\x00" * MOST_ITEMS), f"{MOST_ITEMS + 3} items"),
        (lambda: metric(message(1, b"\x2a\x00" * MOST_ITEMS)), f"{MOST_ITEMS + 4} items"),
        (lambda: metric(message(1, b"\x3a\x00" * (MOST_ATTRIBUTES + 1))), f"{MOST_ATTRIBUTES + 1} attributes"),
        (lambda: metric(message(1, message(7, listed(MOST_ATTRIBUTES + 1)))), f"{MOST_ATTRIBUTES + 1} attributes"),
        (lambda: message(1, message(1, b"\x0a\x00" * (MOST_ATTRIBUTES + 1)) + point()), "attributes"),
    ],
    ids=["resources", "points", "exemplars", "attributes", "elements of an attribute", "attributes of a resource"],
)
def test_a_metrics_request_is_counted_level_by_level(body: Callable[[], bytes], found: str) -> None:
    with pytest.raises(TooManyElementsError, match=f"{found}, at most"):
        decode_metrics(body(), NOW)


def metric(gauge: bytes) -> bytes:
    """A request with one metric, whose gauge is given."""
    return message(1, message(2, message(2, message(5, gauge))))


def point() -> bytes:
    """A scope with one metric that has one point."""
    return message(2, message(2, message(5, message(1, b""))))


def listed(elements: int) -> bytes:
    """A pair whose value is a list of as many empty elements."""
    return message(2, message(5, b"\x0a\x00" * elements))


def test_a_body_too_small_to_hold_too_many_is_not_read() -> None:
    TRACES.check([b"\xff" * 2 * MOST_ITEMS])
    with pytest.raises(ValueError, match="varint"):
        TRACES.check([b"\xff" * (2 * MOST_ITEMS + 2)])
