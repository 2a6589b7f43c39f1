"""The calls that are measured, alike for every way of instrumenting them.

Each file in `ways/` starts one SDK and hands its decorator and its way of recording usage to `decorated`, or writes the
same calls by hand where its users do. `worker.py` times the calls; nothing here imports an SDK.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

ITEMS: Final = 100
SHAPES: Final = ("sync", "async", f"stream of {ITEMS}")

JOB_SECONDS: Final = 0.02
SLOW_ITEMS: Final = 4
SLOW_SHAPES: Final = ("async", "stream", "async stream")

INPUT_TOKENS: Final = 812
OUTPUT_TOKENS: Final = 96
MODEL: Final = "small-1"
PROVIDER: Final = "vllm"
USAGE: Final[dict[str, str | int]] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": PROVIDER,
    "gen_ai.request.model": MODEL,
    "gen_ai.usage.input_tokens": INPUT_TOKENS,
    "gen_ai.usage.output_tokens": OUTPUT_TOKENS,
}

Decorator = Callable[[Any], Any]


@dataclass(frozen=True)
class Subject:
    """One way's calls: three that do next to nothing, and three that take `JOB_SECONDS`."""

    call: Callable[[], object]
    acall: Callable[[], Awaitable[object]]
    stream: Callable[[], Iterator[object]]
    slow_acall: Callable[[], Awaitable[object]]
    slow_stream: Callable[[], Iterator[object]]
    slow_astream: Callable[[], AsyncIterator[object]]


class Way(Protocol):
    """A module in `ways/`."""

    def start(self) -> None:
        """Import the SDK and initialise it: what start-up time is measured of."""

    def subject(self) -> Subject:
        """Return the calls, after `start`."""


def decorated(decorate: Decorator, record: Callable[[], object], decorate_stream: Decorator | None = None) -> Subject:
    """Return calls that are decorated with `decorate` and record their usage with `record`.

    Args:
        decorate_stream: the decorator for generators, where it is another one.
    """
    decorate_stream = decorate_stream or decorate

    @decorate
    def generate() -> int:
        record()
        return 1

    @decorate
    async def agenerate() -> int:
        record()
        return 1

    @decorate_stream
    def stream() -> Iterator[int]:
        yield from range(ITEMS)
        record()

    @decorate
    async def slow_acall() -> int:
        await asyncio.sleep(JOB_SECONDS)
        record()
        return 1

    @decorate_stream
    def slow_stream() -> Iterator[int]:
        for item in range(SLOW_ITEMS):
            time.sleep(JOB_SECONDS / SLOW_ITEMS)
            yield item
        record()

    @decorate_stream
    async def slow_astream() -> AsyncIterator[int]:
        for item in range(SLOW_ITEMS):
            await asyncio.sleep(JOB_SECONDS / SLOW_ITEMS)
            yield item
        record()

    return Subject(generate, agenerate, stream, slow_acall, slow_stream, slow_astream)
