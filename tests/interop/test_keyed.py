"""Senders that are given a key in the way that each of them has: the standard variable, or an argument."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.collector.test_auth import new_key
from tests.servers import ServeProcess, query_directory

OPENTELEMETRY = """
import sys
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

if sys.argv[1] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

resource = Resource.create({"service.name": sys.argv[2]})
tracers = TracerProvider(resource=resource)
tracers.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
tracers.get_tracer("t").start_span("work").end()
meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(), 3_600_000)], resource)
meters.get_meter("m").create_counter("calls").add(5)
meters.shutdown()
loggers = LoggerProvider(resource)
loggers.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter()))
loggers.get_logger("l").emit(body="said")
loggers.shutdown()
tracers.shutdown()
"""

ANDON = """
import sys
import andon

name, endpoint = sys.argv[2:4]
andon.init(name, endpoint or None, headers={"x-andon-key": sys.argv[4]} if sys.argv[4:] else None)

@andon.pipeline("p")
def work():
    andon.record_tokens(input=3, output=2, model="own")

work()
andon.observe(model="own", score=0.5)
andon.shutdown(30)
"""


def run(program: str, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=os.environ | environ, check=False)


def test_every_sender_sends_with_its_key_and_none_without(tmp_path: Path) -> None:
    data, config = tmp_path / "data", tmp_path / "andon.toml"
    config.write_text("[collector]\nrequire_key = true\n")
    names = ("otel-http", "otel-grpc", "andon-variable", "andon-argument")
    keys = {name: new_key(data, name, project=name) for name in names}
    with ServeProcess(data, config) as server:

        def variables(name: str, url: str) -> dict[str, str]:
            # The standard has values percent-encoded.
            said = f"authorization=Bearer%20{keys[name]}"
            return {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_HEADERS": said}

        for done in (
            run(OPENTELEMETRY, "http", "otel-http", **variables("otel-http", server.otlp_url)),
            run(OPENTELEMETRY, "grpc", "otel-grpc", **variables("otel-grpc", server.otlp_grpc_url)),
            run(ANDON, "", "andon-variable", "", **variables("andon-variable", server.otlp_url)),
            run(ANDON, "", "andon-argument", server.otlp_url, keys["andon-argument"]),
        ):
            assert (done.returncode, done.stderr) == (0, "")
        without = run(ANDON, "", "nobody", server.otlp_url)
        assert without.returncode == 0
        assert "401" in without.stderr
        assert server.stop() == 0
    found = query_directory(data, "SELECT project, service FROM spans GROUP BY ALL ORDER BY ALL")
    assert [(row["project"], row["service"]) for row in found] == [(name, name) for name in sorted(names)]
    found = query_directory(data, "SELECT project, int_value FROM metrics WHERE metric = 'calls' ORDER BY ALL")
    assert [(row["project"], row["int_value"]) for row in found] == [("otel-grpc", 5), ("otel-http", 5)]
    found = query_directory(data, "SELECT project FROM logs ORDER BY ALL")
    assert [row["project"] for row in found] == ["otel-grpc", "otel-http"]
    found = query_directory(data, "SELECT project, number FROM observations ORDER BY ALL")
    assert [(row["project"], row["number"]) for row in found] == [("andon-argument", 0.5), ("andon-variable", 0.5)]
