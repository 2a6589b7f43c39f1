"""Simulated, with fixed seeds: silent while nothing changes, quick and right about what changed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from drift_data import alarms, baseline_of, first_alarm

from drift.edetector import Kind


def normal(rng: np.random.Generator, shift: float = 0.0, spread: float = 1.0):  # type: ignore[no-untyped-def]
    return lambda rows: rng.normal(shift, spread, rows)


def autoregressive(rng: np.random.Generator, weight: float):  # type: ignore[no-untyped-def]
    last = 0.0

    def sample(rows: int) -> list[float]:
        nonlocal last
        found = []
        for noise in rng.normal(0, math.sqrt(1 - weight**2), rows):
            last = weight * last + noise
            found.append(last)
        return found

    return sample


NULLS = {
    "independent, 500 rows, baseline of 20 000": (normal, 40, 500, 500),
    "independent, baseline of 1 000": (normal, 20, 50, 500),
    "traffic falls from 2 000 rows to 200": (normal, 20, 2000, 200),
    "traffic rises from 100 rows to 2 000": (normal, 20, 100, 2000),
    "neighbours correlated .8, baseline of 1 000": (lambda rng: autoregressive(rng, 0.8), 20, 50, 50),
    "neighbours correlated .8, baseline of 10 000": (lambda rng: autoregressive(rng, 0.8), 40, 250, 250),
    "ties": (lambda rng: lambda rows: rng.poisson(2, rows), 20, 100, 500),
    "lognormal": (lambda rng: lambda rows: rng.lognormal(0, 2, rows), 20, 100, 500),
}


@pytest.mark.parametrize("name", NULLS)
def test_no_alarm_while_nothing_changes(name: str) -> None:
    make, windows, rows, later = NULLS[name]
    rng = np.random.default_rng(2026)
    sample = make(rng)
    found = 0
    for _ in range(5):
        baseline = baseline_of([sample(rows) for _ in range(windows)])
        found += alarms(baseline, sample, later, 400)
    assert found == 0


@pytest.mark.parametrize(
    ("shift", "spread", "within", "kind", "sign"),
    [
        (0.3, 1.0, 3, Kind.LOCATION, 1),
        (-0.3, 1.0, 3, Kind.LOCATION, -1),
        (2.0, 1.0, 1, Kind.LOCATION, 1),
        (0.0, 1.3, 3, Kind.SCALE, 1),
        (0.0, 0.7, 3, Kind.SCALE, -1),
    ],
)
def test_a_change_is_found_and_named(shift: float, spread: float, within: int, kind: Kind, sign: int) -> None:
    rng = np.random.default_rng(11)
    for _ in range(10):
        baseline = baseline_of([rng.normal(size=500) for _ in range(40)])
        found = first_alarm(baseline, normal(rng, shift, spread), 500, 20)
        assert found is not None
        assert found[0] <= within
        assert (found[1].kind, found[1].sign) == (kind, sign)


def test_the_demos_shift_is_found_in_one_window_of_a_hundred_rows() -> None:
    rng = np.random.default_rng(12)
    for _ in range(20):
        baseline = baseline_of([rng.normal(size=100) for _ in range(20)])
        found = first_alarm(baseline, normal(rng, 2.0), 100, 5)
        assert found is not None
        assert found[0] == 1


def test_three_percent_of_extreme_values_are_an_upper_tail() -> None:
    rng = np.random.default_rng(13)
    baseline = baseline_of([rng.normal(size=500) for _ in range(40)])
    found = first_alarm(baseline, lambda rows: np.where(rng.random(rows) < 0.03, 8.0, rng.normal(size=rows)), 500, 20)
    assert found is not None
    assert found[0] <= 8
    assert (found[1].kind, found[1].sign) == (Kind.UPPER_TAIL, 1)
