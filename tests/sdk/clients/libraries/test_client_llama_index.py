"""LlamaIndex: the usage is that of the answer underneath, or stands beside it in OpenAI's names."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic import Anthropic
from expect import counts, meter, one, said
from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_completion_callback
from openai import OpenAI

from . import wire

QUESTION: Any = [{"role": "user", "content": "Hello"}]
COUNTS = counts(input=100, output=40, cache_read=60, cache_write=10, reasoning=30)

pytestmark = pytest.mark.usefixtures("provider")


def response(raw: Any, delta: str | None = None, **beside: Any) -> ChatResponse:
    message = ChatMessage(role="assistant", content="Good morning")
    return ChatResponse(message=message, raw=raw, delta=delta, additional_kwargs=beside)


def test_an_answer_underneath_object_and_dict() -> None:
    answer = OpenAI().chat.completions.create(model="gpt-4o", messages=QUESTION)
    for raw in (answer, answer.model_dump()):
        assert one(response(raw)).tokens == COUNTS
        assert said(one(response(raw))) == ("chat", "openai", "gpt-4o", "chatcmpl-1", ("stop",))
    assert one(response(answer)).source is answer.usage
    assert one(response(answer).model_dump()).tokens == COUNTS


def test_the_answer_underneath_may_be_anybodys() -> None:
    request: Any = {"model": "claude-fable-5-2", "max_tokens": 9, "messages": QUESTION}
    assert one(response(Anthropic().messages.create(**request))).tokens["gen_ai.usage.input_tokens"] == 420
    assert one(response(wire.ollama_answer(chat=True))).tokens == counts(input=26, output=12)


def test_usage_beside_the_answer() -> None:
    beside = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
    assert one(response(None, **beside)).tokens == counts(input=10, output=4)
    text = CompletionResponse(text="Good morning", additional_kwargs=beside)
    assert one(text).operation == "text_completion"
    assert one(text).tokens == counts(input=10, output=4)
    assert one(CompletionResponse(text="Good morning")).tokens == {}


def test_a_stream_is_the_stream_underneath() -> None:
    stream = OpenAI().chat.completions.create(
        model="gpt-4o", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    taken = meter(response(chunk, delta="unread") for chunk in stream)
    reading = taken.reading()
    assert reading is not None
    assert reading.tokens == COUNTS
    assert taken.text() == "Good morning"


def test_a_model_of_ones_own() -> None:
    class Own(CustomLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(model_name="own")

        @llm_completion_callback()
        def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
            return CompletionResponse(text="Good morning", raw=wire.ollama_answer(chat=False))

        @llm_completion_callback()
        def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> Any:
            for chunk in wire.ollama_chunks(chat=False):
                yield CompletionResponse(text="", delta=chunk["response"], raw=chunk)

    assert one(Own().complete("Hello")).tokens == counts(input=26, output=12)
    assert one(Own().chat([ChatMessage(role="user", content="Hello")])).tokens == counts(input=26, output=12)
    taken = meter(Own().stream_complete("Hello"))
    reading = taken.reading()
    assert reading is not None
    assert reading.tokens == counts(input=26, output=12)
    assert taken.text() == "Good morning"
