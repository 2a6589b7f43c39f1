"""What a test says about a reading, in few words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from andon import attributes
from andon.clients import Reading, StreamMeter, client_stream, metered, readings


def counts(
    input: int | None = None,  # noqa: A002 - the field's word for it
    output: int | None = None,
    cache_read: int | None = None,
    cache_write: int | None = None,
    reasoning: int | None = None,
) -> dict[str, int]:
    """Tokens by attribute name; what is left out is unknown."""
    named = {
        attributes.INPUT_TOKENS: input,
        attributes.OUTPUT_TOKENS: output,
        attributes.CACHE_READ_TOKENS: cache_read,
        attributes.CACHE_WRITE_TOKENS: cache_write,
        attributes.REASONING_TOKENS: reasoning,
    }
    return {name: value for name, value in named.items() if value is not None}


def one(value: Any) -> Reading:
    """The one reading of a value."""
    (reading,) = readings(value)
    return reading


def said(reading: Reading | None) -> tuple[Any, ...]:
    """Operation, provider, model, id, finish reasons."""
    assert reading is not None
    return reading.operation, reading.provider, reading.model, reading.response_id, reading.finish_reasons


def meter(items: Iterable[Any]) -> StreamMeter:
    """A meter that has taken every item, and kept the text."""
    taken = StreamMeter(keep_text=True)
    for item in items:
        taken.take(item)
    return taken


class Watched:
    """A client's stream object that is being metered."""

    def __init__(self, stream: Any) -> None:
        self.ends: list[StreamMeter] = []
        self.marks = 0
        self.was = type(stream)
        assert client_stream(stream)
        assert metered(stream, self.ends.append, self._mark, keep_text=True)

    def _mark(self) -> None:
        self.marks += 1

    @property
    def meter(self) -> StreamMeter:
        """The meter, handed over at the one end."""
        (ended,) = self.ends
        return ended
