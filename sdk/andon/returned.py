"""The end of a decorated call that has returned: what its result says of usage, and whether more is to come.

A plain function may return a coroutine, a generator or a client's stream; its span is kept open until that is through.
Reads answers through `answers`, and hands what runs on to `streams`.
"""

import inspect
import weakref
from collections.abc import Awaitable, Callable
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Final

from opentelemetry.context import Context

from andon import unstable
from andon.answers import PLAIN_TYPES, Arguments, read_answer
from andon.spans import OpenSpan, leave
from andon.streams import astream, keep_watching, stream

_UNFINISHED: Final = frozenset({CoroutineType, GeneratorType, AsyncGeneratorType})


def finish(work: OpenSpan, context: Context, result: Any, arguments: Arguments) -> Any:
    """End the span of a call that has returned `result`, or keep it open until the result is through; give the result.

    Args:
        context: what is current inside the call.
        arguments: of the call.
    """
    cls = type(result)
    try:
        plain = cls in PLAIN_TYPES
    except Exception:  # noqa: BLE001 - a metaclass that compares and has lost its hash: no type of a client's
        work.end()
        return result
    if plain and not work.wants_text():
        work.end()
        return result
    if cls in _UNFINISHED:
        return _kept_open(result, work, context)
    if keep_watching(result, work):
        return result
    read_answer(work, result, arguments)
    work.end()
    return result


async def _awaited(coroutine: Awaitable[Any], opening: Callable[[], tuple[OpenSpan, Context]]) -> Any:
    work, context = opening()
    token = unstable.attach(context)
    try:
        result = await coroutine
    except BaseException as error:
        leave(token)
        work.end(error)
        raise
    leave(token)
    return finish(work, context, result, ((), {}))


def _kept_open(result: Any, work: OpenSpan, context: Context) -> Any:
    def opening() -> tuple[OpenSpan, Context]:
        never_begun.detach()
        return work, context

    kept: Any
    if isinstance(result, AsyncGeneratorType):
        kept = astream(result, opening, work.started_ns, is_dropped=lambda: not owner())
    elif isinstance(result, CoroutineType) or result.gi_code.co_flags & inspect.CO_ITERABLE_COROUTINE:
        kept = _awaited(result, opening)
    else:
        kept = stream(result, opening, work.started_ns, is_dropped=lambda: not owner())
    owner = weakref.ref(kept)
    # Nobody may ever ask for the first item; then the span ends when the generator goes.
    never_begun = weakref.finalize(kept, work.end)
    return kept
