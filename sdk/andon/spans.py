"""One decorated call while it runs: its span, whose run it belongs to, and the tokens recorded on it.

Opened by the decorators, found by `record_tokens` and `observe` through the OpenTelemetry context, which carries it
into nested calls, asyncio tasks and wherever else that context is carried. Ends as an OpenTelemetry span.
"""

import threading
from collections.abc import Mapping
from contextvars import Token
from enum import Enum
from typing import Final, TypeAlias, cast

from opentelemetry.context import Context, create_key
from opentelemetry.trace import StatusCode, Tracer, set_span_in_context

from andon import attributes
from andon.guard import never_raises
from andon.ids import new_run_id
from andon.ledger import Caller, Entry, Ledger
from andon.runtime import runtime
from andon.unstable import current_context, detach

AttributeValue: TypeAlias = str | int | float | bool

_CURRENT_KEY: Final = create_key("andon.span")


class Kind(Enum):
    """What a decorator marks."""

    PIPELINE = "pipeline"
    STAGE = "stage"


class OpenSpan:
    """A decorated call that has begun and not ended.

    Attributes:
        context: what is current inside the call.
        place: pipeline, stage and run as attributes; absent where there is none.
    """

    __slots__ = ("_ended", "_ledger", "_lock", "_tracer", "context", "place", "span")

    def __init__(self, kind: Kind, name: str, tracer: Tracer, parent: Context) -> None:
        outer = _open_span_in(parent)
        place: dict[str, AttributeValue] = {}
        place[attributes.RUN_ID] = new_run_id() if outer is None else outer.place[attributes.RUN_ID]
        if kind is Kind.PIPELINE:
            place[attributes.PIPELINE] = name
        else:
            place[attributes.STAGE] = name
            if outer is not None and attributes.PIPELINE in outer.place:
                place[attributes.PIPELINE] = outer.place[attributes.PIPELINE]
        self.place: Final[Mapping[str, AttributeValue]] = place
        self.span: Final = tracer.start_span(
            name, parent, attributes=place, record_exception=False, set_status_on_exception=False
        )
        self.context: Final = Context({**set_span_in_context(self.span, parent), _CURRENT_KEY: self})
        self._tracer = tracer
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None
        self._ended = False

    def record(self, caller: Caller, tokens: Mapping[str, int], now_ns: int) -> bool:
        """Add tokens to the sums of this span; False when it has already ended."""
        with self._lock:
            if self._ended:
                return False
            if self._ledger is None:
                self._ledger = Ledger()
            self._ledger.add(caller, tokens, now_ns)
        return True

    def own_tokens(self, name: str) -> int | None:
        """Return the sum recorded on the span itself, not on its children; None when unknown."""
        with self._lock:
            return self._ledger.entries[0].tokens.get(name) if self._ledger is not None else None

    @never_raises
    def end(self, error: BaseException | None = None, measured: Mapping[str, AttributeValue] | None = None) -> None:
        """End the span; only the first call counts.

        Args:
            error: what the call raised. An `Exception` is recorded and makes the status ERROR; a cancelled task, a
                closed generator or an interrupt was stopped, which is not a failure.
            measured: attributes known only now.
        """
        with self._lock:
            if self._ended:
                return
            self._ended = True
            entries = self._ledger.entries if self._ledger is not None else ()
        try:
            found: dict[str, AttributeValue] = dict(measured) if measured is not None else {}
            if entries:
                found.update(entries[0].attributes())
            if isinstance(error, Exception):
                found[attributes.ERROR_TYPE] = qualified_name(type(error))
            if found:
                self.span.set_attributes(found)
            for entry in entries[1:]:
                write_usage(self._tracer, entry, self.context)
            if isinstance(error, Exception):
                self.span.set_status(StatusCode.ERROR, type(error).__name__)
                self.span.record_exception(error, escaped=True)
        finally:
            self.span.end()


def _open_span_in(context: Context) -> OpenSpan | None:
    return cast("OpenSpan | None", context.get(_CURRENT_KEY))


def current_span() -> OpenSpan | None:
    """Return the innermost decorated call around the running code."""
    return _open_span_in(current_context())


@never_raises
def open_span(kind: Kind, name: str, parent: Context | None = None) -> OpenSpan | None:
    """Begin a span under `parent`, or under what is current; None while the SDK records nothing."""
    tracer = runtime.tracer
    if tracer is None:
        runtime.tell_if_forgotten()
        return None
    return OpenSpan(kind, name, tracer, current_context() if parent is None else parent)


def write_usage(tracer: Tracer, entry: Entry, parent: Context) -> None:
    """Write usage as a span of its own under `parent`, in the pipeline, stage and run that are current there."""
    outer = _open_span_in(parent)
    place = outer.place if outer is not None else {}
    span = tracer.start_span(
        entry.span_name(), parent, attributes={**place, **entry.attributes()}, start_time=entry.first_ns
    )
    span.end(max(entry.first_ns, entry.last_ns))


def leave(token: Token[Context]) -> None:
    """Take away what was made current; nothing to do where another context has come up meanwhile."""
    try:
        detach(token)
    except (ValueError, RuntimeError):
        return


def qualified_name(cls: type) -> str:
    """Return the name an exception is looked up by: `module.Name`, or the bare name of a built-in one."""
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
