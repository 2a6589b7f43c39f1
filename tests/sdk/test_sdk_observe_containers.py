"""Columns of every container say what a list of the same values says, without the container being imported by us."""

from __future__ import annotations

import datetime
import logging
from array import array
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import andon
import pytest
from andon.notices import Loss, losses
from andon.runtime import runtime
from andon.settings import QueueLimits

from tests.peers import require

AT = "andon.observation."
NAN = float("nan")


def numpy() -> Any:
    require("numpy", "a dependency of the platform")
    return pytest.importorskip("numpy")


def pandas() -> Any:
    require("pandas", "in the development environment")
    return pytest.importorskip("pandas")


def polars() -> Any:
    require("polars", "in the development environment: uv sync")
    return pytest.importorskip("polars")


def arrow() -> Any:
    require("pyarrow", "a dependency of the platform")
    return pytest.importorskip("pyarrow")


def said(recorded: Any, **features: Any) -> list[list[Any]]:
    """What arrives of the features, each as a list with None for unknown."""
    andon.observe(features=features)
    return [[row.get(AT + "feature." + name) for row in recorded.rows] for name in features]


COLUMNS: dict[str, tuple[Callable[[], Any], list[Any]]] = {
    "list": (lambda: [1, 2.5, None], [1.0, 2.5, None]),
    "tuple": (lambda: (1, NAN, 3), [1.0, None, 3.0]),
    "range": (lambda: range(3), [0.0, 1.0, 2.0]),
    "texts": (lambda: ["a", None, "a"], ["a", None, "a"]),
    "booleans": (lambda: [True, None, False], [True, None, False]),
    "mixed": (lambda: [True, 1, "1"], [True, 1.0, "1"]),
    "decimals": (lambda: [Decimal("0.5"), None, 2**70], [0.5, None, float(2**70)]),
    "nothing known": (lambda: [None, None, None], [None, None, None]),
    "array": (lambda: array("f", [0.5, 1.5, 2.5]), [0.5, 1.5, 2.5]),
    "memoryview": (lambda: memoryview(array("q", [1, 2, 3]))[::-1], [3.0, 2.0, 1.0]),
    "numpy float64": (lambda: numpy().array([1.5, NAN, 2.5]), [1.5, None, 2.5]),
    "numpy float32": (lambda: numpy().array([0.5, 1.5, 2.5], "f4"), [0.5, 1.5, 2.5]),
    "numpy float16": (lambda: numpy().array([0.5, 1.5, 2.5], "f2"), [0.5, 1.5, 2.5]),
    "numpy big-endian": (lambda: numpy().array([0.5, 1.5, 2.5], ">f8"), [0.5, 1.5, 2.5]),
    "numpy int": (lambda: numpy().array([1, -2, 3], "i2"), [1.0, -2.0, 3.0]),
    "numpy uint64": (lambda: numpy().array([1, 2, 2**64 - 1], "u8"), [1.0, 2.0, float(2**64)]),
    "numpy bool": (lambda: numpy().array([True, False, True]), [True, False, True]),
    "numpy text": (lambda: numpy().array(["a", "bb", "a"]), ["a", "bb", "a"]),
    "numpy object": (lambda: numpy().array([1, "x", None], object), [1.0, "x", None]),
    "numpy strided": (lambda: numpy().arange(12.0).reshape(3, 4)[:, 1], [1.0, 5.0, 9.0]),
    "numpy masked": (lambda: numpy().ma.masked_array([1.0, 2.0, 3.0], [False, True, False]), [1.0, None, 3.0]),
    "list of numpy scalars": (lambda: [numpy().float32(0.5), numpy().int64(2), numpy().bool_(True)], [0.5, 2.0, True]),
    "pandas float": (lambda: pandas().Series([1.5, None, 2.5], index=[7, 7, 9]), [1.5, None, 2.5]),
    "pandas int": (lambda: pandas().Series([1, 2, 3], dtype="int32"), [1.0, 2.0, 3.0]),
    "pandas Int64": (lambda: pandas().Series([1, None, 3], dtype="Int64"), [1.0, None, 3.0]),
    "pandas boolean": (lambda: pandas().Series([True, None, False], dtype="boolean"), [True, None, False]),
    "pandas bool": (lambda: pandas().Series([True, True, False]), [True, True, False]),
    "pandas str": (lambda: pandas().Series(["a", None, "b"]), ["a", None, "b"]),
    "pandas object": (lambda: pandas().Series([1, "b", None], dtype=object), [1.0, "b", None]),
    "pandas category": (lambda: pandas().Series(["b", None, "a"], dtype="category"), ["b", None, "a"]),
    "pandas number category": (lambda: pandas().Series([5, None, 4], dtype="category"), [5.0, None, 4.0]),
    "pandas arrow": (lambda: pandas().Series([1, None, 3], dtype="int64[pyarrow]"), [1.0, None, 3.0]),
    "pandas arrow bool": (lambda: pandas().Series([True, None, False], dtype="bool[pyarrow]"), [True, None, False]),
    "pandas index": (lambda: pandas().Index([1, 2, 3]), [1.0, 2.0, 3.0]),
    "arrow float": (lambda: arrow().array([1.5, None, NAN]), [1.5, None, None]),
    "arrow sliced": (lambda: arrow().array([9, 1, None, 3, 9], "int8")[1:4], [1.0, None, 3.0]),
    "arrow chunked": (lambda: arrow().chunked_array([[1, None], [3]]), [1.0, None, 3.0]),
    "arrow bool": (lambda: arrow().array([True, None, False]), [True, None, False]),
    "arrow text": (lambda: arrow().array(["a", None, "b"]), ["a", None, "b"]),
    "arrow chunked text": (lambda: arrow().chunked_array([["a", None], ["b"]]), ["a", None, "b"]),
    "arrow large text": (lambda: arrow().array(["a", None, "b"], arrow().large_string()), ["a", None, "b"]),
    "arrow dictionary": (lambda: arrow().array(["a", None, "b"]).dictionary_encode(), ["a", None, "b"]),
    "arrow chunked dictionary": (
        lambda: arrow().chunked_array([["b", None], ["a"]]).dictionary_encode(),
        ["b", None, "a"],
    ),
    "arrow decimal": (lambda: arrow().array([Decimal("0.5"), None, Decimal(2)]), [0.5, None, 2.0]),
    "arrow null": (lambda: arrow().nulls(3), [None, None, None]),
    "polars float": (lambda: polars().Series([1.5, None, NAN]), [1.5, None, None]),
    "polars int": (lambda: polars().Series([1, None, 3], dtype=polars().Int16), [1.0, None, 3.0]),
    "polars bool": (lambda: polars().Series([True, None, False]), [True, None, False]),
    "polars text": (lambda: polars().Series(["a", None, "b"]), ["a", None, "b"]),
    "polars categories": (lambda: polars().Series(["a", None, "b"], dtype=polars().Categorical), ["a", None, "b"]),
    "polars decimal": (lambda: polars().Series([Decimal("0.5"), None, Decimal(2)]), [0.5, None, 2.0]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_says_what_its_values_are(recorded: Any, name: str) -> None:
    make, expected = COLUMNS[name]
    (found,) = said(recorded, x=make())
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))


@pytest.mark.parametrize("name", COLUMNS)
def test_a_sample_of_a_column_holds_its_own_values_in_their_places(
    recorded: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, expected = COLUMNS[name]
    column = make()
    monkeypatch.setattr(runtime.observations, "limits", QueueLimits(2, 2, 60.0))  # for two of the three rows
    andon.observe(features={"x": column, "place": [0, 1, 2]})
    rows = recorded.rows
    assert len(rows) == 2
    assert {row[AT + "weight"] for row in rows} == {1.5}
    for row in rows:
        found, wanted = row.get(AT + "feature.x"), expected[int(row[AT + "feature.place"])]
        assert (found, type(found)) == (wanted, type(wanted))


@pytest.mark.parametrize("name", [name for name in COLUMNS if name not in {"numpy masked"}])
def test_a_segment_is_text_whatever_its_column_was(recorded: Any, name: str) -> None:
    column = COLUMNS[name][0]()
    andon.observe(features={"x": [1, 2, 3]}, segment={"s": column})
    found = [row.get(AT + "segment.s") for row in recorded.rows]
    assert len(found) == 3
    assert {type(value) for value in found} <= {str, type(None)}


USELESS: dict[str, Callable[[], Any]] = {
    "numpy datetime64": lambda: numpy().array(["2026-01-02", "2026-01-03"], "M8[ns]"),
    "numpy complex": lambda: numpy().array([1j, 2j]),
    "numpy matrix": lambda: numpy().ones((2, 2)),
    "pandas datetime": lambda: pandas().Series(pandas().to_datetime(["2026-01-02", "2026-01-03"])),
    "pandas datetime with a zone": lambda: pandas().Series(
        pandas().to_datetime(["2026-01-02", "2026-01-03"], utc=True)
    ),
    "arrow timestamp": lambda: arrow().array([datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), None]),
    "arrow list": lambda: arrow().array([[1], [2]]),
    "polars date": lambda: polars().Series([datetime.date(2026, 1, 2), None]),
    "polars list": lambda: polars().Series([[1], [2]]),
    "list of dates": lambda: [datetime.date(2026, 1, 2), None],
}


@pytest.mark.parametrize("name", USELESS)
def test_a_column_that_no_detector_can_use_is_left_out_and_named(
    recorded: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "andon"):
        andon.observe(features={"when": USELESS[name](), "x": [1, 2]})
        assert recorded.rows == [{AT + "feature.x": 1.0}, {AT + "feature.x": 2.0}]
    assert len(caplog.messages) == 1
    assert "andon.observation.feature.when" in caplog.text
    assert "is left out" in caplog.text


TABLES: dict[str, Callable[[dict[str, list[Any]]], Any]] = {
    "mapping": lambda data: data,
    "pandas": lambda data: pandas().DataFrame(data),
    "polars": lambda data: polars().DataFrame(data),
    "arrow table": lambda data: arrow().table(data),
    "arrow record batch": lambda data: arrow().RecordBatch.from_pydict(data),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_whole_table_is_features_and_segments(recorded: Any, name: str) -> None:
    make = TABLES[name]
    andon.observe(features=make({"a": [1.5, 2.5], "b": ["x", "y"]}), segment=make({"s": ["n", "m"]}), score=0.5)
    assert recorded.rows == [
        {AT + "score": 0.5, AT + "feature.a": 1.5, AT + "feature.b": "x", AT + "segment.s": "n"},
        {AT + "score": 0.5, AT + "feature.a": 2.5, AT + "feature.b": "y", AT + "segment.s": "m"},
    ]


def test_what_is_no_table_is_named_and_counted(
    recorded: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "_last_line", {})
    before = losses.total(Loss.REJECTED)
    andon.observe(features=[1, 2])
    assert recorded.rows == []
    assert losses.total(Loss.REJECTED) == before + 1
    assert "take a mapping of names, a data frame or an Arrow table, not list" in caplog.text


@pytest.mark.parametrize(
    "make",
    [
        lambda: [1.0, 2.0],
        lambda: array("d", [1.0, 2.0]),
        lambda: numpy().array([1.0, 2.0]),
        lambda: numpy().array(["1.0", "2.0"], object),
        lambda: pandas().Series([1.0, 2.0]),
        lambda: pandas().Series(["1.0", "2.0"]),
    ],
)
def test_what_the_caller_changes_afterwards_is_not_sent(recorded: Any, make: Callable[[], Any]) -> None:
    column = make()
    expected = list(column)
    andon.observe(features={"x": column})
    column[0], column[1] = column[1], column[0]
    assert [row[AT + "feature.x"] for row in recorded.rows] == expected


class SpeaksArrow:
    """A column of some other library, known only by the Arrow PyCapsule interface."""

    def __init__(self, values: list[Any]) -> None:
        self._array = arrow().array(values)

    def __len__(self) -> int:
        return len(self._array)

    def __arrow_c_array__(self, requested_schema: object = None) -> Any:
        return self._array.__arrow_c_array__(requested_schema)


class SpeaksNumpy:
    """A column of some other library, known only by the array protocol."""

    def __init__(self, values: list[Any]) -> None:
        self._array = numpy().array(values)

    def __len__(self) -> int:
        return len(self._array)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self._array


class SpeaksNumpyOnlyInPart:
    """A column that refuses the array protocol but knows a list of itself, as a tensor on a device does."""

    def __len__(self) -> int:
        return 2

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("not on this device")

    def tolist(self) -> list[float]:
        return [1.0, 2.0]


def test_columns_of_unknown_libraries_are_read_by_their_protocols(recorded: Any) -> None:
    a, b, c = said(recorded, a=SpeaksArrow([1, None]), b=SpeaksNumpy([0.5, 1.5]), c=SpeaksNumpyOnlyInPart())
    assert (a, b, c) == ([1.0, None], [0.5, 1.5], [1.0, 2.0])


def test_a_long_batch_travels_in_records_of_bounded_size_with_times_that_go_on(
    recorded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [f"{n:04d}" + "x" * 900 for n in range(1000)]  # 25 columns of 0.9 MB: more than one record may hold
    monkeypatch.setattr(runtime.observations, "limits", QueueLimits(1000, 1000, 60.0))
    andon.observe(features={f"x{n}": texts for n in range(25)})
    records = recorded.observations
    assert len(records) > 1
    assert sum(record.count for record in records) == 1000
    assert all(sum(map(len, record.columns.values())) <= 4 * 2**20 for record in records)
    for before, after in pairwise(records):
        assert after.timestamp_ns == before.timestamp_ns + before.count
    assert [row[AT + "feature.x7"] for row in recorded.rows] == texts
