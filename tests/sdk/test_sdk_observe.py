"""Observations: what a row or a column says, in the place where it was made, with unknown left out."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import andon
import pytest
from andon.notices import Loss, losses
from andon.observations import attribute_value
from andon.packing import pack_values
from hypothesis import given
from hypothesis import strategies as st

from tests.packed_rows import values_of

AT = "andon.observation."


def test_one_call_is_one_record_in_the_current_pipeline_stage_and_run(recorded: Any) -> None:
    @andon.stage("score")
    def score() -> None:
        andon.observe(
            model="fraud-2",
            features={"amount": 12.5, "items": 3, "country": "SE", "known": True},
            prediction="ok",
            score=0.93,
            label=False,
            segment={"region": "north", "tier": 2},
        )

    @andon.pipeline("fraud")
    def fraud() -> None:
        score()

    fraud()
    span = recorded.span("score")
    (observation,) = recorded.observations
    assert observation.span_context == span.context
    assert recorded.rows == [
        {
            "gen_ai.request.model": "fraud-2",
            "andon.pipeline": "fraud",
            "andon.stage": "score",
            "andon.run.id": span.attributes["andon.run.id"],
            AT + "feature.amount": 12.5,
            AT + "feature.items": 3,
            AT + "feature.country": "SE",
            AT + "feature.known": True,
            AT + "prediction": "ok",
            AT + "score": 0.93,
            AT + "label": False,
            AT + "segment.region": "north",
            AT + "segment.tier": "2",
        }
    ]


def test_columns_make_a_record_of_each_row_and_single_values_hold_for_all(recorded: Any) -> None:
    andon.observe(model="m", features={"a": [1, 2], "b": (0.5, None)}, score=[0.1, 0.2], segment={"site": "x"})
    assert recorded.rows == [
        {"gen_ai.request.model": "m", AT + "segment.site": "x", AT + "feature.a": 1, AT + "feature.b": 0.5}
        | {AT + "score": 0.1},
        {"gen_ai.request.model": "m", AT + "segment.site": "x", AT + "feature.a": 2, AT + "score": 0.2},
    ]


def test_columns_of_unequal_length_are_named_counted_and_not_sent(
    recorded: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "_last_line", {})
    before = losses.total(Loss.REJECTED)
    andon.observe(features={"age": [1, 2, 3], "income": [1, 2]}, score=[0.1, 0.2, 0.3])
    assert recorded.rows == []
    assert losses.total(Loss.REJECTED) == before + 3
    assert "columns differ in length (score has 3, feature.age has 3, feature.income has 2)" in caplog.text


def test_arrays_are_columns_and_their_scalars_are_values(recorded: Any) -> None:
    numpy = pytest.importorskip("numpy")
    andon.observe(features={"x": numpy.array([1.5, 2.5]), "n": numpy.array([1, 2])}, score=numpy.float32(0.5))
    andon.observe(features={"n": numpy.int64(7), "yes": numpy.bool_(True)})
    assert recorded.rows == [
        {AT + "score": 0.5, AT + "feature.x": 1.5, AT + "feature.n": 1},
        {AT + "score": 0.5, AT + "feature.x": 2.5, AT + "feature.n": 2},
        {AT + "feature.n": 7, AT + "feature.yes": True},
    ]
    assert type(recorded.rows[2][AT + "feature.yes"]) is bool


def test_what_the_caller_changes_afterwards_is_not_sent(recorded: Any) -> None:
    column = [1, 2]
    andon.observe(features={"a": column})
    column.append(3)
    assert [row[AT + "feature.a"] for row in recorded.rows] == [1, 2]


def test_no_rows_are_no_records(recorded: Any) -> None:
    andon.observe(features={"a": []})
    assert recorded.rows == []


@pytest.mark.parametrize(
    ("given_value", "sent"),
    [
        (1, 1),
        (True, True),
        (2.5, 2.5),
        ("text", "text"),
        (Decimal("1.25"), 1.25),
        (2**70, float(2**70)),
        (float("inf"), float("inf")),
        (float("nan"), None),
        (None, None),
        ("lone \ud800 surrogate", "lone ? surrogate"),
    ],
)
def test_values_become_what_an_attribute_can_carry(given_value: object, sent: object) -> None:
    found = attribute_value(AT + "feature.x", given_value)
    assert found == sent
    assert type(found) is type(sent)


def test_a_value_of_no_use_is_left_out_and_named(recorded: Any, caplog: pytest.LogCaptureFixture) -> None:
    andon.observe(features={"when": datetime.date(2026, 1, 2), "x": 1}, segment={"day": datetime.date(2026, 1, 2)})
    assert recorded.rows == [{AT + "feature.x": 1, AT + "segment.day": "2026-01-02"}]
    assert f"{AT}feature.when=datetime.date(2026, 1, 2) is left out" in caplog.text


values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
    st.sampled_from(["lone \ud800 surrogate", 2**63, -(2**63), 10**400]),
)
tables = st.integers(1, 8).flatmap(
    lambda n: st.dictionaries(
        st.sampled_from([AT + "feature.x", AT + "feature.y", AT + "prediction", AT + "segment.s"]),
        st.lists(values, min_size=n, max_size=n) | st.lists(st.floats() | st.none(), min_size=n, max_size=n),
        min_size=1,
    )
)


@given(tables)
def test_a_packed_column_says_what_the_attributes_of_its_rows_would(table: dict[str, list[Any]]) -> None:
    for name, column in table.items():
        expected = [attribute_value(name, value) for value in column]
        expected = [float(value) if type(value) is int else value for value in expected]
        found = values_of(pack_values(name, column), len(column))
        assert found == expected
        assert list(map(type, found)) == list(map(type, expected))
