"""The language model: its probabilities are those of Witten & Bell, and it predicts better than token frequencies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.byte_pairs import BytePairs
from demo.language_model import LanguageModel, prompt_of
from demo.texts import shipped_texts

A, B, C = b"abc"


@pytest.fixture(scope="module")
def tiny() -> LanguageModel:
    """Learned from "abab" alone: tokens are bytes."""
    return LanguageModel(BytePairs([]), list(b"abab"))


@pytest.fixture(scope="module")
def learned() -> tuple[LanguageModel, str]:
    """A model, and text that it has not seen: every tenth of the shipped ones."""
    texts = [text.body for text in shipped_texts(200_000)]
    seen = [text for number, text in enumerate(texts) if number % 10]
    return LanguageModel.learn(seen, merges=300), "\n\n".join(texts[::10])


def test_a_single_token_has_its_share_and_some_is_kept_for_unseen_ones(tiny: LanguageModel) -> None:
    # 4 tokens, 2 kinds, 256 in the vocabulary: (2 + 2/256) / (4 + 2) and (0 + 2/256) / (4 + 2)
    single = tiny.probabilities([])
    assert single[A] == pytest.approx((2 + 2 / 256) / 6)
    assert single[C] == pytest.approx((2 / 256) / 6)


def test_a_context_seen_before_counts_and_leaves_the_rest_to_the_shorter_one(tiny: LanguageModel) -> None:
    # After a: b twice, one kind, so (2 + 1 x P(b)) / (2 + 1); a never, so (0 + 1 x P(a)) / 3.
    single = tiny.probabilities([])
    after_a = tiny.probabilities([A])
    assert after_a[B] == pytest.approx((2 + single[B]) / 3)
    assert after_a[A] == pytest.approx(single[A] / 3)
    # After a, b: a once, one kind.
    after_ab = tiny.probabilities([A, B])
    assert after_ab[A] == pytest.approx((1 + tiny.probabilities([B])[A]) / 2)


def test_a_context_never_seen_says_nothing(tiny: LanguageModel) -> None:
    assert tiny.probabilities([C]) == pytest.approx(tiny.probabilities([]))
    assert tiny.probabilities([C, A]) == pytest.approx(tiny.probabilities([A]))


def test_a_quarter_goes_to_what_followed_in_the_prompt(tiny: LanguageModel) -> None:
    prompt = prompt_of([A, C, A, C])
    assert tiny.probabilities([A], prompt)[C] == pytest.approx(0.75 * tiny.probabilities([A])[C] + 0.25)


@given(st.lists(st.integers(0, 255), max_size=3), st.lists(st.integers(0, 255), max_size=6))
def test_probabilities_add_up_to_one(context: list[int], prompt: list[int]) -> None:
    model = LanguageModel(BytePairs([]), list(b"abracadabra"))
    assert model.probabilities(context, prompt_of(prompt)).sum() == pytest.approx(1)


@given(st.lists(st.sampled_from(list(b"abrcdx")), min_size=1, max_size=8))
def test_a_text_is_scored_with_the_probabilities_it_is_generated_with(tokens: list[int]) -> None:
    model = LanguageModel(BytePairs([]), list(b"abracadabra"))
    one_by_one = [np.log(model.probabilities(tokens[:place])[token]) for place, token in enumerate(tokens)]
    assert model.log_probabilities(tokens) == pytest.approx(one_by_one)


def test_unseen_text_is_predicted_better_than_by_token_frequencies(learned: tuple[LanguageModel, str]) -> None:
    model, unseen = learned
    assert model.perplexity(unseen) < model.single_token_perplexity(unseen) / 2


def test_it_writes_as_many_tokens_as_asked_and_the_same_for_the_same_seed(learned: tuple[LanguageModel, str]) -> None:
    model, _ = learned
    prompt = model.read("The function returns ")
    first, again, other = (list(model.generate(prompt, 40, 0.8, np.random.default_rng(seed))) for seed in (1, 1, 2))
    assert len(first) == 40
    assert first == again
    assert first != other


def test_a_low_temperature_takes_the_likeliest_token(learned: tuple[LanguageModel, str]) -> None:
    model, _ = learned
    prompt = model.read("The function returns ")
    (token,) = model.generate(prompt, 1, 0.001, np.random.default_rng(3))
    assert token == int(model.probabilities(prompt.tokens, prompt).argmax())


def test_a_temperature_of_zero_is_refused(learned: tuple[LanguageModel, str]) -> None:
    model, _ = learned
    with pytest.raises(ValueError, match="temperature=0 cannot be used; it must be above 0"):
        next(model.generate(model.read("x"), 1, 0, np.random.default_rng(1)))


def test_learning_twice_gives_the_same_model() -> None:
    texts = ["the cat sat on the mat", "the hat sat on the cat"]
    first, again = (LanguageModel.learn(texts, merges=10) for _ in range(2))
    assert first.tokenize(texts[0]) == again.tokenize(texts[0])
    assert np.array_equal(first.probabilities([1, 2]), again.probabilities([1, 2]))


def test_a_text_has_a_vector_of_length_one(learned: tuple[LanguageModel, str]) -> None:
    model, unseen = learned
    vector = model.embed(model.tokenize(unseen[:500]))
    assert np.linalg.norm(vector) == pytest.approx(1)
