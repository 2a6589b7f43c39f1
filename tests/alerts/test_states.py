"""The life of an alert, against timelines worked out by hand and against its laws."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.states import Life, NoData, Observed, State, Timing, Transition, close, restart_clock, step
from tests.alerts.receiver import at

SYMBOLS = {"T": Observed.TRUE, "F": Observed.FALSE, "-": Observed.NO_DATA}


def play(timeline: str, timing: Timing, every: float = 10) -> tuple[str, Life]:
    """One symbol an evaluation, `every` seconds apart; the states as i, p, f, r, in capitals where somebody is told."""
    life, told = Life(), ""
    for index, symbol in enumerate(timeline):
        life, transition = step(life, SYMBOLS[symbol], at(index * every), timing)
        letter = {"inactive": "i", "pending": "p", "firing": "f", "resolved": "r"}[life.state]
        told += letter.upper() if transition in {Transition.FIRING, Transition.RESOLVED} else letter
    return told, life


def timing(hold: float = 0, keep: float = 0, no_data: NoData = NoData.KEEP) -> Timing:
    return Timing(timedelta(seconds=hold), timedelta(seconds=keep), no_data)


@pytest.mark.parametrize(
    ("timeline", "when", "states"),
    [
        # evaluations at 0, 10, 20 ... s
        ("FFTTF", timing(), "iiFfR"),
        ("TTTTFT", timing(hold=30), "pppFRp"),
        ("TTFTTT", timing(hold=20), "ppippF"),
        ("TFFTFFFT", timing(keep=20), "FfffffRF"),
        ("TFTFTF", timing(keep=10), "Ffffff"),
        ("T-----F", timing(), "FfffffR"),
        ("T-----F", timing(no_data=NoData.OK), "FRrrrrr"),
        ("F------", timing(hold=20, no_data=NoData.FIRE), "ippFfff"),
        ("F-F-F-F", timing(hold=10, no_data=NoData.FIRE), "ipipipi"),
        ("T--TTF", timing(hold=20), "pppppi"),
        ("TT--TT", timing(hold=20), "pppppF"),
        ("TF---FFF", timing(keep=20), "FffffffR"),
    ],
)
def test_timelines(timeline: str, when: Timing, states: str) -> None:
    assert play(timeline, when)[0] == states


def test_times_of_an_episode() -> None:
    _, life = play("FTTTFF", timing(hold=20, keep=10))
    assert life.state is State.RESOLVED
    assert (life.firing_since, life.resolved_at, life.episode) == (at(30), at(50), 1)
    _, life = play("TFTFTF", timing())
    assert life.episode == 3


def test_a_clock_set_back_does_not_shorten_a_wait() -> None:
    life, _ = step(Life(), Observed.TRUE, at(100), timing(hold=20))
    life, _ = step(life, Observed.TRUE, at(40), timing(hold=20))
    life, transition = step(life, Observed.TRUE, at(59), timing(hold=20))
    assert transition is None
    _, transition = step(life, Observed.TRUE, at(60), timing(hold=20))
    assert transition is Transition.FIRING


def test_a_removed_rule_resolves_at_once_and_clears_what_was_pending() -> None:
    _, firing = play("T", timing(keep=3600))
    assert close(firing, at(10))[1] is Transition.RESOLVED
    _, pending = play("T", timing(hold=60))
    assert close(pending, at(10)) == (Life(), Transition.CLEARED)
    assert close(Life(), at(10)) == (Life(), None)


def test_a_changed_comparison_waits_anew() -> None:
    _, life = play("TTT", timing(hold=30))
    life = restart_clock(life)
    for second, expected in ((30, None), (40, None), (50, None), (60, Transition.FIRING)):
        life, transition = step(life, Observed.TRUE, at(second), timing(hold=30))
        assert transition is expected


steps = st.lists(st.tuples(st.integers(0, 60), st.sampled_from(list(Observed))), max_size=60)
timings = st.builds(timing, st.integers(0, 90), st.integers(0, 90), st.sampled_from(list(NoData)))


@given(steps, timings)
def test_every_episode_fires_once_and_resolves_once(timeline: list[tuple[int, Observed]], when: Timing) -> None:
    life, second = Life(), 0
    told: list[tuple[Transition, int]] = []
    for wait, observed in timeline:
        second += wait
        life, transition = step(life, observed, at(second), when)
        if transition in {Transition.FIRING, Transition.RESOLVED}:
            told.append((transition, life.episode))
    pairs = [
        (kind, episode) for episode in range(1, life.episode + 1) for kind in (Transition.FIRING, Transition.RESOLVED)
    ]
    assert told == pairs[: len(told)]
    assert len(told) == 2 * life.episode - (life.state is State.FIRING)


@given(steps, st.integers(1, 90), st.integers(1, 90))
def test_nothing_fires_before_it_held_and_nothing_resolves_before_it_was_quiet(
    timeline: list[tuple[int, Observed]], hold: int, keep: int
) -> None:
    """Seconds are counted between neighbouring evaluations that both found the same known thing."""
    when, life, second = timing(hold, keep), Life(), 0
    true_for = false_for = 0
    before: Observed | None = None
    for wait, observed in timeline:
        second += wait
        if observed is Observed.TRUE:
            true_for, false_for = true_for + (wait if before is Observed.TRUE else 0), 0
        elif observed is Observed.FALSE:
            true_for, false_for = 0, false_for + (wait if before is Observed.FALSE else 0)
        before = observed
        life, transition = step(life, observed, at(second), when)
        if transition is Transition.FIRING:
            assert true_for >= hold
        if transition is Transition.RESOLVED:
            assert false_for >= keep


@given(steps, timings)
def test_a_stored_life_continues_as_if_never_stored(timeline: list[tuple[int, Observed]], when: Timing) -> None:
    """All that a step needs stands in the life itself: a copy field by field behaves the same."""
    life, copy, second = Life(), Life(), 0
    for wait, observed in timeline:
        second += wait
        life, expected = step(life, observed, at(second), when)
        copy, transition = step(Life(**vars(copy)), observed, at(second), when)
        assert (copy, transition) == (life, expected)
