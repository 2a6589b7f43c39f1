"""Generators and coroutines that a plain decorated function returns: who else holds one is not disturbed."""

from __future__ import annotations

import asyncio
import gc
import types
from collections.abc import AsyncGenerator, Awaitable, Generator, Iterator
from typing import Any

import andon
from andon import attributes
from andon.spans import current_span

from tests.sdk.conftest import Recorded


def test_a_generator_that_others_hold_goes_on_when_the_caller_lets_go(recorded: Recorded) -> None:
    def rows() -> Iterator[int]:
        yield from (1, 2, 3)

    shared = rows()

    @andon.stage
    def reader() -> Iterator[int]:
        return shared

    assert next(reader()) == 1
    assert next(reader()) == 2
    assert list(shared) == [3]
    assert len(recorded.spans) == 2


def test_an_async_generator_that_others_hold_goes_on_when_the_caller_lets_go(recorded: Recorded) -> None:
    async def rows() -> AsyncGenerator[int, None]:
        for number in (1, 2, 3):
            yield number

    async def run() -> list[int]:
        shared = rows()

        @andon.stage
        def reader() -> AsyncGenerator[int, None]:
            return shared

        first = await anext(reader())
        await asyncio.sleep(0)  # the loop closes what was let go of
        await asyncio.sleep(0)
        return [first, *[number async for number in shared]]

    assert asyncio.run(run()) == [1, 2, 3]
    assert len(recorded.spans) == 1


def test_a_generator_that_is_closed_is_closed_inside_its_call(recorded: Recorded) -> None:
    closed: list[str] = []

    def rows() -> Generator[int]:
        try:
            yield 1
            yield 2
        finally:
            work = current_span()
            closed.append(work.mark.name if work is not None else "outside")

    @andon.stage
    def reader() -> Generator[int]:
        return rows()

    by_hand = reader()
    next(by_hand)
    by_hand.close()
    next(reader())  # let go of at once
    gc.collect()
    assert closed == ["reader", "reader"]


def test_what_was_taken_of_a_returned_generator_is_measured_when_the_caller_breaks(recorded: Recorded) -> None:
    def rows() -> Iterator[int]:
        yield from (1, 2, 3)

    @andon.stage
    def reader() -> Iterator[int]:
        return rows()

    for _ in reader():
        break
    assert attributes.TIME_TO_FIRST_CHUNK_SECONDS in recorded.attributes("reader")


def test_a_generator_that_is_a_coroutine_can_still_be_awaited(recorded: Recorded) -> None:
    @types.coroutine
    def bare() -> Generator[Any, Any, int]:
        yield
        return 5

    decorated = andon.stage("decorated")(bare)

    @andon.stage
    def returned() -> Awaitable[int]:
        return bare()

    async def run() -> tuple[int, int]:
        return await decorated(), await returned()

    assert asyncio.run(run()) == (5, 5)
    assert [span.name for span in recorded.spans] == ["decorated", "returned"]
