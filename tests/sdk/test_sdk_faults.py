"""Never a risk: whatever the collector or the host does, results, exit and log stay as they were."""

from __future__ import annotations

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
