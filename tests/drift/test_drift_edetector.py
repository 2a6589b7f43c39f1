"""The detector's arithmetic by hand, its identities, and what must not change its mind."""

from __future__ import annotations

import json
import math
from datetime import timedelta

import numpy as np
import pytest
from drift_data import START, A, baseline_of, quantiles, window
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.baseline import Baseline
from drift.bins import EDGE_LEVELS, Bins, rank_intervals, smoothed
from drift.course import Course, MonitorState, follow
from drift.edetector import (
    BETS,
    LEAST_LOG_EVIDENCE,
    DetectorState,
    Kind,
    Tolerances,
    design_effects,
    leader,
    log_e_values,
    log_evidence,
    log_factors,
    scores,
    step,
    tolerances,
    window_phi,
)
from drift.windows import Window, merge_cells

FOUR = Bins((1.0, 2.0, 3.0), 1, 1)
EQUAL = (25, 25, 25, 25)


def test_scores_of_four_equal_cells() -> None:
    """Ranks 0, 1/4, 1/2, 3/4, 1. Location: before + after - 1. Scale in [0, 1/4]: 2/16 - 3/4 + 1 = 3/8, and so on."""
    found = scores(EQUAL, FOUR)
    assert found[0] == pytest.approx([-0.75, -0.25, 0.25, 0.75])
    assert found[1] == pytest.approx([0.375, -0.375, -0.375, 0.375])
    assert found[2] == pytest.approx([-0.25, -0.25, -0.25, 0.75])
    assert found[3] == pytest.approx([0.75, -0.25, -0.25, -0.25])


def test_a_cell_that_is_one_tied_value_stands_for_all_its_ranks() -> None:
    """A constant: cells below, at and above. It scores 0; either side scores what the extreme ranks 0 and 1 do."""
    found = scores((0, 50, 0), Bins((math.nextafter(7.0, 0), 7.0), 1, 1))
    assert found[0] == pytest.approx([-1, 0, 1])
    assert found[1] == pytest.approx([1, 0, 1])
    assert found[2] == pytest.approx([0, 0, 1])
    assert found[3] == pytest.approx([1, 0, 0])


def test_tolerance_is_the_gate_and_two_and_a_half_standard_errors_of_the_baseline() -> None:
    """Location variance of four equal cells: (.5625 + .0625) / 2 = .3125; eps = .01 + 2.5 sqrt(.3125 / 100)."""
    same = [(25, 25, 25, 25)] * 1
    known = tolerances(same, scores(EQUAL, FOUR))
    assert known.sd[0] == pytest.approx(math.sqrt(0.3125))
    assert known.phi == (1.0, 1.0, 1.0, 1.0)
    assert known.eps[0] == pytest.approx(0.01 + 2.5 * math.sqrt(0.003125))
    assert known.eps[2] == pytest.approx(0.002 + 2.5 * math.sqrt(0.1875 / 100))
    assert known.rows_per_window == 100


def test_design_effect_is_the_mean_square_between_windows_over_the_variance() -> None:
    """Four windows of 4 rows with location means +-.5: between = 4 x 4 x .25 / 3 = 4/3; over .3125 that is 4.2667.

    For 3 degrees of freedom a mean chi-square exceeds 2.6 in 5 % of cases (tables: 7.815 / 3 = 2.605) and falls below
    .117 (.352 / 3) in 5 %; the ratio is beyond chance, so it is divided by that, and the tails take it over.
    """
    low, high = (2, 2, 0, 0), (0, 0, 2, 2)
    known = tolerances([low, high, low, high], scores((4, 4, 4, 4), FOUR))
    variance = float((scores((4, 4, 4, 4), FOUR)[0] ** 2).mean())
    assert variance == pytest.approx(0.3125)
    assert known.phi[0] == pytest.approx((4 / 3 / 0.3125) / 0.117, rel=0.1)
    assert known.phi[1:] == (known.phi[0],) * 3


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ((0.5, 0.5, 0.5, 0.5), (1, 1, 1, 1)),
        ((1.2, 1.0, 1.4, 1.1), (1.2, 1.2, 1.4, 1.2)),
        ((9.0, 1.0, 1.0, 1.0), (16.9, 16.9, 16.9, 16.9)),  # chi-square(19) 5 %: 10.117; 9 x 19 / 10.117 = 16.9
        ((1.0, 9.0, 1.0, 1.0), (1, 16.9, 16.9, 16.9)),
    ],
)
def test_design_effects_of_twenty_windows(ratios: tuple[float, ...], expected: tuple[float, ...]) -> None:
    found = design_effects(np.asarray(ratios), 20)
    assert found == pytest.approx(expected, rel=0.01)


def test_a_larger_window_than_the_baselines_has_a_larger_design_effect() -> None:
    known = Tolerances((1, 1, 1, 1), (3.0, 1.0, 1.0, 1.0), (0, 0, 0, 0), rows_per_window=100)
    assert window_phi(known, 50) == pytest.approx([3, 1, 1, 1])
    assert window_phi(known, 1000) == pytest.approx([21, 1, 1, 1])


def test_one_e_value_by_hand() -> None:
    """Location up, stake .5, eps .05: a row in the highest cell pays 1 + .5 (.75 - .05) = 1.35, in the lowest .6."""
    known = Tolerances((1, 1, 1, 1), (1.0,) * 4, (0.05,) * 4, 100)
    factors = log_factors(scores(EQUAL, FOUR), known.eps)
    bet = BETS.index((0, 1, 0.5))
    found = log_e_values(factors, known, (1, 0, 0, 3))
    assert math.exp(found[bet]) == pytest.approx(0.6 * 1.35**3)
    halved = log_e_values(factors, Tolerances((1, 1, 1, 1), (2.0,) * 4, (0.05,) * 4, 100), (1, 0, 0, 3))
    assert math.exp(halved[bet]) == pytest.approx(math.sqrt(0.6 * 1.35**3))


@given(
    counts=st.lists(st.integers(1, 50), min_size=4, max_size=4),
    eps=st.floats(0.0, 30.0),
)
def test_no_bet_expects_to_gain_under_the_baseline(counts: list[int], eps: float) -> None:
    """E[1 + stake (sign g - eps)] <= 1 when the means are within eps, and a factor never falls below 1 - stake."""
    factors = log_factors(scores(counts, FOUR), (eps,) * 4)
    shares = np.asarray(counts) / sum(counts)
    assert (np.exp(factors) @ shares <= 1 + 1e-12).all()
    stakes = np.asarray([stake for _, _, stake in BETS])
    assert (np.exp(factors).min(axis=1) >= 1 - stakes - 1e-12).all()


def test_shiryaev_roberts_and_cusum_by_hand() -> None:
    """e-values 3, 1/2, 4 for one bet and 1 for the others. R: 3, 2, 12. C: 3, 3/2, 6. Others R: 1, 2, 3."""
    state = DetectorState.fresh()
    assert log_evidence(state) == LEAST_LOG_EVIDENCE
    assert leader(state) is None
    for number, e_value in enumerate((3.0, 0.5, 4.0)):
        log_e = np.zeros(len(BETS))
        log_e[7] = math.log(e_value)
        state = step(state, log_e, START + timedelta(hours=number))
    assert math.exp(state.log_r1[7]) - 1 == pytest.approx(12)
    assert math.exp(state.log_c[7]) == pytest.approx(6)
    assert math.exp(log_evidence(state)) == pytest.approx((12 + 47 * 3) / 48)
    found = leader(state)
    assert found is not None
    assert (found.kind, found.sign, found.change_time) == (Kind.LOCATION, -1, START)


def test_the_change_time_is_where_the_cusum_began_its_last_run() -> None:
    """C after e = 2, 1/4, 1/2, 5: 2, 1/2, 1/2, 5: it falls below 1 in the second window and starts anew after each."""
    state = DetectorState.fresh()
    for number, e_value in enumerate((2.0, 0.25, 0.5, 5.0)):
        state = step(state, np.full(len(BETS), math.log(e_value)), START + timedelta(hours=number))
    assert state.run_start == (START + timedelta(hours=3),) * len(BETS)


def test_evidence_neither_overflows_nor_vanishes() -> None:
    state = DetectorState.fresh()
    for log_e in (1e6, 1e6, -1e9, 5.0):
        state = step(state, np.full(len(BETS), log_e), START)
    assert log_evidence(state) == pytest.approx(5.0, abs=0.01)
    huge = step(DetectorState.fresh(), np.full(len(BETS), 1e6), START)
    assert log_evidence(huge) == pytest.approx(1e6)
    tiny = step(DetectorState.fresh(), np.full(len(BETS), -1e9), START)
    assert log_evidence(tiny) == LEAST_LOG_EVIDENCE


def test_a_window_of_a_hundred_million_rows_is_judged_in_finite_numbers() -> None:
    rng = np.random.default_rng(5)
    baseline = baseline_of([rng.normal(size=500) for _ in range(20)])
    million = Window(START, START, tuple(count * 10_000 for count in baseline.cells), quantiles=baseline.quantiles)
    course, verdict = follow(Course.begin(START), baseline, million, A)
    assert course.state is MonitorState.QUIET
    assert "Infinity" not in json.dumps([course.to_json(), verdict.to_json()], allow_nan=False)


@given(st.lists(st.integers(0, 100), min_size=4, max_size=4), st.lists(st.integers(0, 100), min_size=4, max_size=4))
def test_log_e_of_merged_counts_is_the_sum(first: list[int], second: list[int]) -> None:
    known = Tolerances((1, 1, 1, 1), (1.0,) * 4, (0.02,) * 4, 100)
    factors = log_factors(scores(EQUAL, FOUR), known.eps)
    merged = log_e_values(factors, known, merge_cells(tuple(first), tuple(second)))
    assert merged == pytest.approx(log_e_values(factors, known, first) + log_e_values(factors, known, second), abs=1e-9)


NUMBERS = st.floats(-1e12, 1e12, allow_nan=False).map(lambda value: round(value, 3))


@settings(max_examples=60)
@given(st.lists(NUMBERS, min_size=1, max_size=200), st.lists(NUMBERS, max_size=50), st.randoms())
def test_counts_are_of_the_whole_in_any_order(sample: list[float], more: list[float], random: object) -> None:
    bins = Bins.from_quantiles(quantiles(sample, EDGE_LEVELS))
    whole = bins.count(sample + more)
    assert merge_cells(bins.count(sample), bins.count(more)) == whole
    shuffled = sample + more
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert bins.count(shuffled) == whole
    assert sum(whole) == len(sample) + len(more)


@settings(max_examples=60)
@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=200), st.lists(st.integers(-2000, 2000), max_size=50))
def test_a_monotone_change_of_scale_changes_no_count(sample: list[int], later: list[int]) -> None:
    plain = Bins.from_quantiles(quantiles(sample, EDGE_LEVELS))
    cubed = Bins.from_quantiles(quantiles([float(value**3) for value in sample], EDGE_LEVELS))
    assert plain.count(later) == cubed.count([float(value**3) for value in later])
    assert (plain.low_cells, plain.high_cells) == (cubed.low_cells, cubed.high_cells)


@settings(max_examples=40)
@given(st.lists(st.lists(NUMBERS, min_size=1, max_size=30), min_size=2, max_size=6))
def test_baseline_and_course_survive_json(samples: list[list[float]]) -> None:
    baseline = baseline_of(samples)
    assert Baseline.from_json(json.loads(json.dumps(baseline.to_json()))) == baseline
    course = Course.begin(START)
    for number, sample in enumerate(samples):
        course, _ = follow(course, baseline, window(baseline.bins, sample, number), A)
    assert Course.from_json(json.loads(json.dumps(course.to_json()))) == course


def test_edges_ascend_and_an_atom_has_a_cell_of_its_own() -> None:
    bins = Bins.from_quantiles([0.0] * 12 + [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0])
    assert bins.edges[:3] == (-5e-324, 0.0, 1.0)
    assert bins.low_cells == 1  # below the atom: the atom itself holds half of the rows, not the lowest 1 %
    assert bins.high_cells == 2  # (10, 11] and above 11
    assert bins.count([-1.0, 0.0, 0.0, 0.5]) == (1, 2, 1) + (0,) * 11


def test_ranks_and_smoothed_shares_by_hand() -> None:
    before, after = rank_intervals((1, 0, 3))
    assert list(before) == [0, 0.25, 0.25]
    assert list(after) == [0.25, 0.25, 1]
    assert smoothed((1, 0, 3)) == pytest.approx([1.5 / 5.5, 0.5 / 5.5, 3.5 / 5.5])


def test_a_drift_closes_after_three_calm_windows_and_the_evidence_starts_anew() -> None:
    rng = np.random.default_rng(3)
    baseline = baseline_of([rng.normal(size=500) for _ in range(20)])
    course = Course.begin(START)
    states = []
    for number, shift in enumerate((0, 2, 2, 0, 0, 0, 0)):
        course, _ = follow(course, baseline, window(baseline.bins, rng.normal(shift, 1, 500), number), A)
        states.append(course.state)
    drifting, quiet = MonitorState.DRIFTING, MonitorState.QUIET
    assert states == [quiet, drifting, drifting, drifting, drifting, quiet, quiet]
    assert course.alarm is not None
    assert (course.alarm.change_time, course.alarm.closed_at) == (
        START + timedelta(seconds=1),
        START + timedelta(seconds=6),
    )
    assert course.detector.windows == 1


def test_a_small_drift_that_stays_does_not_close() -> None:
    rng = np.random.default_rng(4)
    baseline = baseline_of([rng.normal(size=500) for _ in range(40)])
    course = Course.begin(START)
    for number in range(80):
        course, _ = follow(course, baseline, window(baseline.bins, rng.normal(0.15, 1, 500), number), A)
        if number > 20:
            assert course.state is MonitorState.DRIFTING
