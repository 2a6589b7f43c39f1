"""OpenTelemetry's own exporters, over both transports, deliver every signal."""

from __future__ import annotations

from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.servers import ServeProcess, query_directory


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_the_exporters_of_opentelemetry_deliver_spans_points_and_records(tmp_path: Path, transport: str) -> None:
    with ServeProcess(tmp_path / "data") as server:
        if transport == "grpc":
            endpoint = server.otlp_grpc_url
            spans, points, logs = GrpcSpans(endpoint), GrpcMetrics(endpoint), GrpcLogs(endpoint)
        else:
            spans = HttpSpans(f"{server.otlp_url}/v1/traces")
            points = HttpMetrics(f"{server.otlp_url}/v1/metrics")
            logs = HttpLogs(f"{server.otlp_url}/v1/logs")
        resource = Resource.create({"service.name": "bot"})
        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(spans))
        with (
            tracers.get_tracer("t").start_as_current_span("outer"),
            tracers.get_tracer("t").start_as_current_span("in"),
        ):
            pass
        reader = PeriodicExportingMetricReader(points, export_interval_millis=3_600_000)
        meters = MeterProvider([reader], resource, shutdown_on_exit=False)
        meters.get_meter("m").create_counter("calls").add(5)
        meters.shutdown()
        records = LoggerProvider(resource, shutdown_on_exit=False)
        records.add_log_record_processor(SimpleLogRecordProcessor(logs))
        records.get_logger("l").emit(body="said", severity_text="INFO")
        records.shutdown()
        tracers.shutdown()
        assert server.stop() == 0
    data = tmp_path / "data"
    assert query_directory(data, "SELECT name, service FROM spans ORDER BY name") == [
        {"name": "in", "service": "bot"},
        {"name": "outer", "service": "bot"},
    ]
    (point,) = query_directory(data, "SELECT metric, int_value, service FROM metrics")
    assert point == {"metric": "calls", "int_value": 5, "service": "bot"}
    (record,) = query_directory(data, "SELECT body, severity_text, service FROM logs")
    assert record == {"body": "said", "severity_text": "INFO", "service": "bot"}
