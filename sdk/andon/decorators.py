"""`andon.pipeline` and `andon.stage`: one span for each call of a function, whatever shape the function has.

Plain functions, coroutine functions, generators and async generators keep their shape; a plain function that returns
one of those, or a client's stream, has its span kept open until that is through. Both serve `with` blocks as well.
"""

import functools
import inspect
from collections.abc import Callable
from contextvars import Token
from types import MethodType, TracebackType
from typing import Any, Self, TypeVar, cast, overload

from opentelemetry.context import Context

from andon import content, unstable
from andon.guard import fault
from andon.notices import warn_once
from andon.place import LIFECYCLE_KINDS, Kind, LifecycleKind, Mark, Tokenizer
from andon.returned import finish
from andon.runtime import runtime
from andon.spans import OpenSpan, current_span, leave, open_span
from andon.streams import astream, stream

F = TypeVar("F", bound=Callable[..., Any])


@overload
def pipeline(name: F, /) -> F: ...
@overload
def pipeline(
    name: str | None = None,
    /,
    *,
    kind: LifecycleKind | None = None,
    domain: str | None = None,
    tokenizer: Tokenizer | None = None,
) -> "Marker": ...
def pipeline(
    name: Any = None,
    /,
    *,
    kind: LifecycleKind | None = None,
    domain: str | None = None,
    tokenizer: Tokenizer | None = None,
) -> Any:
    """Mark a function or a `with` block as a pipeline: each outermost call is one run, which all inside belongs to.

    Args:
        name: name of the pipeline; the function's own name where it is left out (`@andon.pipeline`).
        kind: `ingest`, `transform`, `train`, `fine_tune`, `evaluate`, `inference` or `batch_inference`.
        domain: who owns it, in the words of a data mesh.
        tokenizer: counts the tokens of a text; used for answers that do not tell their usage, which is then marked as
            estimated.
    """
    if kind is not None and kind not in LIFECYCLE_KINDS:
        warn_once("pipeline.kind", "andon.pipeline: kind=%r is left out; allowed: %s", kind, ", ".join(LIFECYCLE_KINDS))
        kind = None
    if domain is not None and not isinstance(domain, str):
        warn_once("pipeline.domain", "andon.pipeline: domain=%r is left out; allowed: a text", domain)
        domain = None
    return _marked(name, functools.partial(Mark, Kind.PIPELINE, lifecycle=kind, domain=domain, tokenizer=tokenizer))


@overload
def stage(name: F, /) -> F: ...
@overload
def stage(name: str | None = None, /, *, tokenizer: Tokenizer | None = None) -> "Marker": ...
def stage(name: Any = None, /, *, tokenizer: Tokenizer | None = None) -> Any:
    """Mark a function or a `with` block as a stage, one step of the pipeline around it.

    Args:
        name: name of the stage; the function's own name where it is left out (`@andon.stage`).
        tokenizer: as for `pipeline`.
    """
    return _marked(name, functools.partial(Mark, Kind.STAGE, tokenizer=tokenizer))


def _marked(name: Any, mark: Callable[[str], Mark]) -> Any:
    if name is not None and not isinstance(name, str):
        return _decorated(name, mark, None)
    return Marker(mark, name)


class Marker:
    """What `andon.pipeline("name")` and `andon.stage("name")` give: a decorator, and a context manager."""

    __slots__ = ("_mark", "_name", "_opened")

    def __init__(self, mark: Callable[[str], Mark], name: str | None) -> None:
        self._mark = mark
        self._name = name
        self._opened: list[tuple[OpenSpan, Token[Context]]] = []

    def __call__(self, fn: F) -> F:
        """Decorate a function."""
        return cast(F, _decorated(fn, self._mark, self._name))

    def __enter__(self) -> Self:
        """Begin a block; it is a call like any other."""
        opened = open_span(self._mark(self._name or "block"))
        if opened is not None:
            work, context = opened
            self._opened.append((work, unstable.attach(context)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the block that is innermost here."""
        if not self._opened:
            return
        inner = current_span()
        mine = next((pair for pair in reversed(self._opened) if pair[0] is inner), self._opened[-1])
        self._opened.remove(mine)
        work, token = mine
        leave(token)
        work.end(error)

    async def __aenter__(self) -> Self:
        """As `__enter__`."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """As `__exit__`."""
        self.__exit__(kind, error, traceback)


def _decorated(fn: Any, mark: Callable[[str], Mark], name: str | None) -> Any:
    try:
        return _decorate(fn, mark, name)
    except Exception as problem:  # noqa: BLE001 - an object that cannot be asked for its name
        fault("a decorator", problem)
        return fn


def _decorate(fn: Any, mark: Callable[[str], Mark], name: str | None) -> Any:
    if isinstance(fn, staticmethod | classmethod):
        return type(fn)(_decorate(fn.__func__, mark, name))
    if not callable(fn) or isinstance(fn, type):
        warn_once(
            "decorate",
            "andon: a decorator is put on %r, which is no function; it is left as it is. Put it on a function",
            fn,
        )
        return fn
    if runtime.disabled:
        return fn
    made = mark(name or getattr(fn, "__name__", None) or type(fn).__name__)
    if inspect.iscoroutinefunction(fn) or _is_awaited(fn):
        return _coroutine_function(fn, made)
    if inspect.isgeneratorfunction(fn):
        return _StreamFunction(fn, made, stream)
    if inspect.isasyncgenfunction(fn):
        return _StreamFunction(fn, made, astream)
    return _function(fn, made)


def _is_awaited(fn: Any) -> bool:
    """Whether a function is a generator to look at, and a coroutine by `types.coroutine`."""
    return bool(getattr(getattr(fn, "__code__", None), "co_flags", 0) & inspect.CO_ITERABLE_COROUTINE)


# The two below reach everything through modules and module-level functions, never through a bound method of a context
# variable: cloudpickle (Ray, Dask, Spark) takes what they name along with a function of `__main__`.


def _function(fn: Callable[..., Any], mark: Mark) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        if runtime.off or (opened := open_span(mark)) is None:
            return fn(*args, **kwargs)
        work, context = opened
        token = unstable.attach(context)
        try:
            if runtime.mask is not None:
                content.write_arguments(work, args, kwargs)
            result = fn(*args, **kwargs)
        except BaseException as error:
            leave(token)
            work.end(error)
            raise
        leave(token)
        return finish(work, context, result, (args, kwargs))

    return call


def _coroutine_function(fn: Callable[..., Any], mark: Mark) -> Callable[..., Any]:
    @functools.wraps(fn)
    async def call(*args: Any, **kwargs: Any) -> Any:
        if runtime.off or (opened := open_span(mark)) is None:
            return await fn(*args, **kwargs)
        work, context = opened
        token = unstable.attach(context)
        try:
            if runtime.mask is not None:
                content.write_arguments(work, args, kwargs)
            result = await fn(*args, **kwargs)
        except BaseException as error:
            leave(token)
            work.end(error)
            raise
        leave(token)
        return finish(work, context, result, (args, kwargs))

    return call


class _StreamFunction:
    """A decorated generator function.

    An object and not a generator function, because it must note at the call who called: the body runs later, often in a
    web server's hands, when the pipeline that asked for the stream has returned. It still passes for a generator
    function with `inspect`, as frameworks ask before they stream.
    """

    def __init__(self, fn: Callable[..., Any], mark: Mark, run: Callable[..., Any]) -> None:
        functools.update_wrapper(self, fn)
        for attribute in ("__code__", "__defaults__", "__kwdefaults__", "__annotations__"):
            if hasattr(fn, attribute):
                setattr(self, attribute, getattr(fn, attribute))
        self._fn = fn
        self._mark = mark
        self._run = run

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        inner = self._fn(*args, **kwargs)
        if runtime.off:
            return inner
        if runtime.tracer is None:
            runtime.tell_if_forgotten()
            return inner
        return self._run(inner, functools.partial(open_span, self._mark, unstable.current_context()))

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(cast(Callable[..., Any], self), instance)

    def __reduce__(self) -> str:
        qualified_name: str = vars(self)["__qualname__"]
        return qualified_name
