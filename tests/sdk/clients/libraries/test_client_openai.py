"""OpenAI's own client: counts are inclusive; the provider is named only where the answer proves it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from andon.clients import StreamMeter, readings
from expect import Watched, counts, meter, one, said
from openai import AsyncOpenAI, OpenAI

MODEL = "gpt-4o-2024-08-06"
QUESTION: Any = [{"role": "user", "content": "Hello"}]
COUNTS = counts(input=100, output=40, cache_read=60, cache_write=10, reasoning=30)

pytestmark = pytest.mark.usefixtures("provider")


def test_a_chat_answer_object_and_dict() -> None:
    answer = OpenAI().chat.completions.create(model=MODEL, messages=QUESTION)
    for value in (answer, answer.model_dump(), answer.to_dict()):
        reading = one(value)
        assert reading.tokens == COUNTS
        assert said(reading) == ("chat", "openai", MODEL, "chatcmpl-1", ("stop",))
        assert not reading.estimated
    assert one(answer).source is answer.usage


def test_another_server_of_the_same_protocol_is_not_called_openai() -> None:
    answer = OpenAI().chat.completions.create(model="meta-llama/Llama-3.3-70B", messages=QUESTION)
    assert said(one(answer))[:3] == ("chat", None, "meta-llama/Llama-3.3-70B")
    azure = {**answer.model_dump(), "prompt_filter_results": []}
    assert one(type(answer).model_validate(azure)).provider == "azure.ai.openai"


def test_an_answer_without_usage_is_a_models_answer_all_the_same() -> None:
    answer = OpenAI().chat.completions.create(model=MODEL, messages=QUESTION)
    answer.usage = None
    assert one(answer).tokens == {}
    assert one(answer).model == MODEL


def test_where_reasoning_stands_beside_the_completion_it_is_added() -> None:
    answer = OpenAI().chat.completions.create(model=MODEL, messages=QUESTION)
    assert answer.usage is not None
    answer.usage.total_tokens = 100 + 40 + 30
    assert one(answer).tokens == counts(input=100, output=70, cache_read=60, cache_write=10, reasoning=30)


def test_a_completion_of_the_older_kind() -> None:
    answer = OpenAI().completions.create(model="gpt-3.5-turbo-instruct", prompt="Hello")
    reading = one(answer)
    assert reading.tokens == counts(input=7, output=2)
    assert said(reading) == ("text_completion", None, "gpt-3.5-turbo-instruct", "cmpl-1", ("length",))


def test_embeddings_have_input_alone() -> None:
    answer = OpenAI().embeddings.create(model="text-embedding-3-small", input="Hello")
    for value in (answer, answer.model_dump()):
        assert one(value).tokens == counts(input=9)
        assert said(one(value)) == ("embeddings", None, "text-embedding-3-small", None, ())


def test_a_response() -> None:
    answer = OpenAI().responses.create(model="gpt-5", input="Hello")
    for value in (answer, answer.model_dump()):
        assert one(value).tokens == COUNTS
        assert said(one(value)) == ("chat", "openai", "gpt-5-2025-08-07", "resp_1", ("completed",))


@pytest.mark.parametrize("as_dicts", [False, True])
def test_a_chat_stream_tells_its_usage_when_it_is_asked_for(as_dicts: bool) -> None:
    stream = OpenAI().chat.completions.create(
        model=MODEL, messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    taken = meter(chunk.model_dump() if as_dicts else chunk for chunk in stream)
    reading = taken.reading()
    assert reading is not None
    assert reading.tokens == COUNTS
    assert said(reading) == ("chat", "openai", MODEL, "chatcmpl-1", ("stop",))
    assert taken.text() == "Good morning"


def test_a_chat_stream_that_was_not_asked_has_unknown_usage() -> None:
    stream = OpenAI().chat.completions.create(model=MODEL, messages=QUESTION, stream=True)
    reading = meter(stream).reading()
    assert reading is not None
    assert reading.tokens == {}
    assert reading.model == MODEL


def test_two_streams_one_after_the_other_are_added() -> None:
    taken = StreamMeter()
    for number in (1, 2):
        stream = OpenAI().chat.completions.create(
            model=MODEL, messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
        for chunk in stream:
            chunk.id = f"chatcmpl-{number}"
            taken.take(chunk)
    reading = taken.reading()
    assert reading is not None
    assert reading.tokens == counts(input=200, output=80, cache_read=120, cache_write=20, reasoning=60)
    assert reading.finish_reasons == ("stop", "stop")


def test_whole_answers_that_are_yielded_are_added() -> None:
    answers = [OpenAI().chat.completions.create(model=MODEL, messages=QUESTION) for _ in range(3)]
    reading = meter(answers).reading()
    assert reading is not None
    assert reading.tokens["gen_ai.usage.input_tokens"] == 300


@pytest.mark.parametrize("as_dicts", [False, True])
def test_the_events_of_a_response(as_dicts: bool) -> None:
    stream = OpenAI().responses.create(model="gpt-5", input="Hello", stream=True)
    taken = meter(event.model_dump() if as_dicts else event for event in stream)
    reading = taken.reading()
    assert reading is not None
    assert reading.tokens == COUNTS
    assert said(reading) == ("chat", "openai", "gpt-5-2025-08-07", "resp_1", ("completed",))
    assert taken.text() == "Good morning"


def test_the_helpers_around_streams() -> None:
    with OpenAI().chat.completions.stream(
        model=MODEL, messages=QUESTION, stream_options={"include_usage": True}
    ) as stream:
        watched = Watched(stream)
        assert stream.get_final_completion().choices[0].message.content == "Good morning"
    assert said(watched.meter.reading())[:3] == ("chat", "openai", MODEL)
    assert watched.meter.text() == "Good morning"
    with OpenAI().responses.stream(model="gpt-5", input="Hello") as stream:
        watched = Watched(stream)
        stream.get_final_response()
    reading = watched.meter.reading()
    assert reading is not None
    assert reading.tokens == COUNTS


def test_answers_in_a_tuple_and_a_list_are_all_read() -> None:
    answer = OpenAI().chat.completions.create(model=MODEL, messages=QUESTION)
    assert len(readings(("Hello", answer, 0.5))) == 1
    assert len(readings([answer, answer])) == 2
    assert len(readings([ValueError("gather returns these"), None, answer])) == 1


def test_the_asynchronous_client() -> None:
    async def run() -> Any:
        async with AsyncOpenAI() as client:
            answer = await client.chat.completions.create(model=MODEL, messages=QUESTION)
            stream = await client.chat.completions.create(
                model=MODEL, messages=QUESTION, stream=True, stream_options={"include_usage": True}
            )
            watched = Watched(stream)
            chunks = [chunk async for chunk in stream]
            return answer, watched, chunks

    answer, watched, chunks = asyncio.run(run())
    assert one(answer).tokens == COUNTS
    assert watched.marks == len(chunks) == 5
    reading = watched.meter.reading()
    assert reading is not None
    assert reading.tokens == COUNTS
