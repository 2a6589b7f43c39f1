"""Prompts and answers stay in the process, unless a mask was given to let them out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import andon
import pytest
from andon.content import LONGEST_TEXT, MASKED_TEXT
from andon.notices import Loss, losses
from andon.runtime import runtime

INPUT = "andon.content.input"
OUTPUT = "andon.content.output"


def masked(text: str) -> str:
    return text.replace("secret", "***")


@pytest.fixture
def asked_for(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(runtime, "mask", masked)
    return recorded


def test_nothing_is_captured_unless_asked_for(recorded: Any) -> None:
    andon.stage("s")(lambda prompt: f"answer to {prompt}")("a secret")
    assert not {INPUT, OUTPUT} & set(recorded.attributes("s"))


def test_arguments_and_answers_leave_masked(asked_for: Any) -> None:
    andon.stage("s")(lambda prompt: f"answer to {prompt}")("a secret")
    found = asked_for.attributes("s")
    assert (found[INPUT], found[OUTPUT]) == ("a ***", "answer to a ***")


def test_several_arguments_are_json_and_objects_are_named_by_their_type(asked_for: Any) -> None:
    @andon.stage("s")
    def s(prompt: str, model: object, *, tone: str) -> None: ...

    s("secret", object(), tone="kind")
    assert asked_for.attributes("s")[INPUT] == '{"args": ["***", "<object>"], "kwargs": {"tone": "kind"}}'


def test_the_text_of_a_stream_is_its_answer(asked_for: Any) -> None:
    @andon.stage("s")
    def s() -> Iterator[str]:
        yield "a sec"
        yield "ret"

    assert list(s()) == ["a sec", "ret"]
    assert asked_for.attributes("s")[OUTPUT] == "a ***"


def test_a_mask_that_fails_or_gives_nothing_keeps_the_content_back(
    recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(text: str) -> str:
        raise RuntimeError

    before = losses.total(Loss.FAULT)
    for mask in (fails, lambda _: None, lambda _: 5):
        monkeypatch.setattr(runtime, "mask", mask)
        assert andon.stage("s")(lambda prompt: prompt)("x") == "x"
    assert all(not {INPUT, OUTPUT} & set(span.attributes) for span in recorded.spans)
    losses._totals[Loss.FAULT] = before


def test_long_texts_are_cut(asked_for: Any) -> None:
    andon.stage("s")(lambda prompt: None)("x" * (LONGEST_TEXT + 1))
    assert len(asked_for.attributes("s")[INPUT]) == LONGEST_TEXT


def test_a_secret_where_the_text_is_cut_is_masked_whole(asked_for: Any) -> None:
    andon.stage("s")(lambda prompt: None)("x" * (LONGEST_TEXT - 3) + "secret")
    assert asked_for.attributes("s")[INPUT] == "x" * (LONGEST_TEXT - 3) + "***"


def test_of_arguments_beyond_measure_only_what_is_masked_is_looked_at(asked_for: Any) -> None:
    looked_at: list[int] = []

    class Rows(list[int]):
        def __iter__(self) -> Iterator[int]:
            for number in range(MASKED_TEXT):
                looked_at.append(number)
                yield number

    andon.stage("s")(lambda rows, limit: None)(Rows([1]), 2)
    assert len(asked_for.attributes("s")[INPUT]) == LONGEST_TEXT
    assert len(looked_at) < MASKED_TEXT / 3  # a number takes a comma, a space and a digit at least


def test_keys_that_json_cannot_say_are_left_out(asked_for: Any) -> None:
    andon.stage("s")(lambda prompts: None)({("a", 1): "gone", "b": "kept"})
    assert asked_for.attributes("s")[INPUT] == '{"args": [{"b": "kept"}], "kwargs": {}}'
