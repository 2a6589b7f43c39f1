"""The same call three ways: bare, inside a plain OpenTelemetry span, and decorated by Andon.

Both instrumented ways write the same attributes and queue their spans for a background thread; the exporters at the far
end deliver nowhere, at no cost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from time import perf_counter_ns
from typing import Any

import andon
from andon import attributes
from andon.exporters import OutboxSpanProcessor
from andon.ids import OwnIdGenerator, new_run_id
from andon.notices import losses
from andon.outbox import Outbox
from andon.settings import SPAN_QUEUE
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

ITEMS = 100


class Way(Enum):
    """How the call is instrumented."""

    BARE = "bare call"
    PLAIN = "plain OpenTelemetry"
    ANDON = "andon"


@dataclass(frozen=True)
class Subject:
    """One way to make one shape of call; exactly one of the two functions is there."""

    shape: str
    way: Way
    call: Callable[[], object] | None = None
    acall: Callable[[], Awaitable[object]] | None = None


class _NowhereExporter(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class _NowhereSender:
    def send(self, items: list[ReadableSpan], /) -> str | None:
        return None

    def close(self) -> None:
        return


USAGE: Mapping[str, str | int] = {
    attributes.OPERATION: "chat",
    attributes.PROVIDER: "vllm",
    attributes.REQUEST_MODEL: "small-1",
    attributes.INPUT_TOKENS: 812,
    attributes.OUTPUT_TOKENS: 96,
}


def subjects() -> list[Subject]:
    """Set both SDKs up and return everything that is timed."""
    plain_provider = TracerProvider()
    plain_provider.add_span_processor(BatchSpanProcessor(_NowhereExporter()))
    tracer = plain_provider.get_tracer("benchmark")

    ours = TracerProvider(id_generator=OwnIdGenerator())
    ours.add_span_processor(OutboxSpanProcessor(Outbox("spans", SPAN_QUEUE, _NowhereSender, losses)))
    trace.set_tracer_provider(ours)
    andon.init("benchmark")
    return [*_bare(), *_plain(tracer), *_andon()]


def _bare() -> list[Subject]:
    def call() -> int:
        return 1

    async def acall() -> int:
        return 1

    def items() -> Iterator[int]:
        yield from range(ITEMS)

    return _shapes(Way.BARE, call, acall, items)


def _plain(tracer: trace.Tracer) -> list[Subject]:
    def place() -> dict[str, str]:
        return {attributes.PIPELINE: "bench", attributes.STAGE: "generate", attributes.RUN_ID: run_id}

    run_id = new_run_id()

    def call() -> int:
        with tracer.start_as_current_span("generate", attributes=place()) as span:
            span.set_attributes(USAGE)
            return 1

    async def acall() -> int:
        with tracer.start_as_current_span("generate", attributes=place()) as span:
            span.set_attributes(USAGE)
            return 1

    def items() -> Iterator[int]:
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
                    attributes.STREAM: True,
                    attributes.TIME_TO_FIRST_CHUNK_SECONDS: (first - started) / 1e9,
                    attributes.STREAM_TOKENS_PER_SECOND: 96 / seconds,
                }
            )

    return _shapes(Way.PLAIN, call, acall, items)


def _andon() -> list[Subject]:
    def record() -> None:
        andon.record_tokens(input=812, output=96, model="small-1", provider="vllm")

    @andon.stage("generate")
    def call() -> int:
        record()
        return 1

    @andon.stage("generate")
    async def acall() -> int:
        record()
        return 1

    @andon.stage("generate")
    def items() -> Iterator[int]:
        yield from range(ITEMS)
        record()

    return _shapes(Way.ANDON, call, acall, items)


def _shapes(
    way: Way, call: Callable[[], object], acall: Callable[[], Awaitable[object]], items: Callable[[], Iterator[Any]]
) -> list[Subject]:
    def drain() -> None:
        for _ in items():
            pass

    return [
        Subject("sync", way, call=call),
        Subject("async", way, acall=acall),
        Subject(f"stream of {ITEMS}", way, call=drain),
    ]
