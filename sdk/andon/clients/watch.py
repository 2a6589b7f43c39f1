"""A client's own stream object, made to report what passes through it.

Such an object is no generator, and users rely on what else it is: its class, its attributes, `with`. So it stays the
same object, and gets a subclass of its own class that looks at each item and does nothing else.
"""

import inspect
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

from andon.clients.meter import StreamMeter
from andon.guard import never_raises

# Class names by the top-level module of the class or of one of its bases.
_STREAMS: Final = {
    "openai": frozenset(
        (
            "Stream",
            "AsyncStream",
            "ChatCompletionStream",
            "AsyncChatCompletionStream",
            "ResponseStream",
            "AsyncResponseStream",
        )
    ),
    "anthropic": frozenset(
        ("Stream", "AsyncStream", "MessageStream", "AsyncMessageStream", "BetaMessageStream", "BetaAsyncMessageStream")
    ),
    "litellm": frozenset(("CustomStreamWrapper", "BaseResponsesAPIStreamingIterator")),
    "mistralai": frozenset(("EventStream", "EventStreamAsync")),
    "botocore": frozenset(("EventStream",)),
}

_MAX_CLASSES: Final = 1024
_known: Final[dict[type, bool]] = {dict: False}
_subclasses: Final[dict[type, type]] = {}


def client_stream(value: object) -> bool:
    """Whether `value` is, or as a dict of boto3 holds, a client's stream object."""
    return _stream_in(value) is not None


def metered(
    value: object, on_end: Callable[[StreamMeter], None], mark: Callable[[], None], keep_text: bool = False
) -> bool:
    """Have a client's stream object report while it is used; False, and untouched, where its class refuses.

    Args:
        on_end: called once, when the stream is through, closed, failed (`StreamMeter.error`) or dropped. Must not hold
            the stream, or it is never dropped.
        mark: called at each item.
        keep_text: whether the meter keeps the text.
    """
    return _metered(value, on_end, mark, keep_text) or False


@never_raises
def _metered(value: object, on_end: Callable[[StreamMeter], None], mark: Callable[[], None], keep_text: bool) -> bool:
    stream = _stream_in(value)
    if stream is None or id(stream) in _watches:
        return False
    cls = type(stream)
    subclass = _subclasses.get(cls)
    try:
        if subclass is None:
            if len(_subclasses) >= _MAX_CLASSES:
                return False
            subclass = _subclasses[cls] = _watched_class(cls)
        watch = _Watch(StreamMeter(keep_text), on_end, mark, id(stream))
        finalizer = weakref.finalize(stream, watch.end)
        try:
            stream.__class__ = subclass  # of the same layout, or it is refused
        except TypeError:
            finalizer.detach()
            return False
    except TypeError:
        return False
    _watches[id(stream)] = watch
    return True


def _stream_in(value: object) -> object | None:
    if type(value) is dict:
        for name in ("stream", "body"):
            inside: object = value.get(name)
            if inside is not None and type(inside) is not dict and _is_stream(type(inside)):
                return inside
        return None
    return value if _is_stream(type(value)) else None


def _is_stream(cls: type) -> bool:
    found = _known.get(cls)
    if found is None:
        try:
            bases = [(str(base.__module__).partition(".")[0], base.__name__) for base in type.mro(cls)]
        except Exception:  # noqa: BLE001 - a metaclass may do anything
            bases = []
        found = any(name in _STREAMS.get(root, ()) for root, name in bases)
        if len(_known) >= _MAX_CLASSES:
            _known.clear()
        _known[cls] = found
    return found


class _Watch:
    """What is noted of one stream object, which knows nothing of it: found by the object's identity.

    Attributes:
        inside: while the client is at work on an item.
    """

    __slots__ = ("_identity", "_mark", "_meter", "_on_end", "inside")

    def __init__(
        self, meter: StreamMeter, on_end: Callable[[StreamMeter], None], mark: Callable[[], None], identity: int
    ) -> None:
        self._meter = meter
        self._mark = mark
        self._on_end: Callable[[StreamMeter], None] | None = on_end
        self._identity = identity
        self.inside = False

    def note(self, item: object) -> None:
        if self._on_end is not None:
            self._note(item)

    @never_raises
    def _note(self, item: object) -> None:
        self._mark()
        self._meter.take(item)

    @never_raises
    def end(self, error: BaseException | None = None) -> None:
        on_end, self._on_end = self._on_end, None
        meter, self._meter = self._meter, _SPENT
        _watches.pop(self._identity, None)
        if on_end is not None:
            meter.error = error
            on_end(meter)


_SPENT: Final = StreamMeter()
_watches: Final[dict[int, _Watch]] = {}


def _watched_class(cls: Any) -> type:
    body: dict[str, Any] = {
        "__slots__": (),
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
    }
    for name, make in _WAYS.items():
        original = getattr(cls, name, None)
        if callable(original):
            body[name] = make(original)
    subclass: type = type(cls)(cls.__name__, (cls,), body)
    return subclass


def _next(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def __next__(self: Any) -> Any:  # noqa: N807 - stands in for it
        watch = _watches.get(id(self))
        if watch is None or watch.inside:
            return original(self)
        watch.inside = True
        try:
            item = original(self)
        except BaseException as error:
            watch.end(None if isinstance(error, StopIteration) else error)
            raise
        finally:
            watch.inside = False
        watch.note(item)
        return item

    return __next__


def _iter(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def __iter__(self: Any) -> Any:  # noqa: N807 - stands in for it
        watch = _watches.get(id(self))
        inner = original(self)
        return inner if watch is None or inner is self else _watched(inner, watch)

    return __iter__


def _watched(inner: Iterator[Any], watch: _Watch) -> Iterator[Any]:
    while True:
        watch.inside = True
        try:
            item = next(inner)
        except StopIteration:
            watch.end()
            return
        except BaseException as error:
            watch.end(error)
            raise
        finally:
            watch.inside = False
        watch.note(item)
        yield item


def _anext(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    async def __anext__(self: Any) -> Any:  # noqa: N807 - stands in for it
        watch = _watches.get(id(self))
        if watch is None or watch.inside:
            return await original(self)
        watch.inside = True
        try:
            item = await original(self)
        except BaseException as error:
            watch.end(None if isinstance(error, StopAsyncIteration) else error)
            raise
        finally:
            watch.inside = False
        watch.note(item)
        return item

    return __anext__


def _aiter(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def __aiter__(self: Any) -> Any:  # noqa: N807 - stands in for it
        watch = _watches.get(id(self))
        inner = original(self)
        return inner if watch is None or inner is self else _awatched(inner, watch)

    return __aiter__


async def _awatched(inner: AsyncIterator[Any], watch: _Watch) -> AsyncIterator[Any]:
    while True:
        watch.inside = True
        try:
            item = await anext(inner)
        except StopAsyncIteration:
            watch.end()
            return
        except BaseException as error:
            watch.end(error)
            raise
        finally:
            watch.inside = False
        watch.note(item)
        yield item


def _close(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    # A client that closes itself while it gives an item, as when it fails, has not said yet how that ends.
    async def aclose(self: Any) -> Any:
        try:
            return await original(self)
        finally:
            if (watch := _watches.get(id(self))) is not None and not watch.inside:
                watch.end()

    def close(self: Any) -> Any:
        try:
            return original(self)
        finally:
            if (watch := _watches.get(id(self))) is not None and not watch.inside:
                watch.end()

    return aclose if inspect.iscoroutinefunction(original) else close


_WAYS: Final = {
    "__iter__": _iter,
    "__next__": _next,
    "__aiter__": _aiter,
    "__anext__": _anext,
    "close": _close,
    "aclose": _close,
}
