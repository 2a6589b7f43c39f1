"""The usage of one stream, gathered chunk by chunk.

A stream may carry several answers one after the other (an agent's). Within one answer the newest count of each kind
holds, or the counts add up: as the client's protocol says, which the client files know.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from andon.clients.reading import Reading
from andon.notices import Loss, losses

Parts: TypeAlias = Mapping[str, int | None]
Normal: TypeAlias = Callable[[dict[str, int]], dict[str, int]]

_MAX_CALLERS: Final = 32
_MAX_TEXT: Final = 4 * 1024 * 1024

_Caller: TypeAlias = tuple[str | None, str | None, str | None, bool]


class Answer:
    """One answer of a stream, until the next begins.

    Attributes:
        parts: counts under the client's own names, which `normal` turns into ours.
        memory: what a client's file must remember from chunk to chunk.
    """

    __slots__ = (
        "ended",
        "finish_reasons",
        "memory",
        "model",
        "normal",
        "operation",
        "parts",
        "provider",
        "response_id",
        "source",
    )

    def __init__(self, operation: str | None, provider: str | None) -> None:
        self.operation = operation
        self.provider = provider
        self.model: str | None = None
        self.response_id: str | None = None
        self.finish_reasons: list[str] = []
        self.parts: dict[str, int] = {}
        self.normal: Normal = dict
        self.source: object = None
        self.memory: Any = None
        self.ended = False

    def put(self, parts: Parts, normal: Normal, source: object) -> None:
        """Take over the counts that are there; they replace earlier ones."""
        for name, value in parts.items():
            if value is not None:
                self.parts[name] = value
        self.normal = normal
        self.source = source

    def add(self, parts: Parts, normal: Normal, source: object) -> None:
        """Add the counts that are there to earlier ones."""
        for name, value in parts.items():
            if value is not None:
                self.parts[name] = self.parts.get(name, 0) + value
        self.normal = normal
        self.source = source

    def finish(self, reason: str | None) -> None:
        """Note why a choice of this answer ended."""
        self.ended = True
        if reason is not None and len(self.finish_reasons) < _MAX_CALLERS:
            self.finish_reasons.append(reason)

    def reading(self) -> Reading:
        """Return what is known of this answer."""
        tokens = self.normal(self.parts) if self.parts else {}
        reasons = tuple(self.finish_reasons)
        return Reading(tokens, self.operation, self.provider, self.model, self.response_id, reasons, self.source)


class StreamMeter:
    """Reads one stream.

    Args:
        keep_text: whether to keep the text of the chunks, for an estimate by a tokenizer.

    Attributes:
        answer: the answer that chunks now belong to.
        last: who took the item before, and of which class it was (`last_class`); for `table`.
        error: what ended the stream, where a stream object was watched and failed.
    """

    __slots__ = ("_done", "_kept", "_kept_length", "answer", "error", "keep_text", "last", "last_class")

    def __init__(self, keep_text: bool = False) -> None:
        self.answer: Answer | None = None
        self.error: BaseException | None = None
        self.keep_text: Final = keep_text
        self.last: Callable[[StreamMeter, Any], bool] = _nobody
        self.last_class: type | None = None
        self._done: dict[_Caller, Reading] = {}
        self._kept: list[str] = []
        self._kept_length = 0

    def take(self, item: object) -> None:
        """Take one item of the stream."""
        cls = type(item)
        if cls is self.last_class:
            # What took the item before takes the next one, nearly always.
            try:
                if self.last(self, item):
                    return
            except Exception as error:  # noqa: BLE001 - as `never_raises`, at the cost that every item may have
                tell_fault(item, error)
                return
        taker = takers.get(cls, _first_seen)
        if taker is not None:
            taker(self, item)
        elif self.keep_text and type(item) is str:
            self.say(item)

    def current(self, operation: str | None, provider: str | None) -> Answer:
        """Return the open answer, or begin one."""
        if self.answer is None:
            self.answer = Answer(operation, provider)
        return self.answer

    def begin(self, operation: str | None, provider: str | None) -> Answer:
        """Begin an answer; the one before is complete."""
        if self.answer is not None:
            self.complete(self.answer.reading())
        self.answer = answer = Answer(operation, provider)
        return answer

    def complete(self, reading: Reading) -> None:
        """Add a whole answer to what this stream has carried."""
        known = bool(reading.tokens)
        caller = (reading.operation, reading.provider, reading.model, known)
        before = self._done.get(caller)
        if before is None and len(self._done) >= _MAX_CALLERS:
            caller = (None, None, None, known)
            before = self._done.get(caller)
        self._done[caller] = reading if before is None else _together(before, reading)

    def say(self, text: object) -> None:
        """Keep a piece of text; more than four million characters are given up, not cut."""
        if type(text) is str and text and self._kept_length <= _MAX_TEXT:
            self._kept_length += len(text)
            self._kept.append(text)
            if self._kept_length > _MAX_TEXT:
                self._kept.clear()

    def text(self) -> str:
        """Return the text of all chunks; empty unless it was to be kept."""
        return "".join(self._kept)

    def readings(self) -> Sequence[Reading]:
        """Return what the stream has carried: one reading for each model, and one for its answers without usage."""
        if self.answer is not None:
            self.complete(self.answer.reading())
            self.answer = None
        return list(self._done.values())

    def reading(self) -> Reading | None:
        """Return all of the stream as one reading; None when nothing in it was a model's."""
        found: Reading | None = None
        for reading in self.readings():
            found = reading if found is None else _together(found, reading)
        return found


def _nobody(_: StreamMeter, __: object) -> bool:
    return False


def tell_fault(item: object, error: Exception) -> None:
    """Count what went wrong while reading an item."""
    detail = f"reading a {type(item).__name__} of a stream failed with {type(error).__name__}: {error}"
    losses.add(Loss.FAULT, 1, detail)


def _together(one: Reading, other: Reading) -> Reading:
    tokens = dict(one.tokens)
    for name, value in other.tokens.items():
        tokens[name] = tokens.get(name, 0) + value
    return Reading(
        tokens,
        one.operation if one.operation == other.operation else None,
        one.provider if one.provider == other.provider else None,
        one.model if one.model == other.model else None,
        one.response_id if one.response_id == other.response_id else None,
        (one.finish_reasons + other.finish_reasons)[:_MAX_CALLERS],
        other.source if other.tokens else one.source,
        one.estimated or other.estimated,
    )


def _first_seen(meter: StreamMeter, item: object) -> None:
    from andon.clients import table  # the client files are loaded when there is something to read

    taker = table.remember_taker(type(item))
    if taker is not None:
        taker(meter, item)
    elif meter.keep_text and type(item) is str:
        meter.say(item)


TRIVIAL: Final = (str, int, float, bool, bytes, type(None))

# Class of an item -> who takes it; None: nobody. Filled by `table`.
takers: Final[dict[type, Callable[[StreamMeter, Any], object] | None]] = dict.fromkeys(TRIVIAL)
