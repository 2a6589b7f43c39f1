"""What a series says is written once for each day of its points, and again whenever that may not have been enough."""

from __future__ import annotations

import pyarrow as pa
import pytest

from collector.announced import Announced
from collector.columns import TIME

DAY = 24 * 3600 * 10**9
NOON = 20_000 * DAY + DAY // 2


def points(*names: int, at: int = NOON) -> pa.Table:
    return pa.table({"series": pa.array(names, pa.uint64()), "time": pa.array([at] * len(names)).cast(TIME)})


def announced(known: Announced, rows: pa.Table, project: str = "default", now: int = NOON) -> list[int]:
    """The series that are announced with these points, which then are on disk."""
    missing = known.missing(project, rows, now)
    known.made(missing)
    found: list[int] = rows.column("series").take(pa.array(missing.places)).to_pylist()
    return found


def test_a_series_is_announced_with_its_first_point_and_not_again_that_day() -> None:
    known = Announced()
    assert announced(known, points(7, 3, 7)) == [7, 3]
    assert announced(known, points(3, 5, 7, 5)) == [5]
    assert known.health() == {"today": 3, "announced_total": 3, "forgotten_total": 0}


def test_the_day_is_that_of_the_point() -> None:
    known = Announced()
    both = pa.concat_tables([points(1), points(1, at=NOON - DAY)])
    assert announced(known, both) == [1, 1]
    assert announced(known, both) == []
    assert announced(known, points(1, at=NOON + DAY), now=NOON + DAY) == [1]
    assert known.health()["today"] == 1


def test_a_project_has_series_of_its_own() -> None:
    known = Announced()
    assert announced(known, points(1), "a") == [1]
    assert announced(known, points(1), "b") == [1]


def test_series_of_days_that_retention_may_have_emptied_are_announced_each_time() -> None:
    known = Announced()
    old = points(1, at=NOON - 30 * DAY)
    assert announced(known, old) == announced(known, old) == [1]


def test_what_was_not_written_counts_as_not_announced() -> None:
    known = Announced()
    assert len(known.missing("default", points(1), NOON).places) == 1
    assert announced(known, points(1)) == [1]


def test_after_a_loss_everything_is_announced_again_also_what_was_on_its_way() -> None:
    known = Announced()
    announced(known, points(1))
    underway = known.missing("default", points(2), NOON)
    known.forget()
    known.made(underway)
    assert announced(known, points(1, 2)) == [1, 2]
    assert known.health()["forgotten_total"] == 1


def test_it_remembers_no_more_than_it_may() -> None:
    known = Announced(most=100)
    for first in range(0, 10_000, 40):
        announced(known, points(*range(first, first + 40)))
    assert known.health()["today"] <= 100
    assert known.health()["forgotten_total"] == 83  # every third batch of 40 goes beyond 100


@pytest.mark.parametrize("size", [1, 7, 64])
def test_in_whichever_batches_they_come_each_is_announced_once(size: int) -> None:
    known = Announced()
    names = [(number * 7919) % 1000 for number in range(3000)]
    told = [name for first in range(0, 3000, size) for name in announced(known, points(*names[first : first + size]))]
    assert sorted(told) == list(range(1000))
