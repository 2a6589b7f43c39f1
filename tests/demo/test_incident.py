"""When the incident comes and goes, and when requests arrive."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.incident import PROMPT_FACTOR, Conditions, Phase, Schedule, ordered_phase
from demo.pace import CATCH_UP_SECONDS, Pace


@pytest.mark.parametrize(
    ("elapsed", "phase"),
    [(0, Phase.NORMAL), (59.9, Phase.NORMAL), (60, Phase.INCIDENT), (149.9, Phase.INCIDENT), (150, Phase.NORMAL)],
)
def test_the_incident_comes_and_goes_on_time(elapsed: float, phase: Phase) -> None:
    assert Schedule(after_seconds=60, length_seconds=90).phase(elapsed) is phase


def test_an_incident_of_length_zero_stays() -> None:
    assert Schedule(after_seconds=60, length_seconds=0).phase(1e9) is Phase.INCIDENT


def test_without_an_incident_nothing_happens() -> None:
    assert Schedule(after_seconds=None).phase(1e9) is Phase.NORMAL


@pytest.mark.parametrize(
    ("content", "phase"),
    [("incident\n", Phase.INCIDENT), ("normal", Phase.NORMAL), ("", None), ("perhaps", None), (None, None)],
)
def test_a_control_file_orders_a_phase_while_it_says_one(
    tmp_path: Path, content: str | None, phase: Phase | None
) -> None:
    file = tmp_path / "control"
    if content is not None:
        file.write_text(content)
    assert ordered_phase(file) is phase


def test_conditions_are_as_before_when_the_incident_is_over() -> None:
    async def through() -> list[tuple[float, bool]]:
        conditions = Conditions()
        seen = []
        for phase in (Phase.NORMAL, Phase.INCIDENT, Phase.NORMAL):
            conditions.enter(phase)
            seen.append((conditions.prompt_factor, conditions.documents_available.is_set()))
        return seen

    assert asyncio.run(through()) == [(1.0, True), (PROMPT_FACTOR, False), (1.0, True)]


def test_requests_arrive_at_the_rate_asked_for() -> None:
    # 10 000 exponential pauses of 0.1 s: the sum is 1000 s with a standard deviation of 10 s.
    pace = Pace(10, Random(1))
    arrivals = [pace.next_arrival(0) for _ in range(10_001)]
    assert arrivals[-1] == pytest.approx(1000, abs=50)


def test_a_long_pause_is_not_made_up_for() -> None:
    pace = Pace(1000, Random(1))
    pace.next_arrival(0)
    assert pace.next_arrival(60) == 60 - CATCH_UP_SECONDS


@given(st.lists(st.floats(0, 5), max_size=50))
def test_arrivals_never_go_back_in_time(pauses: list[float]) -> None:
    pace = Pace(5, Random(2))
    now = last = 0.0
    for pause in pauses:
        now += pause
        arrival = pace.next_arrival(now)
        assert arrival >= last
        last = arrival
