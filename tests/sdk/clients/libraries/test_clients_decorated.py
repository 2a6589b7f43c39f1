"""What holds for every client under the decorators: counted once, errors are the client's own, a cut is no number."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import andon
import pytest
from opentelemetry.trace import StatusCode

from .asked import ASYNC_STREAMS, ASYNC_WHOLE, STREAMS, WHOLE, Asked, opened
from .provider import Provider

pytestmark = pytest.mark.usefixtures("provider")


def each(asked: dict[str, Asked]) -> Any:
    return pytest.mark.parametrize("asked", asked.values(), ids=asked.keys())


def tokens(span: Any) -> tuple[Any, Any]:
    said = span.attributes
    return said.get("gen_ai.usage.input_tokens"), said.get("gen_ai.usage.output_tokens")


def counted(recorded: Any, name: str = "ask") -> tuple[Any, Any]:
    """Tokens of the stage, where no other span has any."""
    assert [span.name for span in recorded.spans if tokens(span) != (None, None)] in ([name], [])
    return tokens(recorded.span(name))


def assert_streamed(recorded: Any, name: str = "ask") -> None:
    said = recorded.attributes(name)
    assert said["gen_ai.request.stream"] is True
    assert said["gen_ai.response.time_to_first_chunk"] > 0


@each(WHOLE)
def test_an_answer_returned_through_a_stage_and_its_pipeline_is_counted_once(recorded: Any, asked: Asked) -> None:
    andon.pipeline("rag")(andon.stage("ask")(asked.call))()
    assert counted(recorded) == asked.tokens
    assert len(recorded.spans) == 2


@each(ASYNC_WHOLE)
def test_an_awaited_answer_is_counted_once(recorded: Any, asked: Asked) -> None:
    @andon.stage("ask")
    async def ask() -> Any:
        return await asked.call()

    @andon.pipeline("rag")
    async def rag() -> Any:
        return await ask()

    asyncio.run(rag())
    assert counted(recorded) == asked.tokens
    assert len(recorded.spans) == 2


@each(STREAMS)
def test_a_returned_stream_is_counted_once_when_it_is_through(recorded: Any, asked: Asked) -> None:
    plain = [type(item) for item in asked.call()]
    assert [type(item) for item in andon.pipeline("rag")(andon.stage("ask")(asked.call))()] == plain
    gc.collect()
    assert counted(recorded) == asked.tokens
    assert_streamed(recorded)
    assert len(recorded.spans) == 2


@each(STREAMS)
def test_a_yielded_stream_is_counted_once(recorded: Any, asked: Asked) -> None:
    @andon.stage("ask")
    def ask() -> Iterator[Any]:
        yield from asked.call()

    @andon.pipeline("rag")
    def rag() -> Iterator[Any]:
        yield from ask()

    assert len(list(rag())) > 1
    assert counted(recorded) == asked.tokens
    assert_streamed(recorded)


@each(ASYNC_STREAMS)
def test_a_returned_asynchronous_stream_is_counted_once_when_it_is_through(recorded: Any, asked: Asked) -> None:
    @andon.stage("ask")
    async def ask() -> Any:
        return await opened(asked.call())

    @andon.pipeline("rag")
    async def rag() -> Any:
        return await ask()

    async def run() -> list[Any]:
        return [item async for item in await rag()]

    assert len(asyncio.run(run())) > 1
    gc.collect()
    assert counted(recorded) == asked.tokens
    assert_streamed(recorded)


@each(ASYNC_STREAMS)
def test_an_asynchronous_generator_that_yields_the_chunks_is_counted_once(recorded: Any, asked: Asked) -> None:
    @andon.stage("ask")
    async def ask() -> AsyncIterator[Any]:
        async for item in await opened(asked.call()):
            yield item

    @andon.pipeline("rag")
    async def rag() -> AsyncIterator[Any]:
        async for item in ask():
            yield item

    async def run() -> list[Any]:
        return [item async for item in rag()]

    assert len(asyncio.run(run())) > 1
    assert counted(recorded) == asked.tokens
    assert_streamed(recorded)


def failure(stream: Any) -> BaseException:
    with pytest.raises(Exception) as raised:
        list(stream)
    return raised.value


# Ollama's and Cohere's own exceptions are those of the HTTP client; whichever it is, it must be the same.
@each(STREAMS)
@pytest.mark.parametrize("returned", [True, False], ids=["returned", "yielded"])
def test_a_connection_lost_in_a_stream_is_the_clients_error_and_the_spans(
    recorded: Any, server: Provider, asked: Asked, returned: bool
) -> None:
    server.breaks_after = 1

    @andon.stage("ask")
    def ask() -> Iterator[Any]:
        yield from asked.call()

    plain = failure(asked.call())
    mine = failure(andon.stage("ask")(asked.call)() if returned else ask())
    assert (type(mine), str(mine)) == (type(plain), str(plain))
    span = recorded.span("ask")
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"].rpartition(".")[2] == type(plain).__qualname__
    assert tokens(span)[1] == asked.left_early[1]


@each(ASYNC_STREAMS)
def test_a_connection_lost_in_an_asynchronous_stream_is_the_clients_error_and_the_spans(
    recorded: Any, server: Provider, asked: Asked
) -> None:
    server.breaks_after = 1

    @andon.stage("ask")
    async def ask() -> Any:
        return await opened(asked.call())

    async def failed(stream: Any) -> BaseException:
        with pytest.raises(Exception) as raised:
            async for _ in await opened(stream):
                pass
        return raised.value

    async def run() -> tuple[BaseException, BaseException]:
        return await failed(asked.call()), await failed(ask())

    plain, mine = asyncio.run(run())
    assert (type(mine), str(mine)) == (type(plain), str(plain))
    span = recorded.span("ask")
    assert span.status.status_code is StatusCode.ERROR
    assert tokens(span)[1] == asked.left_early[1]


@each(STREAMS)
def test_a_yielded_stream_left_early_says_no_more_than_it_was_told(recorded: Any, asked: Asked) -> None:
    @andon.stage("ask")
    def ask() -> Iterator[Any]:
        yield from asked.call()

    for _ in ask():
        break
    gc.collect()
    span = recorded.span("ask")
    assert tokens(span) == asked.left_early
    assert span.status.status_code is StatusCode.UNSET


@each(STREAMS)
def test_a_returned_stream_closed_early_says_no_more_than_it_was_told(recorded: Any, asked: Asked) -> None:
    stream = andon.stage("ask")(asked.call)()
    for _ in stream:
        break
    if hasattr(stream, "close"):
        stream.close()
    del stream  # Mistral's ends with `with`, or when it is dropped
    gc.collect()
    span = recorded.span("ask")
    assert tokens(span) == asked.left_early
    assert span.status.status_code is StatusCode.UNSET


@each(ASYNC_STREAMS)
def test_an_asynchronous_stream_left_early_says_no_more_than_it_was_told(recorded: Any, asked: Asked) -> None:
    @andon.stage("ask")
    async def ask() -> AsyncIterator[Any]:
        async for item in await opened(asked.call()):
            yield item

    async def run() -> None:
        stream = ask()
        async for _ in stream:
            break
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())
    span = recorded.span("ask")
    assert tokens(span) == asked.left_early
    assert span.status.status_code is StatusCode.UNSET
