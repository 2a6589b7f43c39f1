"""LangChain: usage on messages is inclusive already; on the chunks of a stream it is additive."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from andon.clients import readings
from expect import counts, meter, one, said
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult, LLMResult
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

COUNTS = counts(input=100, output=40, cache_read=60, reasoning=30)

pytestmark = pytest.mark.usefixtures("provider")


def model() -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o", stream_usage=True)


def test_a_message_object_and_dict() -> None:
    message = model().invoke("Hello")
    for value in (message, message.model_dump()):
        reading = one(value)
        assert {**reading.tokens} == {**reading.tokens, **COUNTS}
        assert said(reading) == ("chat", None, "gpt-4o", "chatcmpl-1", ("stop",))
    assert one(message).source is message.usage_metadata


def test_the_provider_is_named_where_the_integration_proves_it() -> None:
    usage: Any = {
        "input_tokens": 420,
        "output_tokens": 50,
        "total_tokens": 470,
        "input_token_details": {"cache_read": 300, "cache_creation": 20},
        "output_token_details": {"reasoning": 10},
    }
    said_by = {"model_provider": "anthropic", "model_name": "claude-fable-5-2", "id": "msg_01"}
    message = AIMessage("Good morning", usage_metadata=usage, response_metadata=said_by, id="run-1")
    assert one(message).tokens == counts(input=420, output=50, cache_read=300, cache_write=20, reasoning=10)
    assert said(one(message)) == ("chat", "anthropic", "claude-fable-5-2", "msg_01", ())


def test_a_message_without_usage_says_so_and_what_people_say_is_none() -> None:
    assert one(AIMessage("Good morning")).tokens == {}
    assert readings(HumanMessage("Hello")) == ()


def test_a_conversation_is_not_counted_again() -> None:
    message = model().invoke("Hello")
    assert readings([HumanMessage("Hello"), message]) == ()
    assert len(readings([message, message])) == 2  # what `batch` returns


def test_a_stream_adds_up() -> None:
    chunks = list(model().stream("Hello"))
    for taken in (
        meter(chunks),
        meter(chunk.model_dump() for chunk in chunks),
        meter((c, {"step": 1}) for c in chunks),
    ):
        reading = taken.reading()
        assert reading is not None
        assert {**reading.tokens} == {**reading.tokens, **COUNTS}
        assert taken.text() == "Good morning"
        assert reading.model == "gpt-4o"


def test_usage_that_comes_in_two_chunks_is_summed() -> None:
    # As Anthropic's integration streams: the input with the first chunk, the output with the last one.
    usage: list[Any] = [
        {"input_tokens": 420, "output_tokens": 0, "total_tokens": 420, "input_token_details": {"cache_read": 300}},
        None,
        {"input_tokens": 0, "output_tokens": 50, "total_tokens": 50},
    ]
    chunks = [AIMessageChunk("a", usage_metadata=each, id="run-1") for each in usage]
    reading = meter(chunks).reading()
    assert reading is not None
    assert reading.tokens == counts(input=420, output=50, cache_read=300)
    whole = chunks[0] + chunks[1] + chunks[2]
    assert one(whole).tokens == reading.tokens


def test_results_of_generate_count_each_prompt_once() -> None:
    result = model().generate([[HumanMessage("Hello")], [HumanMessage("Good night")]])
    assert [reading.tokens["gen_ai.usage.input_tokens"] for reading in readings(result)] == [100, 100]
    usage: Any = {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14}
    choices = [ChatGeneration(message=AIMessage(text, usage_metadata=usage)) for text in ("a", "b")]
    assert one(ChatResult(generations=choices)).tokens == counts(input=10, output=4)


def test_where_messages_tell_nothing_the_result_does() -> None:
    told = {"token_usage": {"prompt_tokens": 10, "completion_tokens": 4}, "model_name": "small"}
    result = LLMResult(generations=[[ChatGeneration(message=AIMessage("a"))]], llm_output=told)
    assert one(result).tokens == counts(input=10, output=4)
    assert one(result).model == "small"


def test_raw_beside_parsed() -> None:
    class Greeting(BaseModel):
        words: str

    message = model().invoke("Hello")
    pair = {"raw": message, "parsed": Greeting(words="Good morning"), "parsing_error": None}
    assert one(pair).source is message.usage_metadata


def test_the_asynchronous_methods() -> None:
    async def run() -> Any:
        return await model().ainvoke("Hello"), [chunk async for chunk in model().astream("Hello")]

    message, chunks = asyncio.run(run())
    assert one(message).tokens["gen_ai.usage.input_tokens"] == 100
    reading = meter(chunks).reading()
    assert reading is not None
    assert reading.tokens["gen_ai.usage.output_tokens"] == 40
