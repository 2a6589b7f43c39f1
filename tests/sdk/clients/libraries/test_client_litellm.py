"""LiteLLM: inclusive counts of any provider, which it names beside the answer."""

from __future__ import annotations

import asyncio
from typing import Any

import litellm
import pytest
from expect import Watched, counts, meter, one, said

QUESTION: Any = [{"role": "user", "content": "Hello"}]
COUNTS = counts(input=100, output=40, cache_read=60, cache_write=10, reasoning=30)

pytestmark = pytest.mark.usefixtures("provider")


def test_a_chat_answer_object_and_dict() -> None:
    answer = litellm.completion(model="openai/gpt-4o", messages=QUESTION)
    for value in (answer, answer.model_dump()):
        reading = one(value)
        assert reading.tokens == COUNTS
        assert (reading.operation, reading.response_id, reading.finish_reasons) == ("chat", "chatcmpl-1", ("stop",))
        assert reading.model in ("gpt-4o", "openai/gpt-4o")


def test_a_server_of_ones_own_that_speaks_openais_protocol_is_not_openai() -> None:
    assert one(litellm.completion(model="openai/llama-3.3-70b", messages=QUESTION)).provider is None
    assert one(litellm.completion(model="openai/gpt-4o", messages=QUESTION)).provider == "openai"


def test_what_anthropic_tells_in_parts_litellm_has_summed(provider: str) -> None:
    answer = litellm.completion(
        model="anthropic/claude-fable-5-2", messages=QUESTION, api_base=f"{provider}/anthropic", api_key="none"
    )
    reading = one(answer)
    assert reading.provider == "anthropic"
    assert reading.tokens == counts(input=420, output=50, cache_read=300, cache_write=20, reasoning=10)


def test_the_provider_has_the_name_of_the_conventions(provider: str) -> None:
    answer = litellm.completion(
        model="mistral/mistral-small", messages=QUESTION, api_base=f"{provider}/mistral/v1", api_key="none"
    )
    assert one(answer).provider == "mistral_ai"


def test_a_stream() -> None:
    stream = litellm.completion(
        model="openai/gpt-4o", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    watched = Watched(stream)
    chunks = list(stream)
    assert watched.marks == len(chunks)
    for taken in (watched.meter, meter(chunks), meter(chunk.model_dump() for chunk in chunks)):
        reading = taken.reading()
        assert reading is not None
        assert reading.tokens == COUNTS
        assert taken.text() == "Good morning"
        assert said(reading) == ("chat", reading.provider, "gpt-4o", "chatcmpl-1", ("stop",))


def test_embeddings() -> None:
    answer = litellm.embedding(model="openai/text-embedding-3-small", input=["hello"])
    assert one(answer).tokens == counts(input=9)
    assert one(answer).operation == "embeddings"


def test_zeros_that_litellm_fills_in_are_unknown() -> None:
    answer = litellm.ModelResponse(choices=[litellm.Choices()], model="small", usage=litellm.Usage())
    assert one(answer).tokens == {}


def test_the_asynchronous_functions() -> None:
    async def run() -> Any:
        answer = await litellm.acompletion(model="openai/gpt-4o", messages=QUESTION)
        stream = await litellm.acompletion(
            model="openai/gpt-4o", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
        watched = Watched(stream)
        return answer, watched, [chunk async for chunk in stream]

    answer, watched, chunks = asyncio.run(run())
    assert one(answer).tokens == COUNTS
    assert watched.marks == len(chunks)
    assert said(watched.meter.reading())[0] == "chat"
