"""A decorated generator answers next, send, throw and close as the bare one does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import andon
import pytest
from andon.runtime import runtime
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import StatusCode


def echo() -> Generator[Any, Any, str]:
    """Answers what it is sent, survives one thrown error, returns a value."""
    received = yield "ready"
    while received != "stop":
        try:
            received = yield received
        except KeyError as error:
            received = yield f"caught {error}"
    return "bye"


def conversation(start: Callable[[], Generator[Any, Any, str]]) -> list[Any]:
    """Everything a generator can be asked."""
    running = start()
    told = [next(running), running.send(1), running.throw(KeyError("k")), running.send(2)]
    try:
        running.send("stop")
    except StopIteration as stop:
        told.append(stop.value)
    try:
        next(running)
    except StopIteration as stop:
        told.append(("after the end", stop.value))
    return told


def test_send_throw_and_the_return_value_pass_through(recorded: Any) -> None:
    assert conversation(andon.stage(echo)) == conversation(echo)
    assert recorded.span("echo").status.status_code is StatusCode.UNSET


def test_asend_and_athrow_pass_through(recorded: Any) -> None:
    @andon.stage
    async def echo_async() -> Any:
        received = yield "ready"
        while True:
            try:
                received = yield received
            except KeyError as error:
                received = yield f"caught {error}"

    async def talk() -> list[Any]:
        running = echo_async()
        told = [await anext(running), await running.asend(1), await running.athrow(KeyError("k"))]
        await running.aclose()
        return told

    assert asyncio.run(talk()) == ["ready", 1, "caught 'k'"]


Step = tuple[str, int]
steps = st.lists(st.tuples(st.sampled_from(["next", "send", "throw", "close"]), st.integers(0, 3)), max_size=12)


def scripted(log: list[Any]) -> Generator[int, Any, int]:
    """A body whose behaviour depends on everything it is told."""
    total = 0
    try:
        for n in range(5):
            try:
                total += (yield n) or 0
            except ValueError as error:
                log.append(("caught", error.args))
                if error.args == (3,):
                    raise
        return total
    finally:
        log.append(("closed", total))


def play(start: Callable[[list[Any]], Generator[int, Any, int]], script: list[Step]) -> list[Any]:
    """Everything that can be seen from outside while a script is played to a generator."""
    log: list[Any] = []
    running = start(log)
    for what, value in script:
        try:
            if what == "next":
                log.append(next(running))
            elif what == "send":
                log.append(running.send(value))
            elif what == "throw":
                log.append(running.throw(ValueError(value)))
            else:
                log.append(running.close())
        except StopIteration as stop:
            log.append(("stop", stop.value))
        except (ValueError, TypeError) as error:
            log.append((type(error), error.args))
    running.close()
    return log


@given(steps)
def test_a_decorated_generator_behaves_like_the_bare_one_whatever_is_asked(script: list[Step]) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("andon")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "tracer", tracer)
        assert play(andon.stage(scripted), script) == play(scripted, script)
