"""Google's own client: output is candidates plus thoughts, and what tools put into the prompt is input."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from expect import counts, meter, one, said
from google import genai
from google.genai import types

from . import wire

MODEL = "gemini-2.5-flash"
# 100 prompt + 7 of tools; 20 candidates + 30 thoughts.
COUNTS = counts(input=107, output=50, cache_read=40, reasoning=30)
SAID = ("generate_content", "gcp.gemini", MODEL, "resp-g", ("STOP",))


@pytest.fixture
def client(provider: str) -> genai.Client:
    """A client that lives as long as the test, as it closes its connections when it goes."""
    return genai.Client()


def test_generated_content_object_dump_and_wire(client: genai.Client) -> None:
    answer = client.models.generate_content(model=MODEL, contents="Hello")
    camel = json.loads(answer.model_dump_json(by_alias=True))
    for value in (answer, answer.model_dump(), camel, wire.google_answer()):
        assert one(value).tokens == COUNTS
        assert said(one(value)) == SAID
    assert one(answer).source is answer.usage_metadata


def test_vertex_ai_tells_itself_by_the_kind_of_traffic(client: genai.Client) -> None:
    answer = client.models.generate_content(model=MODEL, contents="Hello")
    assert answer.usage_metadata is not None
    answer.usage_metadata.traffic_type = types.TrafficType.ON_DEMAND
    assert one(answer).provider == "gcp.vertex_ai"


def test_a_zero_that_is_left_out_is_known_from_the_total() -> None:
    usage = types.GenerateContentResponseUsageMetadata(prompt_token_count=10, total_token_count=10)
    answer = types.GenerateContentResponse(candidates=[], model_version=MODEL, usage_metadata=usage)
    assert one(answer).tokens == counts(input=10, output=0)
    usage.total_token_count = None
    assert one(answer).tokens == counts(input=10)


@pytest.mark.parametrize("as_dicts", [False, True])
def test_the_last_chunk_of_a_stream_holds(client: genai.Client, as_dicts: bool) -> None:
    stream = client.models.generate_content_stream(model=MODEL, contents="Hello")
    taken = meter(chunk.model_dump() if as_dicts else chunk for chunk in stream)
    reading = taken.reading()
    assert reading is not None
    assert reading.tokens == COUNTS
    assert said(reading) == SAID
    assert taken.text() == "Good morning"


def test_answers_of_two_prompts_in_one_stream_are_added(client: genai.Client) -> None:
    answers = [client.models.generate_content(model=MODEL, contents="Hello") for _ in range(2)]
    answers[1].response_id = "another"
    reading = meter(answers).reading()
    assert reading is not None
    assert reading.tokens == counts(input=214, output=100, cache_read=80, reasoning=60)


def test_embeddings(client: genai.Client) -> None:
    answer = client.models.embed_content(model="gemini-embedding-001", contents=["Hello", "Good night"])
    reading = one(answer)
    assert reading.tokens == counts(input=8)
    assert said(reading) == ("embeddings", "gcp.gemini", None, None, ())


def test_embeddings_of_vertex_ai_are_counted_text_by_text() -> None:
    def embedded(count: float | None) -> types.ContentEmbedding:
        return types.ContentEmbedding(values=[1.0], statistics=types.ContentEmbeddingStatistics(token_count=count))

    whole = types.EmbedContentResponse(embeddings=[embedded(5.0), embedded(3.0)])
    assert one(whole).tokens == counts(input=8)
    assert one(whole).provider == "gcp.vertex_ai"
    assert one(whole.model_dump()).tokens == counts(input=8)
    gap = types.EmbedContentResponse(embeddings=[embedded(5.0), embedded(None)])
    assert one(gap).tokens == {}


def test_the_asynchronous_client(client: genai.Client) -> None:
    async def run() -> Any:
        models = client.aio.models
        answer = await models.generate_content(model=MODEL, contents="Hello")
        stream = await models.generate_content_stream(model=MODEL, contents="Hello")
        return answer, [chunk async for chunk in stream]

    answer, chunks = asyncio.run(run())
    assert one(answer).tokens == COUNTS
    reading = meter(chunks).reading()
    assert reading is not None
    assert reading.tokens == COUNTS
