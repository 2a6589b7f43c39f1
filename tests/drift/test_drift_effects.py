"""Effect sizes by hand, and what is unknown stays unknown."""

from __future__ import annotations

import math

import numpy as np
import pytest
from drift_data import START, A, baseline_of, first_alarm, window

from drift.course import Course, follow
from drift.edetector import Tolerances
from drift.effects import (
    kolmogorov_smirnov,
    population_stability,
    population_stability_expected,
    smallest_shift,
    wasserstein_over_iqr,
)
from drift.windows import QUANTILE_LEVELS


def test_ks_is_the_largest_gap_of_the_distribution_functions() -> None:
    """F: .25 .5 .75 1; G of (1, 1, 1, 7): .1 .2 .3 1. Gaps .15 .3 .45 0."""
    assert kolmogorov_smirnov((25, 25, 25, 25), (1, 1, 1, 7)) == pytest.approx(0.45)


def test_psi_uses_half_a_row_in_every_cell() -> None:
    """(9, 1) and (1, 9) with 1/2 added: shares 9.5/11 and 1.5/11; PSI = 2 (8/11) ln(9.5/1.5)."""
    assert population_stability((9, 1), (1, 9)) == pytest.approx(2 * 8 / 11 * math.log(9.5 / 1.5))
    assert population_stability((5, 5), (50, 50)) == pytest.approx(0)


def test_psi_expected_by_chance() -> None:
    assert population_stability_expected((50, 25, 25), (10, 5, 5)) == pytest.approx(2 * (1 / 100 + 1 / 20))


def test_w1_of_a_plain_shift_is_the_shift_in_interquartile_ranges() -> None:
    before = [100 * level for level in QUANTILE_LEVELS]
    after = [value + 25 for value in before]
    assert wasserstein_over_iqr(before, after) == pytest.approx(25 / 50)
    assert wasserstein_over_iqr(before, before) == 0


def test_w1_is_unknown_without_spread_or_without_rows() -> None:
    flat = [7.0] * len(QUANTILE_LEVELS)
    assert wasserstein_over_iqr(flat, flat) is None
    assert wasserstein_over_iqr([100 * level for level in QUANTILE_LEVELS], []) is None
    huge = [1e308 * (level - 0.5) * 3.6 for level in QUANTILE_LEVELS]
    assert wasserstein_over_iqr(huge, huge) is None


def test_the_smallest_detectable_shift_is_found_in_one_window_about_half_the_time() -> None:
    rng = np.random.default_rng(21)
    found = []
    for _ in range(40):
        baseline = baseline_of([rng.normal(size=200) for _ in range(20)])
        shift = smallest_shift(baseline.tolerances, 200, A)
        assert shift is not None
        alarm = first_alarm(baseline, lambda rows, by=shift: rng.normal(by, 1, rows), 200, 1)
        found.append(alarm is not None)
    assert 0.25 < np.mean(found) < 0.75


def test_a_window_that_is_too_small_for_any_shift_says_unknown() -> None:
    known = Tolerances((0.577,) * 4, (1.0,) * 4, (0.05,) * 4, 100)
    assert smallest_shift(known, 5, A) is None
    assert smallest_shift(known, 100, A) is not None


def test_effects_of_a_window_without_numbers_are_unknown() -> None:
    rng = np.random.default_rng(22)
    baseline = baseline_of([rng.normal(size=100) for _ in range(20)])
    course, verdict = follow(Course.begin(START), baseline, window(baseline.bins, []), A)
    effects = verdict.effects
    assert course == Course.begin(START)
    assert verdict.log10_evidence is None
    assert (effects.ks, effects.w1_iqr, effects.psi, effects.shift, effects.median) == (None,) * 5
    assert effects.baseline_median is not None


def test_the_shift_interval_covers_no_change() -> None:
    rng = np.random.default_rng(23)
    baseline = baseline_of([rng.normal(size=100) for _ in range(20)])
    _, verdict = follow(Course.begin(START), baseline, window(baseline.bins, rng.normal(size=100)), A)
    effects = verdict.effects
    assert effects.shift is not None
    assert effects.shift_low is not None
    assert effects.shift_high is not None
    assert effects.shift_low < 0 < effects.shift_high
    assert effects.shift_low < effects.shift < effects.shift_high
