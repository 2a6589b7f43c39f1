"""The call as it is, with nothing around it: what every other way is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.sdk.subjects import Subject


def start() -> None:
    """Nothing to start."""


def subject() -> Subject:
    """Return the undecorated calls; the quick ones do not even have a place where usage would be recorded."""
    from collections.abc import Iterator
    from dataclasses import replace

    from benchmarks.sdk.subjects import ITEMS, decorated

    def call() -> int:
        return 1

    async def acall() -> int:
        return 1

    def stream() -> Iterator[int]:
        yield from range(ITEMS)

    return replace(decorated(lambda fn: fn, lambda: None), call=call, acall=acall, stream=stream)
