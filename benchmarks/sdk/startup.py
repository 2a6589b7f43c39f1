"""What importing and initialising costs, each time in a fresh interpreter."""

from __future__ import annotations

import statistics
import subprocess
import sys

OTEL_IMPORT = """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
"""
OTEL_SETUP = OTEL_IMPORT + "TracerProvider().add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))"
ANDON_SETUP = "import andon; andon.init('benchmark')"

PROGRAMS = {
    "OpenTelemetry SDK and OTLP/HTTP exporter, imported": OTEL_IMPORT,
    "the same, imported and set up": OTEL_SETUP,
    "import andon and andon.init()": ANDON_SETUP,
}


def measure(rounds: int) -> dict[str, float]:
    """Return the median milliseconds of each program, in turns."""
    samples: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, program in PROGRAMS.items():
            samples[name].append(_milliseconds(program))
    return {name: statistics.median(values) for name, values in samples.items()}


def _milliseconds(program: str) -> float:
    timed = f"import time; t = time.perf_counter()\n{program}\nprint((time.perf_counter() - t) * 1e3)"
    done = subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True)
    return float(done.stdout)
