"""Generators: their protocol is kept, the span is theirs alone, and what is measured is what happened."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import andon
import pytest
from andon.place import Kind, Mark
from andon.spans import open_span
from andon.streams import HELD_STAMPS, Gauge, astream, stream
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import StatusCode

STREAM = "gen_ai.request.stream"
FIRST = "gen_ai.response.time_to_first_chunk"
RATE = "andon.stream.tokens_per_second"


class Ticks:
    """A clock that is moved by hand, in milliseconds."""

    def __init__(self) -> None:
        self.now_ms = 0

    def __call__(self) -> int:
        return self.now_ms * 1_000_000


def test_time_to_first_chunk_and_tokens_per_second_by_hand(recorded: Any) -> None:
    clock = Ticks()

    def body() -> Iterator[str]:
        clock.now_ms += 250  # the prompt is read
        yield "a"
        clock.now_ms += 100
        yield "b"
        clock.now_ms += 300
        andon.record_tokens(output=12)
        yield "c"
        clock.now_ms += 1000  # after the last item nothing counts any more

    assert "".join(stream(body(), lambda: open_span(Mark(Kind.STAGE, "generate")), clock=clock)) == "abc"
    found = recorded.attributes("generate")
    assert found[STREAM] is True
    assert found[FIRST] == 0.25
    assert found[RATE] == 12 / 0.4 == 30.0


def test_the_same_for_an_async_generator(recorded: Any) -> None:
    clock = Ticks()

    async def body() -> AsyncIterator[str]:
        clock.now_ms += 40
        yield "a"
        clock.now_ms += 500
        andon.record_tokens(output=5)
        yield "b"

    async def consume() -> list[str]:
        return [item async for item in astream(body(), lambda: open_span(Mark(Kind.STAGE, "generate")), clock=clock)]

    assert asyncio.run(consume()) == ["a", "b"]
    assert recorded.attributes("generate")[FIRST] == 0.04
    assert recorded.attributes("generate")[RATE] == 10.0


@pytest.mark.parametrize(
    ("gauge", "output", "expected"),
    [
        (Gauge(0, None, None, 0), 5, {STREAM: True}),
        (Gauge(0, 10**9, 10**9, 1), 5, {STREAM: True, FIRST: 1.0}),
        (Gauge(0, 10**9, 3 * 10**9, 2), None, {STREAM: True, FIRST: 1.0}),
        (Gauge(0, 10**9, 10**9, 2), 5, {STREAM: True, FIRST: 1.0}),
        (Gauge(10**9, 2 * 10**9, 4 * 10**9, 2), 5, {STREAM: True, FIRST: 1.0, RATE: 2.5}),
        (Gauge(10**9, 2 * 10**9, 4 * 10**9, 2), 0, {STREAM: True, FIRST: 1.0, RATE: 0.0}),
    ],
    ids=["no item", "one item", "tokens unknown", "no time between items", "two items", "no tokens"],
)
def test_what_cannot_be_known_is_absent(gauge: Gauge, output: int | None, expected: dict[str, Any]) -> None:
    assert gauge.measured(output) == expected


def test_the_span_of_a_stream_lasts_from_the_first_step_to_the_last(recorded: Any) -> None:
    measured: list[int] = []

    @andon.stage("generate")
    def generate() -> Iterator[int]:
        started = time.time_ns()
        for n in range(4):
            time.sleep(0.005)
            yield n
        measured.append(time.time_ns() - started)

    created = generate()
    before_first_step = time.time_ns()
    assert list(created) == [0, 1, 2, 3]
    span = recorded.span("generate")
    assert span.start_time >= before_first_step
    assert span.end_time - span.start_time >= measured[0] >= 15_000_000
    assert 0.004 <= span.attributes[FIRST] <= (span.end_time - span.start_time) / 1e9


def test_an_async_stream_lasts_as_long_as_its_body(recorded: Any) -> None:
    measured: list[int] = []

    @andon.stage("generate")
    async def generate() -> AsyncIterator[int]:
        started = time.time_ns()
        for n in range(4):
            await asyncio.sleep(0.005)
            yield n
        measured.append(time.time_ns() - started)

    async def consume() -> list[int]:
        return [n async for n in generate()]

    assert asyncio.run(consume()) == [0, 1, 2, 3]
    span = recorded.span("generate")
    assert span.end_time - span.start_time >= measured[0] >= 15_000_000


def test_the_span_is_current_in_the_body_and_never_in_the_consumer(recorded: Any) -> None:
    seen: list[int] = []

    @andon.stage
    def inner() -> None: ...

    @andon.stage("outer")
    def outer() -> Iterator[int]:
        for n in range(3):
            seen.append(trace.get_current_span().get_span_context().span_id)
            inner()
            yield n

    for _ in outer():
        assert trace.get_current_span() is trace.INVALID_SPAN
    span = recorded.span("outer")
    assert set(seen) == {span.context.span_id}
    assert {child.parent.span_id for child in recorded.spans if child.name == "inner"} == {span.context.span_id}


def test_two_streams_consumed_in_turns_keep_apart(recorded: Any) -> None:
    @andon.stage
    def count(name: str, n: int) -> Iterator[str]:
        for _ in range(n):
            andon.record_tokens(output=1, model=name)
            yield name

    assert list(zip(count("a", 3), count("b", 2), strict=False)) == [("a", "b")] * 2
    gc.collect()
    tokens = {s.attributes["gen_ai.request.model"]: s.attributes["gen_ai.usage.output_tokens"] for s in recorded.spans}
    assert tokens == {"a": 3, "b": 2}


def test_what_the_body_makes_current_is_there_again_after_a_yield(recorded: Any) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("host")

    @andon.stage
    def body() -> Iterator[bool]:
        with tracer.start_as_current_span("host's own") as own:
            yield trace.get_current_span() is own
            yield trace.get_current_span() is own

    assert list(body()) == [True, True]
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_stream_belongs_to_the_run_that_asked_for_it_even_when_consumed_later(recorded: Any) -> None:
    @andon.stage("generate")
    def generate() -> Iterator[int]:
        yield 1

    handed_over: list[Iterator[int]] = []

    @andon.pipeline("handler")
    def handler() -> None:
        handed_over.append(generate())  # as a web framework streams after the handler has returned

    handler()
    assert [list(items) for items in handed_over] == [[1]]
    pipeline, generated = recorded.spans
    assert generated.attributes["andon.pipeline"] == "handler"
    assert generated.attributes["andon.run.id"] == pipeline.attributes["andon.run.id"]
    assert generated.parent.span_id == pipeline.context.span_id


def test_a_function_that_returns_a_generator_is_open_until_that_is_through(recorded: Any) -> None:
    @andon.pipeline("handler")
    def handler() -> Iterator[int]:
        return (trace.get_current_span().get_span_context().span_id for _ in range(2))

    items = handler()
    assert recorded.spans == []
    ids = list(items)
    span = recorded.span("handler")
    assert ids == [span.context.span_id] * 2
    assert span.attributes[STREAM] is True


def test_a_returned_generator_that_nobody_starts_still_ends_its_span(recorded: Any) -> None:
    @andon.pipeline("handler")
    def handler() -> Iterator[int]:
        return iter_nothing()

    def iter_nothing() -> Iterator[int]:
        yield 1

    handler()
    gc.collect()
    assert recorded.span("handler").status.status_code is StatusCode.UNSET


def test_a_generator_that_is_never_started_makes_no_span(recorded: Any) -> None:
    @andon.stage
    def items() -> Iterator[int]:
        yield 1

    items().close()  # type: ignore[attr-defined]
    items()
    gc.collect()
    assert recorded.spans == []


def test_closing_early_ends_the_span_without_an_error_and_runs_the_bodys_cleanup(recorded: Any) -> None:
    cleaned: list[str] = []

    @andon.stage
    def cleanup() -> None: ...

    @andon.stage("items")
    def items() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            cleanup()
            cleaned.append("yes")

    running = items()
    assert next(running) == 1
    running.close()  # type: ignore[attr-defined]
    assert cleaned == ["yes"]
    span = recorded.span("items")
    assert span.status.status_code is StatusCode.UNSET
    assert "error.type" not in span.attributes
    assert recorded.span("cleanup").parent.span_id == span.context.span_id


def test_closing_an_async_stream_early_ends_the_span_without_an_error(recorded: Any) -> None:
    cleaned: list[str] = []

    @andon.stage("items")
    async def items() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            await asyncio.sleep(0)
            cleaned.append("yes")

    async def take_one() -> None:
        running = items()
        assert await anext(running) == 1
        await running.aclose()  # type: ignore[attr-defined]

    asyncio.run(take_one())
    assert cleaned == ["yes"]
    assert recorded.span("items").status.status_code is StatusCode.UNSET


def test_an_error_in_the_body_passes_unchanged_and_is_recorded(recorded: Any) -> None:
    raised = RuntimeError("out of memory")

    @andon.stage("items")
    def items() -> Iterator[int]:
        yield 1
        raise raised

    with pytest.raises(RuntimeError) as caught:
        list(items())
    assert caught.value is raised
    assert recorded.attributes("items")["error.type"] == "RuntimeError"
    assert recorded.span("items").status.status_code is StatusCode.ERROR


def test_of_an_endless_stream_the_first_arrivals_and_the_latest_are_kept(recorded: Any) -> None:
    clock = Ticks()
    items = 3 * HELD_STAMPS

    def body() -> Iterator[int]:
        for number in range(items):
            clock.now_ms += 10
            yield number
        andon.record_tokens(output=items)

    assert sum(1 for _ in stream(body(), lambda: open_span(Mark(Kind.STAGE, "generate")), clock=clock)) == items
    found = recorded.attributes("generate")
    assert found[FIRST] == 0.01
    assert found[RATE] == pytest.approx(items / (0.01 * (items - 1)))
    (gaps,) = recorded.sums.histograms["gen_ai.client.operation.time_per_output_chunk"].values()
    assert sum(gaps.counts) == HELD_STAMPS - 1
