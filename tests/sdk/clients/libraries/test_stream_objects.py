"""A client's stream object that is metered stays what it was, and reports its end exactly once."""

from __future__ import annotations

import copy
import gc
from typing import Any

import anthropic
import openai
import pytest
from andon.clients import StreamMeter, client_stream, metered
from botocore.eventstream import EventStream
from expect import Watched

QUESTION: Any = [{"role": "user", "content": "Hello"}]

pytestmark = pytest.mark.usefixtures("provider")


def stream() -> Any:
    return openai.OpenAI().chat.completions.create(
        model="gpt-4o", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )


def test_it_is_the_same_object_of_the_same_kind_with_the_same_attributes() -> None:
    made = stream()
    attributes, identity, cls = dict(vars(made)), id(made), type(made)
    Watched(made)
    assert id(made) == identity
    assert vars(made) == attributes
    assert isinstance(made, openai.Stream)
    assert made.__class__.__name__ == cls.__name__
    assert made.__class__.__module__ == cls.__module__
    assert repr(made).partition(" at ")[0] == f"<{cls.__module__}.{cls.__qualname__} object"
    assert made.response.status_code == 200


def test_the_same_stream_is_not_metered_twice() -> None:
    made = stream()
    Watched(made)
    assert client_stream(made)
    assert not metered(made, lambda _: None, lambda: None)


def test_every_way_to_read_it_reports() -> None:
    by_next = stream()
    watched = Watched(by_next)
    items = []
    while (item := next(by_next, None)) is not None:
        items.append(item)
    assert watched.marks == len(items) == 5
    assert watched.meter.text() == "Good morning"


def test_a_break_is_no_end_as_reading_may_go_on() -> None:
    made = stream()
    watched = Watched(made)
    for _ in made:
        break
    assert watched.ends == []
    assert len(list(made)) == 4
    assert watched.marks == 5
    assert watched.meter.reading() is not None


def test_closing_ends_it_once() -> None:
    with stream() as made:
        watched = Watched(made)
        next(made)
    made.close()
    assert len(watched.ends) == 1
    assert watched.marks == 1


def test_dropping_ends_it() -> None:
    made = stream()
    watched = Watched(made)
    next(made)
    made.response.close()
    del made
    gc.collect()
    assert len(watched.ends) == 1


def test_a_failure_goes_on_to_the_reader_and_ends_it() -> None:
    made = stream()
    watched = Watched(made)
    next(made)
    made.response.close()
    made._iterator = (1 / 0 for _ in "x")
    with pytest.raises(ZeroDivisionError):
        next(made)
    assert isinstance(watched.meter.error, ZeroDivisionError)


def test_what_the_caller_of_the_meter_does_wrong_does_not_reach_the_reader() -> None:
    from andon.notices import Loss, losses

    def broken(*_: object) -> None:
        raise ValueError

    made = stream()
    before = losses.total(Loss.FAULT)
    assert metered(made, broken, broken)
    assert len(list(made)) == 5
    assert losses.total(Loss.FAULT) == before + 6
    losses._totals[Loss.FAULT] = before


def test_a_copy_is_not_metered_and_works() -> None:
    made = anthropic.Anthropic().messages.create(model="claude-fable-5-2", max_tokens=9, messages=QUESTION, stream=True)
    watched = Watched(made)
    copied = copy.copy(made)
    events = list(copied)
    assert events
    assert watched.marks == 0
    assert made.response.is_closed


def test_what_is_no_stream_of_a_client_is_left_alone() -> None:
    class Stream:
        def __iter__(self) -> Any:
            return iter("abc")

    for value in (Stream(), iter("abc"), {"stream": True}, {"body": b"x"}, "stream", None, [stream]):
        assert not client_stream(value)
        assert not metered(value, lambda _: None, lambda: None)


def test_a_class_that_cannot_be_watched_is_refused_untouched() -> None:
    class Final(EventStream):
        def __init_subclass__(cls) -> None:
            raise TypeError("no more of these")

    made = Final.__new__(Final)
    ends: list[StreamMeter] = []
    assert client_stream(made)
    assert not metered(made, ends.append, lambda: None)
    assert type(made) is Final
    del made
    gc.collect()
    assert ends == []
