"""`@andon.pipeline` and `@andon.stage`: one span for each call of a function, whatever shape the function has.

Plain functions, coroutine functions, generators and async generators keep their shape; a plain function that returns
one of those (another decorator, a partial) has its span kept open until that is through.
"""

import functools
import inspect
import weakref
from collections.abc import Callable, Coroutine
from time import perf_counter_ns
from types import AsyncGeneratorType, CoroutineType, GeneratorType, MethodType
from typing import Any, TypeVar, cast, overload

from andon.notices import warn_once
from andon.runtime import runtime
from andon.spans import Kind, OpenSpan, leave, open_span
from andon.streams import astream, stream
from andon.unstable import attach, current_context

F = TypeVar("F", bound=Callable[..., Any])

_UNFINISHED = (CoroutineType, GeneratorType, AsyncGeneratorType)


@overload
def pipeline(name: F, /) -> F: ...
@overload
def pipeline(name: str | None = None, /) -> Callable[[F], F]: ...
def pipeline(name: Any = None, /) -> Any:
    """Mark a function as a pipeline: each outermost call is one run, which everything called inside belongs to.

    Args:
        name: name of the pipeline; the function's own name where it is left out (`@andon.pipeline`).
    """
    return _decorator(Kind.PIPELINE, name)


@overload
def stage(name: F, /) -> F: ...
@overload
def stage(name: str | None = None, /) -> Callable[[F], F]: ...
def stage(name: Any = None, /) -> Any:
    """Mark a function as a stage, one step of the pipeline that calls it.

    Args:
        name: name of the stage; the function's own name where it is left out (`@andon.stage`).
    """
    return _decorator(Kind.STAGE, name)


def _decorator(kind: Kind, name: Any) -> Any:
    if name is not None and not isinstance(name, str):
        return _decorate(name, kind, None)
    return functools.partial(_decorate, kind=kind, name=name)


def _decorate(fn: Any, kind: Kind, name: str | None) -> Any:
    if isinstance(fn, staticmethod | classmethod):
        return type(fn)(_decorate(fn.__func__, kind, name))
    if not callable(fn):
        warn_once(
            f"decorate.{kind.value}",
            "@andon.%s is put on %r, which cannot be called; it is left as it is. Put it on a function or method",
            kind.value,
            fn,
        )
        return fn
    called = name or getattr(fn, "__name__", None) or type(fn).__name__
    if inspect.isgeneratorfunction(fn):
        return _StreamFunction(fn, kind, called, stream)
    if inspect.isasyncgenfunction(fn):
        return _StreamFunction(fn, kind, called, astream)
    if inspect.iscoroutinefunction(fn):
        return _coroutine_function(fn, kind, called)
    return _function(fn, kind, called)


def _function(fn: Callable[..., Any], kind: Kind, name: str) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        work = open_span(kind, name)
        if work is None:
            return fn(*args, **kwargs)
        started_ns = perf_counter_ns()
        token = attach(work.context)
        try:
            result = fn(*args, **kwargs)
        except BaseException as error:
            work.end(error)
            raise
        finally:
            leave(token)
        if isinstance(result, _UNFINISHED):
            return _kept_open(result, work, started_ns)
        work.end()
        return result

    return call


def _coroutine_function(fn: Callable[..., Any], kind: Kind, name: str) -> Callable[..., Any]:
    @functools.wraps(fn)
    async def call(*args: Any, **kwargs: Any) -> Any:
        work = open_span(kind, name)
        if work is None:
            return await fn(*args, **kwargs)
        started_ns = perf_counter_ns()
        token = attach(work.context)
        try:
            result = await fn(*args, **kwargs)
        except BaseException as error:
            work.end(error)
            raise
        finally:
            leave(token)
        if isinstance(result, _UNFINISHED):
            return _kept_open(result, work, started_ns)
        work.end()
        return result

    return call


async def _awaited(coroutine: Coroutine[Any, Any, Any], work: OpenSpan) -> Any:
    token = attach(work.context)
    try:
        return await coroutine
    except BaseException as error:
        work.end(error)
        raise
    finally:
        leave(token)
        work.end()


def _kept_open(result: Any, work: OpenSpan, started_ns: int) -> Any:
    kept: Any
    if isinstance(result, CoroutineType):
        kept = _awaited(result, work)
    elif isinstance(result, GeneratorType):
        kept = stream(result, lambda: work, started_ns)
    else:
        kept = astream(result, lambda: work, started_ns)
    # Nobody may ever ask for the first item; then the span ends when the generator goes.
    weakref.finalize(kept, work.end)
    return kept


class _StreamFunction:
    """A decorated generator function.

    An object and not a generator function, because it must note at the call who called: the body runs later, often in a
    web server's hands, when the pipeline that asked for the stream has returned. It still passes for a generator
    function with `inspect`, as frameworks ask before they stream.
    """

    def __init__(self, fn: Callable[..., Any], kind: Kind, name: str, run: Callable[..., Any]) -> None:
        functools.update_wrapper(self, fn)
        for attribute in ("__code__", "__defaults__", "__kwdefaults__", "__annotations__"):
            if hasattr(fn, attribute):
                setattr(self, attribute, getattr(fn, attribute))
        self._fn = fn
        self._kind = kind
        self._called = name
        self._run = run

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        inner = self._fn(*args, **kwargs)
        if runtime.tracer is None:
            runtime.tell_if_forgotten()
            return inner
        return self._run(inner, functools.partial(open_span, self._kind, self._called, current_context()))

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(cast(Callable[..., Any], self), instance)

    def __reduce__(self) -> str:
        qualified_name: str = vars(self)["__qualname__"]
        return qualified_name
