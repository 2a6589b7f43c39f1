"""Ollama's own client: the last chunk of a stream has the counts, and an absent count is unknown."""

from __future__ import annotations

import asyncio
from typing import Any

import ollama
import pytest
from expect import counts, meter, one, said

QUESTION: Any = [{"role": "user", "content": "Hello"}]
COUNTS = counts(input=26, output=12)


@pytest.fixture
def client(provider: str) -> ollama.Client:
    """The module's own functions read `OLLAMA_HOST` once, at import."""
    return ollama.Client(host=provider)


def test_chat_and_generate_object_and_dict(client: ollama.Client) -> None:
    chat = client.chat(model="llama3.2", messages=QUESTION)
    generated = client.generate(model="llama3.2", prompt="Hello")
    for answer, operation in ((chat, "chat"), (generated, "text_completion")):
        for value in (answer, answer.model_dump(), answer.model_dump(exclude_none=True)):
            assert one(value).tokens == COUNTS
            assert said(one(value)) == (operation, "ollama", "llama3.2", None, ("stop",))


def test_a_count_that_the_server_leaves_out_is_unknown(client: ollama.Client) -> None:
    answer = client.chat(model="llama3.2", messages=QUESTION)
    answer.prompt_eval_count = None
    assert one(answer).tokens == counts(output=12)


@pytest.mark.parametrize("as_dicts", [False, True])
def test_streams(client: ollama.Client, as_dicts: bool) -> None:
    for stream, operation in (
        (client.chat(model="llama3.2", messages=QUESTION, stream=True), "chat"),
        (client.generate(model="llama3.2", prompt="Hello", stream=True), "text_completion"),
    ):
        taken = meter(chunk.model_dump() if as_dicts else chunk for chunk in stream)
        reading = taken.reading()
        assert reading is not None
        assert reading.tokens == COUNTS
        assert said(reading) == (operation, "ollama", "llama3.2", None, ("stop",))
        assert taken.text() == "Good morning"


def test_two_streams_one_after_the_other_are_added(client: ollama.Client) -> None:
    chunks = [*client.chat(model="llama3.2", messages=QUESTION, stream=True)] * 2
    reading = meter(chunks).reading()
    assert reading is not None
    assert reading.tokens == counts(input=52, output=24)


def test_embeddings(client: ollama.Client) -> None:
    answer = client.embed(model="nomic-embed-text", input="hello")
    for value in (answer, answer.model_dump()):
        assert one(value).tokens == counts(input=8)
        assert said(one(value)) == ("embeddings", "ollama", "nomic-embed-text", None, ())


def test_the_asynchronous_client(provider: str) -> None:
    async def run() -> Any:
        client = ollama.AsyncClient(host=provider)
        answer = await client.chat(model="llama3.2", messages=QUESTION)
        stream = await client.chat(model="llama3.2", messages=QUESTION, stream=True)
        return answer, [chunk async for chunk in stream]

    answer, chunks = asyncio.run(run())
    assert one(answer).tokens == COUNTS
    reading = meter(chunks).reading()
    assert reading is not None
    assert reading.tokens == COUNTS
