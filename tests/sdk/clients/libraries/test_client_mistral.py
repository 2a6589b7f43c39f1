"""Mistral's own client: OpenAI's shapes, and zeros that its classes fill in are unknown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from expect import Watched, counts, meter, one, said
from mistralai.client import Mistral
from mistralai.client.models import ChatCompletionResponse

from . import wire

QUESTION: Any = [{"role": "user", "content": "Hello"}]
COUNTS = counts(input=100, output=20, cache_read=64)
SAID = ("chat", "mistral_ai", "mistral-small-latest", "mis-1", ("stop",))


@pytest.fixture
def client(provider: str) -> Mistral:
    """The client has no variable for the address of its server."""
    return Mistral(api_key="none", server_url=f"{provider}/mistral")


def test_a_chat_answer_object_and_dict(client: Mistral) -> None:
    answer = client.chat.complete(model="mistral-small-latest", messages=QUESTION)
    assert one(answer).tokens == COUNTS
    assert said(one(answer)) == SAID
    # As a dict it is anybody's who speaks this protocol.
    assert one(answer.model_dump()).tokens == COUNTS
    assert one(answer.model_dump()).provider is None


def test_zeros_of_a_server_that_told_nothing_are_unknown() -> None:
    answer = ChatCompletionResponse.model_validate({**wire.mistral_chat(), "usage": {}})
    assert answer.usage.prompt_tokens == 0
    assert one(answer).tokens == {}


@pytest.mark.parametrize("as_dicts", [False, True])
def test_events_of_a_stream(client: Mistral, as_dicts: bool) -> None:
    stream = client.chat.stream(model="mistral-small-latest", messages=QUESTION)
    taken = meter(event.model_dump() if as_dicts else event for event in stream)
    reading = taken.reading()
    assert reading is not None
    assert reading.tokens == COUNTS
    assert said(reading) == (SAID if not as_dicts else ("chat", None, *SAID[2:]))
    assert taken.text() == "Good morning"


def test_the_stream_object(client: Mistral) -> None:
    with client.chat.stream(model="mistral-small-latest", messages=QUESTION) as stream:
        watched = Watched(stream)
        assert len(list(stream)) == watched.marks == 3
    assert said(watched.meter.reading()) == SAID


def test_embeddings(client: Mistral) -> None:
    answer = client.embeddings.create(model="mistral-embed", inputs=["hello"])
    assert one(answer).tokens == counts(input=9)
    assert said(one(answer)) == ("embeddings", "mistral_ai", "mistral-embed", "mis-2", ())


def test_the_asynchronous_client(client: Mistral) -> None:
    async def run() -> Any:
        answer = await client.chat.complete_async(model="mistral-small-latest", messages=QUESTION)
        stream = await client.chat.stream_async(model="mistral-small-latest", messages=QUESTION)
        watched = Watched(stream)
        async with stream:
            events = [event async for event in stream]
        return answer, watched, events

    answer, watched, events = asyncio.run(run())
    assert one(answer).tokens == COUNTS
    assert watched.marks == len(events)
    assert said(watched.meter.reading()) == SAID
