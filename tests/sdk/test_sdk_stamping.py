"""Spans of other instrumentation below a decorated call carry its pipeline, stage and run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import andon
import pytest
from andon.runtime import SCOPE_NAME, State, runtime
from andon.stamping import StampingSpanProcessor
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer, set_span_in_context


class Stamped:
    """A provider that stamps, Andon recording on it, and another library's tracer."""

    def __init__(self, provider: TracerProvider) -> None:
        self._exporter = InMemorySpanExporter()
        provider.add_span_processor(StampingSpanProcessor())
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.other: Tracer = provider.get_tracer("other.library")

    def span(self, name: str) -> ReadableSpan:
        (found,) = [span for span in self._exporter.get_finished_spans() if span.name == name]
        return found

    def said(self, name: str) -> dict[str, Any]:
        return dict(self.span(name).attributes or {})


@pytest.fixture
def stamped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stamped]:
    provider = TracerProvider(shutdown_on_exit=False)
    monkeypatch.setattr(runtime, "tracer", provider.get_tracer(SCOPE_NAME))
    monkeypatch.setattr(runtime, "state", State.RUNNING)
    yield Stamped(provider)
    provider.shutdown()


def test_a_span_below_a_decorated_call_carries_its_pipeline_stage_and_run(stamped: Stamped) -> None:
    @andon.stage("generate")
    def generate() -> None:
        with stamped.other.start_as_current_span("chat", attributes={"own": 1}):
            stamped.other.start_span("POST").end()

    @andon.pipeline("support-rag")
    def reply() -> None:
        generate()

    reply()
    place = {name: value for name, value in stamped.said("generate").items() if name.startswith("andon.")}
    assert set(place) == {"andon.pipeline", "andon.stage", "andon.run.id"}
    assert stamped.said("chat") == {"own": 1, **place}
    assert stamped.said("POST") == place


def test_a_span_outside_any_decorated_call_is_left_as_it_is(stamped: Stamped) -> None:
    stamped.other.start_span("chat", attributes={"own": 1}).end()
    assert stamped.said("chat") == {"own": 1}


def test_what_a_span_says_of_itself_is_left(stamped: Stamped) -> None:
    @andon.pipeline("support-rag")
    def reply() -> None:
        stamped.other.start_span("chat", attributes={"andon.pipeline": "elsewhere", "andon.run.id": "mine"}).end()

    reply()
    assert stamped.said("chat") == {"andon.pipeline": "elsewhere", "andon.run.id": "mine"}


def test_a_span_of_a_pipeline_without_a_stage_gets_no_stage(stamped: Stamped) -> None:
    @andon.pipeline("support-rag")
    def reply() -> None:
        stamped.other.start_span("chat").end()

    reply()
    assert set(stamped.said("chat")) == {"andon.pipeline", "andon.run.id"}


def test_the_context_given_to_a_span_counts_and_not_the_running_one(stamped: Stamped) -> None:
    @andon.pipeline("support-rag")
    def reply() -> None:
        stamped.other.start_span("elsewhere", context=Context()).end()

    reply()
    assert stamped.said("elsewhere") == {}


def test_a_context_that_holds_only_the_parent_span_is_enough(stamped: Stamped) -> None:
    @andon.stage("generate")
    def generate() -> None:
        parent = stamped.other.start_span("agent")
        bare = set_span_in_context(parent, Context())
        thread = threading.Thread(target=lambda: stamped.other.start_span("chat", context=bare).end())
        thread.start()
        thread.join()
        parent.end()

    generate()
    assert stamped.said("chat") == stamped.said("agent") != {}


def test_a_remote_parent_that_cannot_be_read_is_no_fault(stamped: Stamped) -> None:
    remote = trace.SpanContext(1, 1, is_remote=True, trace_flags=trace.TraceFlags(1))
    stamped.other.start_span("chat", context=set_span_in_context(trace.NonRecordingSpan(remote), Context())).end()
    assert stamped.said("chat") == {}


def test_a_context_that_came_through_headers_is_read_by_its_baggage(stamped: Stamped) -> None:
    carried = {"traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01", "baggage": "andon.pipeline=rag,andon.run.id=7"}
    stamped.other.start_span("chat", context=propagate.extract({**carried})).end()
    assert stamped.said("chat") == {"andon.pipeline": "rag", "andon.run.id": "7"}


OTHER_SPANS = """
import andon
from opentelemetry import trace

@andon.pipeline("support-rag")
def reply():
    trace.get_tracer("other.library").start_span("chat").end()

reply()
"""


def test_on_our_own_provider_spans_arrive_stamped(run_program: Any, collector: Any, decoded: Any) -> None:
    run_program("import andon\nandon.init()\n" + OTHER_SPANS, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    said = {span.name: decoded(span) for span in collector.spans}
    assert said["chat"] == said["support-rag"] != {}


def test_a_host_s_provider_stamps_too_and_still_exports_nothing_to_us(run_program: Any, collector: Any) -> None:
    program = """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
mine = InMemorySpanExporter()
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(mine))
import andon
andon.init()
%s
chat, run = mine.get_finished_spans()
assert chat.attributes == run.attributes and set(run.attributes) == {"andon.pipeline", "andon.run.id"}
"""
    run_program(program % OTHER_SPANS, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert collector.spans == []


def test_starting_again_stamps_once(run_program: Any, collector: Any) -> None:
    program = """
import andon
from andon.stamping import StampingSpanProcessor
from opentelemetry import trace
andon.init()
andon.shutdown()
andon.init()
processors = trace.get_tracer_provider()._active_span_processor._span_processors
assert [type(one) for one in processors].count(StampingSpanProcessor) == 1
"""
    run_program(program, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
