"""Texts and the library: whatever this Python brings along, and the documents that answer a question."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.library import Library, NoPassageError
from demo.texts import MIN_CHARACTERS, Text, shipped_texts


def test_this_python_brings_enough_to_learn_from() -> None:
    texts = shipped_texts(300_000)
    assert sum(len(text.body) for text in texts) >= 300_000
    assert all(len(text.body) >= MIN_CHARACTERS for text in texts)


def test_texts_come_in_the_same_order_each_time() -> None:
    assert shipped_texts(100_000) == shipped_texts(100_000)


def test_without_the_sources_of_the_standard_library_the_docstrings_of_builtins_remain(tmp_path: Path) -> None:
    assert {text.title for text in shipped_texts(10**9, stdlib=tmp_path)} >= {"int", "str"}


def test_sources_that_cannot_be_read_as_text_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_bytes(b'"""\xff' + b"word " * 60 + b'"""')
    assert "broken" in {text.title for text in shipped_texts(10**9, stdlib=tmp_path)}


def test_the_document_with_the_rare_word_comes_first() -> None:
    library = Library(
        [Text("one", "the common thing"), Text("two", "the common zebra"), Text("three", "the common thing again")]
    )
    found = library.search("What is the ZEBRA thing?")
    assert [text.title for text in found] == ["two", "one", "three"]


def test_a_question_without_a_known_word_has_no_passage() -> None:
    with pytest.raises(NoPassageError, match="no document holds any word of 'qxzjvk'"):
        Library([Text("one", "the common thing")]).search("qxzjvk")
