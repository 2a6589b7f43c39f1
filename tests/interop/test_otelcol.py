"""What is sent to a real OpenTelemetry Collector on `otel-config.yaml`, or scraped by it, stands in Andon's store."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from tests.interop.gateway import Gateway
from tests.servers import ServeProcess, query_directory, wait_until

EXPOSITION = Path(__file__).with_name("data") / "vllm_0.32.0_metrics.prom"
TRANSPORTS = ("grpc", "http")
CALLS, RECORDS = 100, 50


class Engine:
    """A vLLM's /metrics as it was recorded, on loopback; `pages` is how often it was read."""

    def __init__(self) -> None:
        self.pages = 0
        engine = self

        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.end_headers()
                self.wfile.write(EXPOSITION.read_bytes())
                engine.pages += 1

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Engine:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the port; once is enough."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def send_with_the_sdk(gateway: Gateway, transport: str) -> None:
    """`CALLS` spans, a counter that counts them, and `RECORDS` log records, by OpenTelemetry's own exporters."""
    if transport == "grpc":
        to = gateway.grpc_url
        span_exporter, metric_exporter, log_exporter = GrpcSpans(to), GrpcMetrics(to), GrpcLogs(to)
    else:
        to = gateway.http_url
        span_exporter, metric_exporter = HttpSpans(f"{to}/v1/traces"), HttpMetrics(f"{to}/v1/metrics")
        log_exporter = HttpLogs(f"{to}/v1/logs")
    resource = Resource.create({"service.name": f"app-{transport}"})
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    tracers.add_span_processor(BatchSpanProcessor(span_exporter))
    meters = MeterProvider([PeriodicExportingMetricReader(metric_exporter)], resource, shutdown_on_exit=False)
    loggers = LoggerProvider(resource, shutdown_on_exit=False)
    loggers.add_log_record_processor(BatchLogRecordProcessor(log_exporter))
    counter = meters.get_meter("t").create_counter("app.calls", unit="{call}")
    for n in range(CALLS):
        with tracers.get_tracer("t").start_as_current_span("call", attributes={"n": n}):
            counter.add(1, {"parity": n % 2})
    for n in range(RECORDS):
        loggers.get_logger("t").emit(body=f"record {n}", severity_text="INFO")
    for provider in (tracers, meters, loggers):
        provider.shutdown()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a stopped Andon that has what went through the Collector."""
    folder = tmp_path_factory.mktemp("gateway")
    with (
        Engine() as engine,
        ServeProcess(folder / "data") as server,
        Gateway(
            folder / "collector",
            server.otlp_url,
            GATEWAY_VLLM=f"[{engine.address}]",
            GATEWAY_SCRAPE_INTERVAL="2s",
            GATEWAY_SCRAPE_TIMEOUT="2s",
            GATEWAY_HOST_INTERVAL="2s",
        ) as gateway,
    ):
        for transport in TRANSPORTS:
            send_with_the_sdk(gateway, transport)
        # All that is read every two seconds has been read by then.
        wait_until(lambda: engine.pages >= 3, "the engine was scraped three times")
        engine.stop()
        wait_until(lambda: "Failed to scrape" in gateway.log, "the engine was missed")
        # A clean stop sends what still waits.
        assert gateway.stop() == 0
        assert server.metric("andon_collector_accepted_rows_total", table="spans") == 2 * CALLS
        assert server.stop() == 0
    return folder / "data"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_spans_of_the_sdk_arrive_once_each(stored: Path, transport: str) -> None:
    (found,) = query_directory(
        stored,
        f"SELECT count() AS rows, uniqExact(trace_id, span_id) AS spans, uniqExact(attributes['n']) AS numbers "
        f"FROM spans WHERE service = 'app-{transport}' AND name = 'call'",
    )
    assert {name: int(value) for name, value in found.items()} == {"rows": CALLS, "spans": CALLS, "numbers": CALLS}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_records_of_the_sdk_arrive_once_each(stored: Path, transport: str) -> None:
    (found,) = query_directory(
        stored, f"SELECT count() AS rows, uniqExact(body) AS bodies FROM logs WHERE service = 'app-{transport}'"
    )
    assert (int(found["rows"]), int(found["bodies"])) == (RECORDS, RECORDS)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_counter_of_the_sdk_arrives_as_it_was_counted(stored: Path, transport: str) -> None:
    rows = query_directory(
        stored,
        "SELECT attributes['parity'] AS parity, kind, temporality, monotonic, unit, int_value FROM metrics "
        f"WHERE service = 'app-{transport}' AND metric = 'app.calls' ORDER BY parity",
    )
    assert rows == [
        {
            "parity": parity,
            "kind": "sum",
            "temporality": "cumulative",
            "monotonic": True,
            "unit": "{call}",
            "int_value": CALLS // 2,
        }
        for parity in ("0", "1")
    ]


def scraped(stored: Path, columns: str, metric: str) -> list[dict[str, Any]]:
    return query_directory(
        stored,
        f"SELECT DISTINCT {columns} FROM metrics WHERE service = 'vllm' AND metric = '{metric}' "
        "AND flags = 0 ORDER BY ALL",
    )


def test_a_scraped_counter_keeps_its_name_and_is_a_cumulative_sum_without_a_start(stored: Path) -> None:
    columns = "value, int_value, unit, kind, temporality, monotonic, start_time, attributes"
    for metric, value in {"vllm:prompt_tokens_total": 7197.0, "vllm:generation_tokens_total": 2624.0}.items():
        assert scraped(stored, columns, metric) == [
            {
                "value": value,
                "int_value": None,
                "unit": "",
                "kind": "sum",
                "temporality": "cumulative",
                "monotonic": True,
                "start_time": None,
                "attributes": {"engine": "0", "model_name": "tiny"},
            }
        ]


def test_a_counter_with_labels_is_one_series_for_each(stored: Path) -> None:
    columns = "attributes['finished_reason'] AS reason, value"
    assert {row["reason"]: row["value"] for row in scraped(stored, columns, "vllm:request_success_total")} == {
        "stop": 0.0,
        "length": 42.0,
        "abort": 0.0,
        "error": 0.0,
        "repetition": 0.0,
    }


def test_a_scraped_histogram_loses_no_bucket_and_its_counts_are_no_longer_cumulated(stored: Path) -> None:
    (row,) = scraped(
        stored, "unit, kind, temporality, count, bucket_bounds, bucket_counts", "vllm:iteration_tokens_total"
    )
    # The page has 569 up to 1, 820 up to 8, 16 and 32, 832 up to 64, 834, 835, 839 up to 128, 256 and 512.
    assert row["bucket_bounds"][:8] == [1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]
    assert [int(count) for count in row["bucket_counts"][:8]] == [569, 251, 0, 0, 12, 2, 1, 4]
    assert (row["unit"], row["kind"], row["temporality"], int(row["count"])) == ("", "histogram", "cumulative", 839)


def test_the_job_is_the_service_and_the_target_the_instance(stored: Path) -> None:
    (row,) = scraped(stored, "resource", "up")
    assert set(row["resource"]) == {"service.instance.id", "server.port", "url.scheme"}
    assert row["resource"]["service.instance.id"] == f"127.0.0.1:{row['resource']['server.port']}"


def test_an_engine_that_is_gone_is_down_and_its_series_end_in_a_gap(stored: Path) -> None:
    assert [row["value"] for row in scraped(stored, "value", "up")] == [0.0, 1.0]
    gaps = query_directory(
        stored,
        "SELECT DISTINCT flags, value FROM metrics WHERE metric = 'vllm:generation_tokens_total' AND flags != 0",
    )
    assert gaps == [{"flags": 1, "value": None}]


def test_the_host_is_measured_under_its_name(stored: Path) -> None:
    rows = query_directory(
        stored,
        "SELECT DISTINCT metric, unit FROM metrics WHERE resource['host.name'] != '' AND start_time IS NOT NULL",
    )
    units = {row["metric"]: row["unit"] for row in rows}
    assert {
        "system.cpu.time": "s",
        "system.memory.usage": "By",
        "system.disk.io": "By",
        "system.network.io": "By",
        "system.filesystem.usage": "By",
    }.items() <= units.items()


def test_the_collector_tells_of_its_own_queue(stored: Path) -> None:
    rows = query_directory(
        stored,
        "SELECT DISTINCT attributes['data_type'] AS signal FROM metrics "
        "WHERE service = 'otelcol-andon' AND metric = 'otelcol_exporter_queue_size' ORDER BY signal",
    )
    assert [row["signal"] for row in rows] == ["logs", "metrics", "traces"]
