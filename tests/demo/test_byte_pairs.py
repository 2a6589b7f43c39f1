"""The vocabulary: pairs are merged by how often they stand together, and text comes back as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from demo.byte_pairs import BYTES, learn_byte_pairs


def test_the_most_frequent_pair_is_merged_first() -> None:
    # "low" three times, "lot" twice: l+o stands together five times, then lo+w three times, then lo+t twice.
    vocabulary = learn_byte_pairs(["low low low lot lot".replace(" ", "\n")], merges=3)
    assert [vocabulary.piece(BYTES + merge) for merge in range(3)] == [b"lo", b"low", b"lot"]


def test_of_equally_frequent_pairs_the_lowest_is_merged_first() -> None:
    vocabulary = learn_byte_pairs(["ba\nba\nab\nab"], merges=2)
    assert [vocabulary.piece(BYTES + merge) for merge in range(2)] == [b"ab", b"ba"]


def test_merges_are_applied_in_the_order_they_were_learned() -> None:
    vocabulary = learn_byte_pairs(["low\nlow\nlow\nlot\nlot"], merges=3)
    assert vocabulary.encode("lows") == [BYTES + 1, ord("s")]


def test_a_run_of_one_letter_is_cut_from_the_left() -> None:
    # aaa three times: a+a is merged first, aa+a next.
    vocabulary = learn_byte_pairs(["aaa\naaa\naaa"], merges=2)
    assert vocabulary.encode("aaa") == [BYTES + 1]
    assert vocabulary.encode("aaaaa") == [BYTES, BYTES + 1]


def test_text_that_repeats_nothing_has_no_merges() -> None:
    assert learn_byte_pairs(["a b c"], merges=10).size == BYTES


@given(st.text())
def test_every_text_comes_back(text: str) -> None:
    vocabulary = learn_byte_pairs(["the cat and the hat, the cat"], merges=20)
    assert vocabulary.decode(vocabulary.encode(text)) == text.encode("utf-8", "replace").decode()


@given(st.lists(st.text(max_size=20), max_size=8))
def test_every_corpus_gives_a_vocabulary_that_encodes_it(texts: list[str]) -> None:
    vocabulary = learn_byte_pairs(texts, merges=30)
    for text in texts:
        tokens = vocabulary.encode(text)
        assert vocabulary.decode(tokens) == text.encode("utf-8", "replace").decode()
        assert all(0 <= token < vocabulary.size for token in tokens)
