"""Never a risk: whatever the collector or the host does, results, exit and log stay as they were."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

PROGRAM = """
import andon
andon.init(service="shop")

@andon.stage("generate")
def generate():
    for n in range(3):
        yield n
    andon.record_tokens(input=10, output=3, model="m", provider="p")

@andon.pipeline("support-rag")
def answer():
    andon.observe(model="m", features={"n": [1, 2]}, score=0.5)
    return list(generate())

assert answer() == [0, 1, 2]
"""

BUSY = """
import time
for n in range(2000):
    answer()
started = time.monotonic()
andon.shutdown(timeout_seconds=0.5)
print(time.monotonic() - started)
"""


def test_a_collector_that_is_away_changes_no_result_and_logs_one_line(run_program: Any) -> None:
    done = run_program(
        PROGRAM + BUSY.replace("2000", "700"),
        ANDON_ENDPOINT="http://127.0.0.1:9",
        OTEL_BSP_MAX_QUEUE_SIZE="50",
        OTEL_BSP_SCHEDULE_DELAY="10",
    )
    (line,) = done.stderr.splitlines()
    assert "not delivered" in line or "not sent" in line
    assert "this program is not affected" in line


def test_a_collector_that_hangs_delays_the_exit_by_no_more_than_the_deadline(collector: Any, run_program: Any) -> None:
    collector.hold.clear()
    done = run_program(PROGRAM + BUSY.replace("2000", "5"), ANDON_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="10")
    assert float(done.stdout) < 5  # the deadline is 0.5 s; the exporter alone would wait 10 s
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("status", [400, 413, 500])
def test_a_collector_that_refuses_is_told_in_one_line(collector: Any, run_program: Any, status: int) -> None:
    collector.status = status
    done = run_program(PROGRAM, ANDON_ENDPOINT=collector.url)
    (line,) = done.stderr.splitlines()
    assert "not delivered" in line
    assert str(status) in line


def test_a_collector_that_comes_back_gets_what_was_retried(collector: Any, run_program: Any) -> None:
    collector.status = 503

    def recover() -> None:
        deadline = time.monotonic() + 30
        while not collector.traces and time.monotonic() < deadline:
            time.sleep(0.01)
        collector.status = 200

    thread = threading.Thread(target=recover)
    thread.start()
    done = run_program(
        "import andon; andon.init(); andon.record_tokens(input=1); andon.shutdown(30)", ANDON_ENDPOINT=collector.url
    )
    thread.join()
    assert [span.name for span in collector.spans] == ["chat", "chat"]  # refused once, then taken
    assert collector.spans[0].span_id == collector.spans[1].span_id
    assert done.stderr == ""


OUTAGE = """
import andon, sys, threading
andon.init("shop")

@andon.stage("work")
def work(n):
    andon.record_tokens(input=1, model="m")
    return n

for n in range(600):
    assert work(n) == n
print("called", flush=True)
sys.stdin.readline()  # the outage is over
andon.shutdown(30)
"""


@pytest.mark.parametrize("fault", ["answers 503", "hangs"])
def test_an_outage_longer_than_the_exporters_retries_loses_nothing_that_fits_the_queue(
    collector: Any, fault: str
) -> None:
    if fault == "hangs":
        collector.hold.clear()
    else:
        collector.status = 503
    program = subprocess.Popen(
        [sys.executable, "-c", OUTAGE],
        env={**os.environ, "ANDON_ENDPOINT": collector.url, "NO_PROXY": "127.0.0.1", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "called\n"  # the host went on as if nothing were wrong
    deadline = time.monotonic() + 30
    while len(collector.traces) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert collector.accepted_spans == []
    collector.status = 200
    collector.hold.set()
    _, told = program.communicate("\n", timeout=60)
    assert program.returncode == 0
    assert len({span.span_id for span in collector.accepted_spans}) == 600
    (line,) = told.splitlines()
    assert "not delivered yet" in line
    assert "(0 not delivered since start" in line


def test_an_exporter_that_raises_loses_its_batch_and_nothing_else(collector: Any, run_program: Any) -> None:
    done = run_program(
        """import andon
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
original = OTLPSpanExporter.export
def export(self, spans):
    OTLPSpanExporter.export = original
    raise MemoryError("no room to encode")
OTLPSpanExporter.export = export
andon.init()
work = andon.stage("work")(lambda n: n + 1)
assert work(1) == 2
from opentelemetry import trace
trace.get_tracer_provider().force_flush()
assert work(2) == 3""",
        ANDON_ENDPOINT=collector.url,
    )
    assert len(collector.spans) == 1
    (line,) = done.stderr.splitlines()
    assert "1 spans not delivered: MemoryError: no room to encode" in line


def test_an_instrumented_http_client_makes_no_spans_of_our_export(collector: Any, run_program: Any) -> None:
    run_program(
        """import andon, requests
from opentelemetry import context, trace
original = requests.Session.request
def instrumented(self, *args, **kwargs):
    if not context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY):
        with trace.get_tracer("http").start_as_current_span("POST"):
            return original(self, *args, **kwargs)
    return original(self, *args, **kwargs)
requests.Session.request = instrumented
andon.init(); andon.record_tokens(input=1)""",
        ANDON_ENDPOINT=collector.url,
    )
    assert [span.name for span in collector.spans] == ["chat"]


def test_an_exception_whose_text_cannot_be_had_passes_unchanged_and_ends_its_span(
    collector: Any, run_program: Any
) -> None:
    done = run_program(
        """import andon
andon.init()
class Broken(Exception):
    def __str__(self): raise TypeError("no text")
@andon.stage
def fails(): raise Broken
try: fails()
except Broken: print("passed")""",
        ANDON_ENDPOINT=collector.url,
    )
    assert done.stdout == "passed\n"
    (span,) = collector.spans
    assert span.status.code == 2  # ERROR
