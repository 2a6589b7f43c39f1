"""What a model's answer says of its own usage, read when it passes through a decorated call.

The readers of the clients' types are loaded at the first value that may be one; texts, numbers and the like cost one
look at their type. Never raises: an answer that cannot be read is an answer without usage.
"""

from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from andon import attributes
from andon.content import write_content
from andon.guard import fault
from andon.ledger import NOBODY
from andon.notices import warn_once
from andon.runtime import runtime
from andon.spans import OpenSpan

if TYPE_CHECKING:
    from andon.clients import StreamMeter

PLAIN_TYPES: Final = frozenset({type(None), str, bytes, bool, int, float, complex})
_MOST_TYPES: Final = 4096

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class _ChunkTypes(dict[type, bool]):
    """Whether items of a type may be chunks of a model's answer; found out once for each type."""

    def __missing__(self, cls: type) -> bool:
        found = False
        if cls not in PLAIN_TYPES:
            try:
                from andon import clients

                found = clients.is_model_chunk_type(cls)
            except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
                fault("reading a chunk", problem)
        if len(self) < _MOST_TYPES:
            self[cls] = found
        return found


class _EveryType(dict[type, bool]):
    """The same question where every item is wanted; remembers no type."""

    def __missing__(self, cls: type) -> bool:
        return True


chunk_types: Final = _ChunkTypes()
every_type: Final = _EveryType()


class Chunks:
    """Reads the chunks of one stream for the span that it runs under."""

    __slots__ = ("_meter", "_work")

    def __init__(self, work: OpenSpan, meter: "StreamMeter | None" = None) -> None:
        from andon import clients

        self._work = work
        self._meter = meter or clients.StreamMeter(keep_text=work.wants_text())

    def take(self, item: Any) -> None:
        """Look at one chunk."""
        try:
            self._meter.take(item)
        except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
            fault("reading a chunk", problem)

    def write(self) -> None:
        """Record the usage of the stream."""
        try:
            reading = self._meter.reading()
            if reading is not None:
                self._work.read(reading)
            if self._work.wants_text():
                write_text(self._work, self._meter.text())
        except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
            fault("reading a stream", problem)


def read_answer(work: OpenSpan, result: Any, arguments: Arguments) -> None:
    """Record on `work` what a return value says of usage.

    Args:
        arguments: of the decorated call; some results can only be counted beside the prompt that was given.
    """
    try:
        if type(result) not in PLAIN_TYPES:
            from andon import clients

            for reading in clients.readings(result, arguments):
                work.read(reading)
        if work.wants_text() and isinstance(result, str):
            write_text(work, result)
    except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
        fault("reading an answer", problem)


def write_text(work: OpenSpan, text: str) -> None:
    """Say of an answer's text what was asked for: the text itself, and its tokens, estimated, where unknown."""
    if runtime.mask is not None:
        write_content(work, attributes.CONTENT_OUTPUT, text)
    tokenizer = work.mark.tokenizer
    if tokenizer is None or not text or work.own_tokens(attributes.OUTPUT_TOKENS) is not None:
        return
    found = tokenizer(text)
    count = found if isinstance(found, int) else len(found)
    if isinstance(count, bool) or count < 0:
        warn_once("tokenizer", "andon: the tokenizer gave %r; allowed: a sequence of tokens, or their number", found)
        return
    details: dict[str, Any] = {attributes.USAGE_ESTIMATED: True}
    work.record(NOBODY, {attributes.OUTPUT_TOKENS: count}, time_ns(), details, explicit=False)
