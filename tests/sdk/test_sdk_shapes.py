"""One decorator for each shape of function: the shape stays, the span is right."""

from __future__ import annotations

import asyncio
import functools
import inspect
import pickle
import re
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import andon
import pytest
from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.trace import StatusCode


def test_a_pipeline_span_names_the_pipeline_and_the_run(recorded: Any) -> None:
    @andon.pipeline("support-rag")
    def answer() -> int:
        return 42

    assert answer() == 42
    span = recorded.span("support-rag")
    assert span.kind is trace.SpanKind.INTERNAL
    assert span.attributes["andon.pipeline"] == "support-rag"
    assert re.fullmatch("[0-9a-f]{32}", span.attributes["andon.run.id"])
    assert set(span.attributes) == {"andon.pipeline", "andon.run.id"}
    assert span.status.status_code is StatusCode.UNSET


def test_a_stage_belongs_to_the_pipeline_and_the_run_that_call_it(recorded: Any) -> None:
    @andon.stage("generate")
    def generate() -> None: ...

    @andon.pipeline("support-rag")
    def answer() -> None:
        generate()

    answer()
    stage, pipeline = recorded.spans
    assert stage.parent.span_id == pipeline.context.span_id
    assert dict(stage.attributes) == {
        "andon.pipeline": "support-rag",
        "andon.stage": "generate",
        "andon.run.id": pipeline.attributes["andon.run.id"],
    }


def test_a_stage_outside_any_pipeline_names_no_pipeline(recorded: Any) -> None:
    @andon.stage("alone")
    def alone() -> None: ...

    alone()
    assert set(recorded.attributes("alone")) == {"andon.stage", "andon.run.id"}


def test_each_outermost_call_is_a_run_of_its_own_and_a_nested_pipeline_is_part_of_it(recorded: Any) -> None:
    @andon.pipeline("inner")
    def inner() -> None: ...

    @andon.pipeline("outer")
    def outer() -> None:
        inner()

    outer()
    outer()
    runs = [span.attributes["andon.run.id"] for span in recorded.spans]
    assert runs[0] == runs[1] != runs[2] == runs[3]
    assert [span.attributes["andon.pipeline"] for span in recorded.spans] == ["inner", "outer"] * 2


def test_a_bare_decorator_takes_the_name_of_the_function(recorded: Any) -> None:
    @andon.pipeline
    def nightly() -> None:
        clean()

    @andon.stage
    def clean() -> None: ...

    @andon.stage()
    def load() -> None: ...

    nightly()
    load()
    assert [span.name for span in recorded.spans] == ["clean", "nightly", "load"]


def test_a_coroutine_function_stays_one_and_its_span_lasts_as_long_as_it_does(recorded: Any) -> None:
    measured: list[int] = []

    @andon.stage("wait")
    async def wait() -> str:
        started = time.time_ns()
        await asyncio.sleep(0.02)
        measured.append(time.time_ns() - started)
        return "done"

    assert inspect.iscoroutinefunction(wait)
    assert asyncio.run(wait()) == "done"
    span = recorded.span("wait")
    assert span.end_time - span.start_time >= measured[0] >= 15_000_000


def test_tasks_inherit_the_run_and_do_not_mix_their_spans(recorded: Any) -> None:
    @andon.stage
    async def embed(n: int) -> None:
        await asyncio.sleep(0)
        andon.record_tokens(input=n, model="m")

    @andon.pipeline("fan-out")
    async def fan_out() -> None:
        await asyncio.gather(*(embed(n) for n in range(1, 6)))

    asyncio.run(fan_out())
    *stages, pipeline = recorded.spans
    assert {span.parent.span_id for span in stages} == {pipeline.context.span_id}
    assert {span.attributes["andon.run.id"] for span in stages} == {pipeline.attributes["andon.run.id"]}
    assert sorted(span.attributes["gen_ai.usage.input_tokens"] for span in stages) == [1, 2, 3, 4, 5]


def test_methods_class_methods_and_static_methods_are_decorated_alike(recorded: Any) -> None:
    class Model:
        @andon.stage
        def method(self) -> object:
            return self

        @andon.stage
        @classmethod
        def of_class(cls) -> object:
            return cls

        @andon.stage
        @staticmethod
        def static() -> int:
            return 1

        @andon.stage
        def items(self) -> Iterator[object]:
            yield self

    model = Model()
    assert model.method() is model
    assert Model.of_class() is Model
    assert model.static() == 1
    assert list(model.items()) == [model]
    assert [span.name for span in recorded.spans] == ["method", "of_class", "static", "items"]


def test_an_exception_passes_unchanged_and_is_recorded(recorded: Any) -> None:
    raised = ValueError("no such document")

    @andon.stage("retrieve")
    def retrieve() -> None:
        raise raised

    with pytest.raises(ValueError, match="no such document") as caught:
        retrieve()
    assert caught.value is raised
    span = recorded.span("retrieve")
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "ValueError"
    (event,) = span.events
    assert event.name == "exception"
    assert event.attributes["exception.message"] == "no such document"


def test_the_type_of_an_error_is_its_qualified_name(recorded: Any) -> None:
    class OverloadError(Exception): ...

    @andon.stage("call")
    async def call() -> None:
        raise OverloadError

    with pytest.raises(OverloadError):
        asyncio.run(call())
    assert recorded.attributes("call")["error.type"] == f"{__name__}.{OverloadError.__qualname__}"


def test_a_cancelled_call_is_no_error(recorded: Any) -> None:
    @andon.stage("slow")
    async def slow() -> None:
        await asyncio.sleep(60)

    async def cancel() -> None:
        task = asyncio.create_task(slow())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert recorded.span("slow").status.status_code is StatusCode.UNSET


def test_nothing_stays_current_after_a_call(recorded: Any) -> None:
    @andon.stage
    def fails() -> None:
        assert trace.get_current_span().is_recording()
        raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert context_api.get_current() == {}


def test_a_generator_function_still_passes_for_one(recorded: Any) -> None:
    @andon.stage
    def items(n: int = 3, *, step: int = 1) -> Iterator[int]:
        """Doc."""
        yield from range(0, n, step)

    @andon.stage
    async def aitems() -> AsyncIterator[int]:
        yield 1

    assert inspect.isgeneratorfunction(items)
    assert inspect.isgenerator(items())
    assert inspect.isasyncgenfunction(aitems)
    assert str(inspect.signature(items)) == "(n: 'int' = 3, *, step: 'int' = 1) -> 'Iterator[int]'"
    assert items.__name__ == "items"
    assert items.__doc__ == "Doc."


@andon.stage
def pickled_function() -> int:
    return 1


@andon.stage
def pickled_stream() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize("fn", [pickled_function, pickled_stream])
def test_a_decorated_function_is_pickled_by_its_name(fn: Any) -> None:
    assert pickle.loads(pickle.dumps(fn)) is fn  # noqa: S301 - our own bytes


def test_a_plain_function_that_returns_a_coroutine_is_timed_until_that_is_done(recorded: Any) -> None:
    async def body(n: int) -> int:
        await asyncio.sleep(0.02)
        return n

    call = andon.stage("hidden")(functools.partial(functools.partial(lambda n: body(n)), 7))
    assert asyncio.run(call()) == 7
    span = recorded.span("hidden")
    assert span.end_time - span.start_time >= 15_000_000


def test_a_callable_object_is_named_by_its_class(recorded: Any) -> None:
    class Reranker:
        def __call__(self) -> int:
            return 3

    assert andon.stage(Reranker())() == 3
    assert recorded.span("Reranker")


def test_decorating_what_cannot_be_called_is_said_and_changes_nothing(
    recorded: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert andon.stage(5) == 5  # type: ignore[call-overload]
    assert "a decorator is put on 5, which is no function" in caplog.text
