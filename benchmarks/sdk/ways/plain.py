"""The call inside a plain OpenTelemetry span with the attributes that Andon writes, set up as its guide says.

Queued by `BatchSpanProcessor`, sent by the OTLP/HTTP exporter. The same measurements of a stream are taken by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.sdk.subjects import Subject


def load() -> None:
    """Import what a program with tracing imports, and set nothing up."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: F401
    from opentelemetry.sdk.trace import TracerProvider  # noqa: F401
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: F401


def start() -> None:
    """Import and set up."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def subject() -> Subject:
    """Return the calls, each written inside `start_as_current_span`."""
    import asyncio
    import time
    import uuid
    from collections.abc import AsyncIterator, Iterator
    from time import perf_counter_ns

    from opentelemetry import trace

    from benchmarks.sdk.subjects import ITEMS, JOB_SECONDS, OUTPUT_TOKENS, SLOW_ITEMS, USAGE, Subject

    tracer = trace.get_tracer("benchmark")
    run_id = uuid.uuid4().hex

    def place() -> dict[str, str]:
        return {"andon.stage": "generate", "andon.run.id": run_id}

    def call() -> int:
        with tracer.start_as_current_span("generate", attributes=place()) as span:
            span.set_attributes(USAGE)
            return 1

    async def acall() -> int:
        with tracer.start_as_current_span("generate", attributes=place()) as span:
            span.set_attributes(USAGE)
            return 1

    def stream() -> Iterator[int]:
        with tracer.start_as_current_span("generate", attributes=place()) as span:
            started = perf_counter_ns()
            first = 0
            for item in range(ITEMS):
                first = first or perf_counter_ns()
                yield item
            seconds = (perf_counter_ns() - first) / 1e9
            span.set_attributes(USAGE)
            span.set_attributes(
                {
                    "gen_ai.request.stream": True,
                    "gen_ai.response.time_to_first_chunk": (first - started) / 1e9,
                    "andon.stream.tokens_per_second": OUTPUT_TOKENS / seconds,
                }
            )

    async def slow_acall() -> None:
        with tracer.start_as_current_span("generate", attributes=place()):
            await asyncio.sleep(JOB_SECONDS)

    def slow_stream() -> Iterator[int]:
        with tracer.start_as_current_span("generate", attributes=place()):
            for item in range(SLOW_ITEMS):
                time.sleep(JOB_SECONDS / SLOW_ITEMS)
                yield item

    async def slow_astream() -> AsyncIterator[int]:
        with tracer.start_as_current_span("generate", attributes=place()):
            for item in range(SLOW_ITEMS):
                await asyncio.sleep(JOB_SECONDS / SLOW_ITEMS)
                yield item

    return Subject(call, acall, stream, slow_acall, slow_stream, slow_astream)
