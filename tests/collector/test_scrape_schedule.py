"""When a target is asked next: even intervals, an offset for each target, fewer scrapes while it fails."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.scrape.schedule import LONGEST_BACKOFF_SECONDS, next_scrape, offset_of


@pytest.mark.parametrize(
    ("now", "expected"),
    [(0, 4), (3.9, 4), (4, 19), (18, 19), (19.5, 34), (100, 109)],  # 4 + 15 k
)
def test_scrapes_stand_at_the_offset_in_every_interval(now: float, expected: float) -> None:
    assert next_scrape(now, offset=4, interval=15, failures=0) == expected


@pytest.mark.parametrize(
    ("failures", "expected"),
    # 1, 2, 4, 8, 16 intervals of 15 s, and no more than 20, which are 300 s.
    [(0, 19), (1, 19), (2, 34), (3, 64), (4, 124), (5, 244), (6, 304), (1000, 304)],
)
def test_every_failure_after_the_first_doubles_the_wait_up_to_five_minutes(failures: int, expected: float) -> None:
    assert next_scrape(5, offset=4, interval=15, failures=failures) == expected


def test_an_interval_longer_than_the_longest_wait_stays_as_it_is() -> None:
    assert next_scrape(0, offset=0, interval=600, failures=9) == 600


def test_an_offset_is_the_targets_own_and_the_same_at_every_start() -> None:
    offsets = [offset_of(f"vllm 10.0.0.{number}:8000", 15.0) for number in range(200)]
    assert offsets == [offset_of(f"vllm 10.0.0.{number}:8000", 15.0) for number in range(200)]
    # Spread evenly, each third of the interval holds 67 of 200; far from even is fewer than 40.
    assert all(sum(low <= offset < low + 5 for offset in offsets) > 40 for low in (0, 5, 10))


@given(st.floats(0, 1e8), st.floats(0.1, 1e4), st.integers(0, 100), st.text(max_size=5))
def test_the_next_scrape_comes_and_never_later_than_the_longest_wait(
    now: float, interval: float, failures: int, name: str
) -> None:
    next_one = next_scrape(now, offset_of(name, interval), interval, failures)
    assert now - 1e-6 <= next_one <= now + max(LONGEST_BACKOFF_SECONDS, interval) + 1e-6
