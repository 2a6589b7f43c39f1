"""The engine: what it reads and writes is counted, and what it read before comes from its cache."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest

from demo.byte_pairs import BytePairs
from demo.engine import ContextWindowError, Engine, Speed
from demo.language_model import LanguageModel

AT_ONCE = Speed(read=math.inf, write=math.inf)


def engine(context_window: int = 100, cached_parts: int = 2) -> Engine:
    # Without merges a token is a byte.
    return Engine(LanguageModel(BytePairs([]), list(b"abracadabra")), AT_ONCE, context_window, cached_parts)


def test_a_prompt_has_the_tokens_of_its_parts() -> None:
    assert engine().accept(["abra", "cad"]).tokens == 7


def test_leading_parts_read_before_are_cached() -> None:
    served = engine()
    assert served.accept(["abra", "one"]).cached_tokens == 0
    assert served.accept(["abra", "two"]).cached_tokens == 4
    assert served.accept(["abra", "two"]).cached_tokens == 7


def test_a_known_part_behind_an_unknown_one_is_read_again() -> None:
    served = engine()
    served.accept(["abra", "one"])
    assert served.accept(["new", "one"]).cached_tokens == 0


def test_the_oldest_part_leaves_a_full_cache() -> None:
    served = engine(cached_parts=2)
    for part in ("abra", "one", "two"):
        served.accept([part])
    assert served.accept(["abra"]).cached_tokens == 0


def test_without_a_cache_nothing_is_cached() -> None:
    served = engine(cached_parts=0)
    served.accept(["abra"])
    assert served.accept(["abra"]).cached_tokens == 0


def test_a_prompt_beyond_the_context_window_is_refused() -> None:
    with pytest.raises(ContextWindowError, match="a prompt of 5 tokens does not fit into 4"):
        engine(context_window=4).accept(["abrac"])


def test_an_answer_has_the_tokens_asked_for_and_its_text_is_theirs() -> None:
    served = engine()

    async def answer() -> list[tuple[int, str]]:
        request = served.accept(["abra"])
        return [item async for item in served.answer(request, 20, 1.0, np.random.default_rng(1))]

    items = asyncio.run(answer())
    assert len(items) == 20
    text = "".join(piece for _, piece in items)
    assert text == served.model.vocabulary.decode([token for token, _ in items])[: len(text)]
