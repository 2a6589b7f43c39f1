"""What a request says once and every row repeats is bounded: few megabytes must not become gigabytes of rows."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.testclient import TestClient

from collector import envelope
from collector.census import TooManyElementsError
from collector.exports import EXPORTS, Export
from collector.intake import Intake
from tests.collector.strategies import NOW

MEBIBYTE = 2**20
ITEMS = 513  # of a mebibyte each: more than the 512 MiB that may be repeated
every_signal = pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.path)


def requests(export: Export, items: int) -> tuple[Any, Any, Any]:
    """A request with as many items, its resource and its scope."""
    if export.request is ExportTraceServiceRequest:
        spans = ExportTraceServiceRequest()
        resource = spans.resource_spans.add()
        scope = resource.scope_spans.add()
        for number in range(1, items + 1):
            ids = {"trace_id": b"t" * 16, "span_id": number.to_bytes(8, "big")}
            scope.spans.add(name="call", start_time_unix_nano=NOW, end_time_unix_nano=NOW, **ids)
        return spans, resource.resource, scope.scope
    if export.request is ExportLogsServiceRequest:
        logs = ExportLogsServiceRequest()
        sent = logs.resource_logs.add()
        records = sent.scope_logs.add()
        for number in range(items):
            records.log_records.add(time_unix_nano=NOW + number)
        return logs, sent.resource, records.scope
    metrics = ExportMetricsServiceRequest()
    origin = metrics.resource_metrics.add()
    of_scope = origin.scope_metrics.add()
    metric = of_scope.metrics.add(name="calls")
    for number in range(items):
        metric.gauge.data_points.add(as_int=number, time_unix_nano=NOW)
    return metrics, origin.resource, of_scope.scope


@every_signal
def test_a_large_resource_of_many_items_is_refused(export: Export) -> None:
    request, resource, _ = requests(export, ITEMS)
    resource.attributes.add(key="k").value.string_value = "x" * MEBIBYTE
    with pytest.raises(TooManyElementsError, match="names, scopes and resources, repeated for every item, take 5379"):
        export.decode(request.SerializeToString(), NOW)


@every_signal
def test_a_large_scope_of_many_items_is_refused(export: Export) -> None:
    request, _, scope = requests(export, ITEMS)
    scope.name = "x" * MEBIBYTE
    with pytest.raises(TooManyElementsError, match="at most 536870912 are taken in one request"):
        export.decode(request.SerializeToString(), NOW)


def test_a_long_name_of_a_metric_with_many_points_is_refused() -> None:
    request, _, _ = requests(EXPORTS[1], ITEMS)
    request.resource_metrics[0].scope_metrics[0].metrics[0].name = "x" * MEBIBYTE
    with pytest.raises(TooManyElementsError, match="repeated for every item"):
        EXPORTS[1].decode(request.SerializeToString(), NOW)


@every_signal
def test_a_large_resource_beside_many_items_that_are_not_its_own_is_taken(export: Export) -> None:
    request, _, _ = requests(export, ITEMS)
    (resources,) = request.ListFields()[0][1:]
    other = resources.add()
    other.CopyFrom(requests(export, 1)[0].ListFields()[0][1][0])
    other.resource.attributes.add(key="k").value.string_value = "x" * MEBIBYTE
    decoded = export.decode(request.SerializeToString(), NOW)
    assert (decoded.items, decoded.rejected) == (ITEMS + 1, 0)


@every_signal
def test_it_is_answered_with_413_and_counted(
    client: TestClient, intake: Intake, monkeypatch: pytest.MonkeyPatch, export: Export
) -> None:
    monkeypatch.setattr(envelope, "MOST_REPEATED_BYTES", 1000)
    request, resource, _ = requests(export, 2)
    resource.attributes.add(key="k").value.string_value = "x" * 600
    headers = {"content-type": "application/x-protobuf"}
    answer = client.post(export.path, content=request.SerializeToString(), headers=headers)
    assert answer.status_code == 413
    assert intake.health()["refused_requests"] == {"too_many_elements": 1}
