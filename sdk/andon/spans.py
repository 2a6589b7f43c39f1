"""One decorated call while it runs: its span, whose run it belongs to, and the tokens recorded on it.

Opened by the decorators, found by `record_tokens` and `observe` through the OpenTelemetry context, which carries it
into nested calls, asyncio tasks and wherever else that context is carried. Ends as an OpenTelemetry span.
"""

import os
import threading
from collections.abc import Mapping
from contextvars import Token
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.context import Context, create_key
from opentelemetry.trace import INVALID_SPAN, StatusCode, Tracer, set_span_in_context

from andon import attributes
from andon.guard import fault
from andon.ledger import AttributeValue, Caller, Entry, add_to
from andon.place import BAGGAGE_KEY, Kind, Mark, as_baggage, carried_place
from andon.runs import Run
from andon.runtime import runtime
from andon.unstable import current_context, detach, set_clean_attributes

if TYPE_CHECKING:
    from andon.clients.reading import Reading

_CURRENT_KEY: Final = create_key("andon.span")
_SPAN_KEY: Final = next(iter(set_span_in_context(INVALID_SPAN, Context())))

# Which process this is: a child made by fork inherits its parent's open calls, and must not end them.
_process: Final = [os.getpid()]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _process.__setitem__(0, os.getpid()))


class OpenSpan:
    """A decorated call that has begun and not ended.

    It knows no context that holds it, since that would be a cycle for each call, left to the garbage collector.

    Attributes:
        place: run, pipeline, stage and what else says where the call belongs, as attributes; absent where unknown.
        run: shared by all calls of the run in this process.
    """

    __slots__ = (
        "_amounts",
        "_ended",
        "_entries",
        "_explicit",
        "_lock",
        "_process",
        "_tracer",
        "mark",
        "place",
        "run",
        "span",
        "started_ns",
    )

    def __init__(self, mark: Mark, tracer: Tracer, place: dict[str, str], run: Run, parent: Context) -> None:
        self.mark: Final = mark
        self.place: Final = place
        self.run: Final = run
        self.span: Final = tracer.start_span(
            mark.name, parent, attributes=place, record_exception=False, set_status_on_exception=False
        )
        self.started_ns: Final = perf_counter_ns()
        self._tracer = tracer
        # Reentrant: the garbage collector may end a stream's span in the middle of a call on it, on the same thread.
        self._lock = threading.RLock()
        self._process = _process[0]
        self._entries: list[Entry] | None = None
        self._amounts: dict[str, AttributeValue] | None = None
        self._explicit = False
        self._ended = False

    def record(
        self,
        caller: Caller,
        tokens: dict[str, int],
        now_ns: int,
        details: dict[str, AttributeValue] | None = None,
        *,
        explicit: bool = True,
    ) -> bool:
        """Add tokens to the sums of this span; False when it has ended, or is that of a parent process.

        Args:
            tokens: counts by attribute name; becomes the span's.
            explicit: whether the program said so, as against what was recognised on an answer.
        """
        if self._process != _process[0]:  # and its lock may be held by a thread that is not here
            return False
        with self._lock:
            if self._ended:
                return False
            if self._entries is None:
                self._entries = [Entry(caller, now_ns, tokens, details)]
            else:
                add_to(self._entries, caller, tokens, now_ns, details)
            if explicit and tokens:
                self._explicit = True
        return True

    def add_amounts(self, amounts: Mapping[str, int]) -> bool:
        """Add up rows and bytes, by attribute name; False as with `record`."""
        if self._process != _process[0]:
            return False
        with self._lock:
            if self._ended:
                return False
            if self._amounts is None:
                self._amounts = {}
            for name, count in amounts.items():
                self._amounts[name] = cast(int, self._amounts.get(name, 0)) + count
        return True

    def read(self, reading: "Reading") -> None:
        """Count what an answer says of its usage, unless it was counted in this run, or the program counts itself."""
        if not self.run.is_new(reading):
            return
        details: dict[str, AttributeValue] = {}
        if reading.response_id:
            details[attributes.RESPONSE_ID] = reading.response_id
        if reading.finish_reasons:
            details[attributes.FINISH_REASONS] = reading.finish_reasons
        if reading.estimated:
            details[attributes.USAGE_ESTIMATED] = True
        if self._explicit:
            caller, tokens = Caller(response_model=reading.model), {}
        else:
            caller = Caller(reading.operation, reading.provider, None, reading.model)
            tokens = dict(reading.tokens)
        self.record(caller, tokens, time_ns(), details or None, explicit=False)

    def wants_text(self) -> bool:
        """Whether somebody asked for something that takes the text of the answer."""
        return self.mark.tokenizer is not None or runtime.mask is not None

    def own_tokens(self, name: str) -> int | None:
        """Return the sum recorded on the span itself, not on its children; None when unknown."""
        entries = self._entries
        return entries[0].tokens.get(name) if entries is not None else None

    def end(
        self,
        error: BaseException | None = None,
        measured: dict[str, AttributeValue] | None = None,
        stamps_ns: list[int] | None = None,
        started_ns: int | None = None,
    ) -> None:
        """End the span; only the first call counts. Never raises.

        Args:
            error: what the call raised. An `Exception` is recorded and makes the status ERROR; a cancelled task, a
                closed generator or an interrupt was stopped, which is not a failure.
            measured: attributes known only now.
            stamps_ns: when the chunks of a stream came, on the clock of `started_ns`.
            started_ns: when the stream began; the start of the span where it is None.
        """
        if self._process != _process[0]:
            return
        with self._lock:
            if self._ended:
                return
            self._ended = True
        try:
            try:
                self._write(error, measured, stamps_ns, self.started_ns if started_ns is None else started_ns)
            finally:
                self.span.end()
        except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
            fault("the end of a span", problem)

    def _write(
        self,
        error: BaseException | None,
        measured: dict[str, AttributeValue] | None,
        stamps_ns: list[int] | None,
        started_ns: int,
    ) -> None:
        found = {} if measured is None else measured
        entries = self._entries
        failed = isinstance(error, Exception)
        if entries is not None:
            entries[0].write_to(found, self.place)
        if self._amounts is not None:
            found.update(self._amounts)
        if failed:
            found[attributes.ERROR_TYPE] = qualified_name(type(error))
        if found:
            set_clean_attributes(self.span, found)
        meter = runtime.meter
        if meter is not None and (entries is not None or self._amounts is not None):
            meter.take((found, self.place, perf_counter_ns() - self.started_ns, started_ns, stamps_ns))
        if entries is not None and len(entries) > 1:
            inside = Context({_SPAN_KEY: self.span, _CURRENT_KEY: self})
            for entry in entries[1:]:
                write_usage(self._tracer, entry, inside)
        if failed:
            self.span.set_status(StatusCode.ERROR, type(error).__name__)
            self.span.record_exception(cast(Exception, error), escaped=True)


def open_span_in(context: Context) -> OpenSpan | None:
    """Return the innermost decorated call that `context` carries."""
    return cast("OpenSpan | None", context.get(_CURRENT_KEY))


def current_span() -> OpenSpan | None:
    """Return the innermost decorated call around the running code."""
    return cast("OpenSpan | None", current_context().get(_CURRENT_KEY))


def open_span(mark: Mark, parent: Context | None = None) -> tuple[OpenSpan, Context] | None:
    """Begin a span under `parent`, or under what is current; give it and the context inside it.

    None while the SDK records nothing. Never raises.
    """
    tracer = runtime.tracer
    if tracer is None:
        runtime.tell_if_forgotten()
        return None
    try:
        if parent is None:
            parent = current_context()
        outer = cast("OpenSpan | None", parent.get(_CURRENT_KEY))
        if outer is None:
            place = mark.place(carried_place(parent) if BAGGAGE_KEY in parent else None)
            work = OpenSpan(mark, tracer, place, Run(), parent)
            carried = as_baggage(parent, place)
            inside: dict[str, Any] = {**parent, BAGGAGE_KEY: carried, _SPAN_KEY: work.span, _CURRENT_KEY: work}
        else:
            place = mark.place(outer.place)
            work = OpenSpan(mark, tracer, place, outer.run, parent)
            inside = {**parent, _SPAN_KEY: work.span, _CURRENT_KEY: work}
            if mark.kind is Kind.PIPELINE:
                inside[BAGGAGE_KEY] = as_baggage(parent, place)
        return work, Context(inside)
    except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
        fault("the start of a span", problem)
        return None


def write_usage(tracer: Tracer, entry: Entry, parent: Context) -> None:
    """Write usage as a span of its own under `parent`, in the pipeline, stage and run that are current there."""
    outer = open_span_in(parent)
    place: dict[str, str] = outer.place if outer is not None else carried_place(parent) or {}
    found: dict[str, AttributeValue] = {}
    entry.write_to(found, place)
    span = tracer.start_span(entry.span_name(place), parent, attributes={**place, **found}, start_time=entry.first_ns)
    span.end(max(entry.first_ns, entry.last_ns))
    if runtime.meter is not None:
        runtime.meter.take((found, place, None, 0, None))


def leave(token: Token[Context]) -> None:
    """Take away what was made current; nothing to do where another context has come up meanwhile."""
    try:
        detach(token)
    except (ValueError, RuntimeError):
        return


def qualified_name(cls: type) -> str:
    """Return the name an exception is looked up by: `module.Name`, or the bare name of a built-in one."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
