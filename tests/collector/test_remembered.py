"""What is remembered is computed once, and no more of it than fits; what cannot be read is never remembered."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from collector.remembered import Remembered
from collector.series import Hashes


class Lengths:
    """A hash that anybody can check, and what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def __call__(self, values: pa.BinaryArray) -> Hashes:
        self.asked += values.to_pylist()
        if b"bad" in self.asked:
            self.asked.remove(b"bad")
            raise ValueError("no such message")
        return np.array([len(value) for value in values.to_pylist()], np.uint64)


def binary(*values: bytes) -> pa.BinaryArray:
    return pa.array(values, pa.binary())


def test_each_distinct_value_is_computed_once() -> None:
    lengths = Lengths()
    known = Remembered(lengths)
    assert known.of(binary(b"a", b"bb", b"a")).tolist() == [1, 2, 1]
    assert known.of(binary(b"bb", b"ccc")).tolist() == [2, 3]
    assert lengths.asked == [b"a", b"bb", b"ccc"]


def test_nothing_at_all_is_fine() -> None:
    assert Remembered(Lengths()).of(binary()).tolist() == []


def test_what_cannot_be_read_is_refused_each_time() -> None:
    known = Remembered(Lengths())
    for _ in range(2):
        with pytest.raises(ValueError, match="no such message"):
            known.of(binary(b"bad"))
    assert len(known) == 0


def test_it_keeps_no_more_than_it_may_and_answers_all_the_same() -> None:
    lengths = Lengths()
    known = Remembered(lengths, most=1000)
    for number in range(200):
        assert known.of(binary(b"%03d" % number, b"x" * number)).tolist() == [3, number]
        assert len(known) <= 6  # 160 bytes and its own for each
    assert known.of(binary(b"y" * 5000)).tolist() == [5000]
    assert b"y" * 5000 not in known._known
