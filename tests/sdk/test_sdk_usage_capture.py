"""Usage without code: what a model's client gives is counted when it passes through a decorated call, and once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import andon
import pytest
from andon.notices import Loss, losses
from opentelemetry.trace import StatusCode

USAGE = "gen_ai.usage."


def answer(id_: str = "chatcmpl-1", input_: int = 20, output: int = 5) -> dict[str, Any]:
    """What an OpenAI-compatible server answers."""
    return {
        "id": id_,
        "object": "chat.completion",
        "created": 1,
        "model": "small-2026",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "It is on its way"}}
        ],
        "usage": {"prompt_tokens": input_, "completion_tokens": output, "total_tokens": input_ + output},
    }


def chunks(usage: bool = True) -> Iterator[dict[str, Any]]:
    """The chunks of such an answer."""
    common = {"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1, "model": "small-2026"}
    for text in ("It is", " on its way"):
        yield {**common, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
    yield {**common, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    if usage:
        yield {**common, "choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}}


def usage_of(found: dict[str, Any]) -> tuple[Any, Any]:
    return found.get(USAGE + "input_tokens"), found.get(USAGE + "output_tokens")


def test_a_returned_answer_is_counted_with_its_identity(recorded: Any) -> None:
    given = answer()
    assert andon.stage("ask")(lambda: given)() is given
    found = recorded.attributes("ask")
    assert {name: value for name, value in found.items() if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.response.model": "small-2026",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("stop",),
        USAGE + "input_tokens": 20,
        USAGE + "output_tokens": 5,
    }


def test_an_answer_of_a_coroutine_is_counted(recorded: Any) -> None:
    @andon.stage("ask")
    async def ask() -> dict[str, Any]:
        return answer()

    asyncio.run(ask())
    assert usage_of(recorded.attributes("ask")) == (20, 5)


def test_an_answer_that_passes_through_several_calls_is_counted_where_it_came_first(recorded: Any) -> None:
    without_id = answer(id_="")
    for given in (answer(), without_id):
        andon.pipeline("rag")(andon.stage("outer")(andon.stage("inner")(lambda given=given: given)))()
    by_name = [(span.name, usage_of(span.attributes)) for span in recorded.spans]
    assert by_name == [("inner", (20, 5)), ("outer", (None, None)), ("rag", (None, None))] * 2


def test_equal_answers_of_two_runs_are_two_calls(recorded: Any) -> None:
    ask = andon.stage("ask")(lambda: answer(id_=""))
    ask()
    ask()
    assert [usage_of(span.attributes) for span in recorded.spans] == [(20, 5)] * 2


def test_a_list_of_answers_adds_up_and_has_no_single_id(recorded: Any) -> None:
    andon.stage("ask")(lambda: [answer("a"), answer("b", 30, 7)])()
    found = recorded.attributes("ask")
    assert usage_of(found) == (50, 12)
    assert "gen_ai.response.id" not in found
    assert found["gen_ai.response.finish_reasons"] == ("stop", "stop")


def test_what_the_program_counts_itself_is_not_counted_again(recorded: Any) -> None:
    @andon.stage("ask")
    def ask() -> dict[str, Any]:
        andon.record_tokens(input=20, output=5, cache_read=10, model="small", provider="vllm")
        return answer()

    andon.pipeline("rag")(ask)()
    found = recorded.attributes("ask")
    assert usage_of(found) == (20, 5)
    assert found["gen_ai.provider.name"] == "vllm"
    assert (found["gen_ai.request.model"], found["gen_ai.response.model"]) == ("small", "small-2026")
    assert found["gen_ai.response.id"] == "chatcmpl-1"
    assert usage_of(recorded.attributes("rag")) == (None, None)
    assert len(recorded.spans) == 2


def test_a_model_that_is_only_named_completes_what_is_recognised(recorded: Any) -> None:
    @andon.stage("ask")
    def ask() -> dict[str, Any]:
        andon.record_tokens(model="small", provider="vllm")
        return answer()

    ask()
    (span,) = recorded.spans
    assert usage_of(span.attributes) == (20, 5)
    assert span.attributes["gen_ai.request.model"] == "small"


def test_chunks_of_a_generator_are_read_and_passed_on_untouched(recorded: Any) -> None:
    @andon.stage("generate")
    def generate() -> Iterator[dict[str, Any]]:
        yield from chunks()

    assert list(generate()) == list(chunks())
    found = recorded.attributes("generate")
    assert usage_of(found) == (20, 5)
    assert found["gen_ai.response.id"] == "chatcmpl-2"
    assert found["gen_ai.response.time_to_first_chunk"] >= 0
    assert found["andon.stream.tokens_per_second"] > 0


def test_chunks_of_an_async_generator_are_read(recorded: Any) -> None:
    @andon.stage("generate")
    async def generate() -> AsyncIterator[dict[str, Any]]:
        for chunk in chunks():
            yield chunk

    async def consume() -> None:
        async for _ in generate():
            pass

    asyncio.run(consume())
    assert usage_of(recorded.attributes("generate")) == (20, 5)


def test_a_stream_without_usage_is_a_call_of_unknown_usage(recorded: Any) -> None:
    @andon.stage("generate")
    def generate() -> Iterator[dict[str, Any]]:
        yield from chunks(usage=False)

    list(generate())
    found = recorded.attributes("generate")
    assert usage_of(found) == (None, None)
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.response.model"] == "small-2026"
    assert "andon.usage.estimated" not in found


@pytest.mark.parametrize("tokenizer", [str.split, lambda text: len(text.split())], ids=["tokens", "their number"])
def test_with_a_tokenizer_it_is_estimated_and_says_so(recorded: Any, tokenizer: Callable[[str], Any]) -> None:
    @andon.stage("generate", tokenizer=tokenizer)
    def generate() -> Iterator[dict[str, Any]]:
        yield from chunks(usage=False)

    @andon.stage("words", tokenizer=tokenizer)
    def words() -> Iterator[str]:
        yield from ("one ", "two ", "three")

    @andon.stage("whole", tokenizer=tokenizer)
    def whole() -> str:
        return "a b"

    list(generate())
    list(words())
    whole()
    for name, count in (("generate", 5), ("words", 3), ("whole", 2)):
        found = recorded.attributes(name)
        assert usage_of(found) == (None, count)
        assert found["andon.usage.estimated"] is True
    assert recorded.attributes("generate")["gen_ai.response.id"] == "chatcmpl-2"


def test_what_the_stream_says_beats_the_tokenizer(recorded: Any) -> None:
    @andon.stage("generate", tokenizer=lambda _: 1000)
    def generate() -> Iterator[dict[str, Any]]:
        yield from chunks()

    list(generate())
    found = recorded.attributes("generate")
    assert usage_of(found) == (20, 5)
    assert "andon.usage.estimated" not in found


@pytest.mark.parametrize("given", [-1, True, object()], ids=["negative", "boolean", "no length"])
def test_a_tokenizer_that_gives_no_number_changes_nothing(recorded: Any, given: Any) -> None:
    before = losses.total(Loss.FAULT)
    assert andon.stage("s", tokenizer=lambda _: given)(lambda: "text")() == "text"
    assert usage_of(recorded.attributes("s")) == (None, None)
    losses._totals[Loss.FAULT] = before


class Stream:
    """A client's stream object, by its name and module; no generator."""

    def __init__(self, items: Iterator[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        yield from self.items

    def __next__(self) -> Any:
        return next(self.items)


Stream.__module__ = "openai._streaming"


def test_a_returned_stream_object_keeps_the_span_open_until_it_is_through(recorded: Any) -> None:
    given = Stream(chunks())
    got = andon.stage("ask")(lambda: given)()
    assert got is given
    assert isinstance(got, Stream)
    assert recorded.spans == []
    assert list(got) == list(chunks())
    found = recorded.attributes("ask")
    assert usage_of(found) == (20, 5)
    assert found["gen_ai.request.stream"] is True
    assert found["gen_ai.response.time_to_first_chunk"] >= 0


def test_a_returned_stream_object_that_breaks_ends_its_span_with_the_error(recorded: Any) -> None:
    def broken() -> Iterator[Any]:
        yield next(chunks())
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        list(andon.stage("ask")(lambda: Stream(broken()))())
    assert recorded.span("ask").status.status_code is StatusCode.ERROR


def test_a_stream_object_that_nobody_reads_ends_its_span_when_it_goes(recorded: Any) -> None:
    got: Any = andon.stage("ask")(lambda: Stream(chunks()))()
    assert recorded.spans == []
    del got
    assert usage_of(recorded.attributes("ask")) == (None, None)


def test_values_of_the_program_are_not_taken_for_answers(recorded: Any) -> None:
    class Loud:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    for given in (Loud(), {"usage": 3}, {"input_tokens": 5}, [1.0] * 100, (1, "a"), object()):
        assert andon.stage("s")(lambda given=given: given)() is given
    assert all("gen_ai.operation.name" not in span.attributes for span in recorded.spans)


def test_a_training_stage_counts_its_tokens_as_training(recorded: Any) -> None:
    @andon.stage("step")
    def step() -> None:
        andon.record_tokens(input=4096, model="mine")

    andon.pipeline("nightly", kind="train")(step)()
    assert recorded.attributes("step")["gen_ai.operation.name"] == "train"
    assert recorded.attributes("step")["andon.pipeline.kind"] == "train"


def test_an_unknown_kind_is_said_and_left_out(recorded: Any, caplog: pytest.LogCaptureFixture) -> None:
    andon.pipeline("p", kind="cooking")(lambda: None)()  # type: ignore[call-overload]
    assert "andon.pipeline.kind" not in recorded.attributes("p")
    assert "kind='cooking' is left out; allowed: ingest, transform, train" in caplog.text
