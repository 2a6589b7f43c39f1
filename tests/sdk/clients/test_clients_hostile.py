"""Whatever a function returns: it is never taken for a model's answer, never slow, and nothing raises."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import weakref
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from andon import clients
from andon.clients import StreamMeter, is_model_chunk_type, metered, readings
from hypothesis import given
from hypothesis import strategies as st


class Raises:
    """Every property raises."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class Answers:
    """Every name is there."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __getitem__(self, key: object) -> Any:
        return self

    def __int__(self) -> int:
        return 7

    __index__ = __int__


class Meta(type):
    def __getattribute__(cls, name: str) -> Any:
        if name.startswith("__pydantic") or name in ("__fields__", "__dataclass_fields__"):
            raise RuntimeError(name)
        return super().__getattribute__(name)


class OfMeta(metaclass=Meta):
    pass


@dataclass
class Job:
    """A domain object whose fields have the names of an answer's."""

    id: str = "1"
    object: str = "thing"
    model: str = "T"
    usage: Any = 3
    choices: Any = 5
    type: str = "message"
    role: str = "assistant"
    stop_reason: str = "broken"
    usage_metadata: Any = 4
    candidates: Any = "Ann, Bob"
    done: bool = True
    raw: Any = None
    meta: Any = None
    embeddings: Any = 1
    sequences: Any = ((1, 2), (3, 4))
    generations: Any = 2
    finish_reason: str = "x"
    generation_id: int = 1


class LazyRow:
    """Like an ORM's row: a field that is looked at would ask the database."""

    __dataclass_fields__ = dict.fromkeys(("usage", "choices", "object", "model"))

    @property
    def choices(self) -> Any:
        raise AssertionError("asked the database")

    usage = object = model = choices


class Dictionary(dict[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(key)

    get = __contains__ = __iter__ = keys = items = __getitem__  # type: ignore[assignment]


def recursive() -> dict[str, Any]:
    value: dict[str, Any] = {"additional_kwargs": {}, "text": "", "parsed": 1, "parsing_error": None}
    value.update(raw=value, usage=value, usage_metadata=value, choices=[value], generations=[[value]], data=[value])
    value.update(message=value, output=[value], content=[value], meta=value, embeddings=[value], object="list")
    return value


def endless_list() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


HOSTILE = [
    Raises(),
    Answers(),
    OfMeta(),
    OfMeta,
    MagicMock(),
    MagicMock(spec=Job),
    Job(),
    Job(raw=Job(), meta=Job(), usage=Job()),
    LazyRow(),
    Dictionary(usage=1, choices=[]),
    SimpleNamespace(usage=SimpleNamespace(prompt_tokens=1), choices=[]),
    recursive(),
    endless_list(),
    (endless_list(), recursive()),
    object(),
    type,
    len,
    ValueError("x"),
    range(10),
    {1, 2},
    {"usage": 3},
    {"input_tokens": 5},
    {"usage": {"input_tokens": 5, "output_tokens": 6}},
    {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11},
    {"model": "T", "usage": {"prompt_tokens": 5}},
    {"object": "chat.completion", "choices": "none"},
    {"object": "list", "data": [1, 2], "usage": {"prompt_tokens": 5}},
    {"object": "response", "output": "text"},
    {"type": "message", "role": "user", "content": [], "stop_reason": None},
    {"usage_metadata": {"tokens": 5}},
    {"candidates": ["Ann", "Bob"]},
    {"stopReason": "emergency", "usage": {"kWh": 5}},
    {"ResponseMetadata": {"HTTPHeaders": {"x-amzn-bedrock-input-token-count": "-5"}}},
    {"done": True, "model": "T", "created_at": "today", "eval_count": 5},
    {"embeddings": [[1.0]], "model": "x"},
    {"raw": "steak", "parsed": 1},
    {"raw": "steak", "additional_kwargs": {}},
    {"generations": 3},
    {"sequences": [[1, 2]]},
    {"finish_reason": "x", "message": {"role": "assistant"}, "usage": {"tokens": {"input_tokens": True}}},
    [{"usage": 3}] * 10,
    [[[[[[[[1]]]]]]]],
    {str(number): number for number in range(1000)},
]


@pytest.mark.parametrize("place", range(len(HOSTILE)))
def test_it_is_not_recognised(place: int) -> None:
    value = HOSTILE[place]
    assert list(readings(value)) == []
    assert list(readings((value,), ((value,), {"input_ids": value}))) == []
    assert not metered(value, lambda _: None, lambda: None)
    meter = StreamMeter(keep_text=True)
    for item in (value, (value, {}), value):
        meter.take(item)
    found = meter.reading()
    assert found is None or found.tokens == {}


@pytest.mark.parametrize("count", [True, -1, float("nan"), float("inf"), 1.5, "5", 2**63, None, [5], 5j])
def test_what_is_no_count_is_unknown(count: Any) -> None:
    answer = {
        "object": "chat.completion",
        "model": "small",
        "choices": [],
        "usage": {"prompt_tokens": count, "completion_tokens": 4},
    }
    (reading,) = readings(answer)
    assert reading.tokens == {"gen_ai.usage.output_tokens": 4}


def test_a_part_that_is_larger_than_the_whole_is_not_believed() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 6}}
    (reading,) = readings({"object": "chat.completion", "model": "small", "choices": [], "usage": usage})
    assert reading.tokens == {"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 4}


WORDS = """
usage choices object model id type role content stop_reason message usage_metadata usageMetadata candidates embeddings
stopReason ResponseMetadata HTTPHeaders finish_reason generation_id text meta done prompt_eval_count response created_at
raw parsed parsing_error additional_kwargs generations llm_output response_metadata delta metadata messageStart
messageStop contentBlockDelta chunk bytes data event_type output outputs input_tokens prompt_tokens completion_tokens
output_tokens inputTokens promptTokenCount total_tokens iterations amazon-bedrock-invocationMetrics values statistics
"""
NAMES = st.sampled_from(WORDS.split())
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | NAMES
    | st.sampled_from(["chat.completion", "chat.completion.chunk", "list", "response", "message", "assistant", "ai"])
    | st.sampled_from(["AIMessageChunk", "message_start", "message_delta", "response.completed", "content-delta"])
    | st.sampled_from(["message-end", "stream-end", "amazon-bedrock-invocationMetrics"])
)


def made(fields: dict[str, Any]) -> object:
    """An object whose class declares these fields."""
    value = type("Made", (), {"__dataclass_fields__": fields})()
    vars(value).update(fields)
    return value


VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(NAMES, inner, max_size=8)
        | st.builds(
            lambda fields: type("Made", (), {"__dataclass_fields__": fields, **fields})(), st.dictionaries(NAMES, inner)
        )
    ),
    max_leaves=30,
)


@given(VALUES)
def test_nothing_made_of_the_clients_own_words_raises(value: Any) -> None:
    for reading in readings(value, ((value,), {"inputs": value})):
        assert all(type(count) is int and count >= 0 for count in reading.tokens.values())


@given(st.lists(VALUES, max_size=8))
def test_no_stream_of_them_raises(values: list[Any]) -> None:
    meter = StreamMeter(keep_text=True)
    for value in values:
        meter.take(value)
    for reading in meter.readings():
        assert all(type(count) is int and count >= 0 for count in reading.tokens.values())
    assert isinstance(meter.text(), str)


def test_long_lists_and_tuples_of_answers_are_read_to_their_end() -> None:
    answer = {"object": "chat.completion", "model": "small", "choices": [], "usage": {"prompt_tokens": 2}}
    for many, expected in (
        ([answer] * 1000, 1000),
        ((answer,) * 1000, 1000),
        (("text", [answer] * 3), 3),
        ([(answer, "text")] * 5, 5),
    ):
        assert [reading.tokens for reading in readings(many)] == [{"gen_ai.usage.input_tokens": 2}] * expected


def test_texts_and_numbers_in_a_stream_need_no_meter() -> None:
    import numpy

    for cls in (str, int, float, bytes, bool, type(None), list, numpy.float64, numpy.int64, numpy.ndarray, MagicMock):
        assert not is_model_chunk_type(cls)
    assert is_model_chunk_type(dict)


def test_a_million_numbers_are_not_looked_at() -> None:
    numbers = [0.5] * 1_000_000
    started = time.process_time()
    for _ in range(1000):
        assert readings(numbers) == ()
    assert time.process_time() - started < 1  # to look at each would take ten


def test_classes_made_at_run_time_are_not_kept() -> None:
    made = [type(f"Made{number}", (), {}) for number in range(3000)]
    for cls in made:
        assert readings(cls()) == ()
        StreamMeter().take(cls())
    last = weakref.ref(made[0])
    del made, cls
    gc.collect()
    assert last() is None
    assert len(clients._readers) <= 1024


def test_text_is_kept_only_when_asked_for() -> None:
    for keep, text in ((True, "ab"), (False, "")):
        meter = StreamMeter(keep_text=keep)
        meter.take("a")
        meter.take("b")
        assert meter.text() == text
        assert meter.reading() is None


def test_text_without_end_is_given_up_and_not_cut() -> None:
    meter = StreamMeter(keep_text=True)
    for _ in range(5):
        meter.take("x" * 1024 * 1024)
    assert meter.text() == ""


def test_the_files_of_the_clients_are_loaded_at_the_first_value_that_may_be_an_answer() -> None:
    program = (
        "import sys, andon.clients as c;"
        "c.readings('text'); c.readings(1.5); c.readings(None); c.is_model_chunk_type(str);"
        "c.StreamMeter(True).take('text');"
        "assert 'andon.clients.table' not in sys.modules;"
        "c.readings({});"
        "assert 'andon.clients.table' in sys.modules;"
        "clients = {'openai', 'anthropic', 'google.genai', 'boto3', 'cohere', 'litellm', 'torch', 'transformers'};"
        "assert not clients & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
