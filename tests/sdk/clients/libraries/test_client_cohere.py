"""Cohere's own client: what the model read, not what is billed, in both versions of the API."""

from __future__ import annotations

import asyncio
from typing import Any

import cohere
import pytest
from expect import counts, meter, one, said

QUESTION: Any = [{"role": "user", "content": "Hello"}]
COUNTS = counts(input=100, output=20, cache_read=30)
SAID = ("chat", "cohere", None, "co-1", ("COMPLETE",))

pytestmark = pytest.mark.usefixtures("provider")


def test_a_chat_answer_object_and_dict() -> None:
    answer = cohere.ClientV2().chat(model="command-a-03-2025", messages=QUESTION)
    for value in (answer, answer.model_dump()):
        assert one(value).tokens == COUNTS
        assert said(one(value)) == SAID
    assert one(answer).source is answer.usage


def test_billed_units_stand_in_where_tokens_are_missing() -> None:
    answer = cohere.ClientV2().chat(model="command-a-03-2025", messages=QUESTION)
    assert answer.usage is not None
    dumped = {**answer.model_dump(), "usage": {"billed_units": {"input_tokens": 80.0, "output_tokens": 20.0}}}
    assert one(dumped).tokens == counts(input=80, output=20)


@pytest.mark.parametrize("as_dicts", [False, True])
def test_a_stream(as_dicts: bool) -> None:
    stream = cohere.ClientV2().chat_stream(model="command-a-03-2025", messages=QUESTION)
    taken = meter(event.model_dump() if as_dicts else event for event in stream)
    reading = taken.reading()
    assert reading is not None
    assert reading.tokens == COUNTS
    assert said(reading) == SAID
    assert taken.text() == "Good morning"


def test_the_first_version_of_the_api() -> None:
    client = cohere.Client()
    answer = client.chat(message="Hello")
    assert one(answer).tokens == COUNTS
    assert said(one(answer)) == SAID
    taken = meter(client.chat_stream(message="Hello"))
    reading = taken.reading()
    assert reading is not None
    assert reading.tokens == COUNTS
    assert said(reading) == SAID
    assert taken.text() == "Good morning"


def test_embeddings_are_counted_in_billed_units() -> None:
    answer = cohere.ClientV2().embed(model="embed-v4.0", texts=["hello"], input_type="search_document")
    for value in (answer, answer.model_dump()):
        assert one(value).tokens == counts(input=6)
        assert said(one(value)) == ("embeddings", "cohere", None, "emb-1", ())


def test_the_asynchronous_client() -> None:
    async def run() -> Any:
        client = cohere.AsyncClientV2()
        answer = await client.chat(model="command-a-03-2025", messages=QUESTION)
        stream = client.chat_stream(model="command-a-03-2025", messages=QUESTION)
        return answer, [event async for event in stream]

    answer, events = asyncio.run(run())
    assert one(answer).tokens == COUNTS
    reading = meter(events).reading()
    assert reading is not None
    assert reading.tokens == COUNTS
