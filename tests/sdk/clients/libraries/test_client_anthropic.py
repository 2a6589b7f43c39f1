"""Anthropic's own client: the three parts of the input are summed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from anthropic import Anthropic, AsyncAnthropic
from anthropic.types.beta import BetaMessage
from expect import Watched, counts, meter, one, said

REQUEST: Any = {
    "model": "claude-fable-5-2",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello"}],
}
# 100 fresh + 20 written + 300 read.
COUNTS = counts(input=420, output=50, cache_read=300, cache_write=20, reasoning=10)
SAID = ("chat", "anthropic", "claude-fable-5-2", "msg_01", ("end_turn",))

pytestmark = pytest.mark.usefixtures("provider")


def test_a_message_object_and_dict() -> None:
    message = Anthropic().messages.create(**REQUEST)
    for value in (message, message.model_dump(), message.to_dict()):
        assert one(value).tokens == COUNTS
        assert said(one(value)) == SAID
    assert one(message).source is message.usage


@pytest.mark.parametrize(
    ("response_id", "model", "expected"),
    [
        ("msg_bdrk_01", "claude-fable-5-2", "aws.bedrock"),
        ("msg_vrtx_01", "claude-fable-5-2", "gcp.vertex_ai"),
        ("msg_01", "kimi-k2", None),
    ],
)
def test_the_same_messages_from_elsewhere(response_id: str, model: str, expected: str | None) -> None:
    message = Anthropic().messages.create(**REQUEST)
    message.id = response_id
    message.model = model
    assert one(message).provider == expected


def test_what_a_compaction_used_is_added() -> None:
    message = Anthropic().messages.create(**REQUEST).model_dump()
    compaction = {"type": "compaction", "input_tokens": 1000, "output_tokens": 5}
    sampling = {"type": "message", "input_tokens": 100, "output_tokens": 50}
    for iteration in (compaction, sampling):
        iteration |= {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": None}
    message["usage"]["iterations"] = [compaction, sampling]
    reading = one(BetaMessage.model_validate(message))
    assert reading.tokens == counts(input=1420, output=55, cache_read=300, cache_write=20, reasoning=10)


@pytest.mark.parametrize("as_dicts", [False, True])
def test_a_stream(as_dicts: bool) -> None:
    stream = Anthropic().messages.create(**REQUEST, stream=True)
    taken = meter(event.model_dump() if as_dicts else event for event in stream)
    assert said(taken.reading()) == SAID
    reading = taken.reading()
    assert reading is not None
    assert reading.tokens == COUNTS
    assert taken.text() == "Good morning"


def test_the_output_of_a_stream_that_was_cut_is_unknown() -> None:
    events = list(Anthropic().messages.create(**REQUEST, stream=True))
    reading = meter(events[:3]).reading()
    assert reading is not None
    assert reading.tokens == counts(input=420, cache_read=300, cache_write=20)


def test_the_helper_around_a_stream() -> None:
    with Anthropic().messages.stream(**REQUEST) as stream:
        watched = Watched(stream)
        assert "".join(stream.text_stream) == "Good morning"
        assert stream.get_final_message().usage.output_tokens == 50
    reading = watched.meter.reading()
    assert reading is not None
    assert reading.tokens == COUNTS
    assert said(reading) == SAID
    assert watched.meter.text() == "Good morning"


def test_the_asynchronous_client() -> None:
    async def run() -> Any:
        async with AsyncAnthropic() as client:
            message = await client.messages.create(**REQUEST)
            raw = Watched(stream := await client.messages.create(**REQUEST, stream=True))
            events = [event async for event in stream]
            async with client.messages.stream(**REQUEST) as helper:
                watched = Watched(helper)
                await helper.get_final_message()
            return message, raw, events, watched

    message, raw, events, watched = asyncio.run(run())
    assert one(message).tokens == COUNTS
    assert raw.marks == len(events)
    assert raw.meter.reading().tokens == COUNTS
    assert watched.meter.reading().tokens == COUNTS
