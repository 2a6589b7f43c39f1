"""How large a change is: effect sizes of one window against its baseline, shown beside a decision, never deciding.

Counts and quantiles come from the window and the baseline; the figures go to the control store and the page. A figure
that the data cannot give is None.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from drift.bins import smoothed
from drift.edetector import BETS, LAMBDAS, Floats, Tolerances, Z, window_phi
from drift.windows import QUANTILE_LEVELS

_MEDIAN = QUANTILE_LEVELS.index(0.5)
_QUARTILES = (QUANTILE_LEVELS.index(0.25), QUANTILE_LEVELS.index(0.75))


@dataclass(frozen=True)
class Effects:
    """Effect sizes of one window; each is defined in `docs/drift.md`.

    `shift` is the mean location score, P(now > baseline) - P(now < baseline), with its interval at `Z` standard errors.
    """

    ks: float | None
    w1_iqr: float | None
    psi: float | None
    psi_expected: float | None
    shift: float | None
    shift_low: float | None
    shift_high: float | None
    median: float | None
    baseline_median: float | None
    smallest_shift_sd: float | None


def measure(
    baseline_cells: Sequence[int],
    baseline_quantiles: Sequence[float],
    cell_scores: Floats,
    known: Tolerances,
    cells: Sequence[int],
    quantiles: Sequence[float],
    average_run_length: float,
) -> Effects:
    """Effect sizes of a window with counts `cells` and its own `quantiles` (empty without finite rows)."""
    rows = sum(cells)
    if rows == 0:
        nothing = dict.fromkeys(("ks", "w1_iqr", "psi", "psi_expected", "shift", "shift_low", "shift_high", "median"))
        return Effects(**nothing, baseline_median=_median(baseline_quantiles), smallest_shift_sd=None)
    shift, margin = _shift(cell_scores, known, cells, sum(baseline_cells))
    return Effects(
        ks=kolmogorov_smirnov(baseline_cells, cells),
        w1_iqr=wasserstein_over_iqr(baseline_quantiles, quantiles),
        psi=population_stability(baseline_cells, cells),
        psi_expected=population_stability_expected(baseline_cells, cells),
        shift=shift,
        shift_low=max(-1.0, shift - margin),
        shift_high=min(1.0, shift + margin),
        median=_median(quantiles),
        baseline_median=_median(baseline_quantiles),
        smallest_shift_sd=smallest_shift(known, rows, average_run_length),
    )


def kolmogorov_smirnov(baseline_cells: Sequence[int], cells: Sequence[int]) -> float:
    """Largest difference of the two distribution functions at the edges: the KS distance, from below."""
    first = np.cumsum(baseline_cells) / sum(baseline_cells)
    second = np.cumsum(cells) / sum(cells)
    return float(np.abs(first - second).max())


def wasserstein_over_iqr(baseline_quantiles: Sequence[float], quantiles: Sequence[float]) -> float | None:
    """Mean absolute change of the quantiles .05 … .95 in units of the baseline's interquartile range.

    The Wasserstein-1 distance by quantile coupling, over the middle 90 % so that one outlier cannot own it. None when
    the interquartile range is zero.
    """
    if not quantiles or not baseline_quantiles:
        return None
    low, high = (baseline_quantiles[index] for index in _QUARTILES)
    with np.errstate(over="ignore", invalid="ignore"):
        iqr = float(np.float64(high) - np.float64(low))
        if not iqr > 0 or math.isinf(iqr):
            return None
        moves = np.abs(np.asarray(quantiles) - np.asarray(baseline_quantiles))
        span = QUANTILE_LEVELS[-1] - QUANTILE_LEVELS[0]
        value = float(np.trapezoid(moves, QUANTILE_LEVELS)) / span / iqr
    return value if math.isfinite(value) else None


def population_stability(baseline_cells: Sequence[int], cells: Sequence[int]) -> float:
    """Population stability index `Σ (p - q) ln(p/q)` with Jeffreys' estimates on both sides: no cell is zero."""
    before, after = smoothed(baseline_cells), smoothed(cells)
    return float(((after - before) * np.log(after / before)).sum())


def population_stability_expected(baseline_cells: Sequence[int], cells: Sequence[int]) -> float:
    """What the index is on average without any change: `(B-1)(1/n + 1/m)` (Yurdakul & Naranjo, 2020)."""
    return (len(cells) - 1) * (1 / sum(baseline_cells) + 1 / sum(cells))


def smallest_shift(known: Tolerances, rows: int, average_run_length: float) -> float | None:
    """About the smallest location shift that one window of that many rows alone would alarm on.

    In standard deviations of a normal signal; None when no shift could be enough. The best stake's log e-value is about
    `n/phi (stake d - stake² sd²/2)` for a mean score of eps + d; it must reach `log(A x bets)`.
    """
    phi = float(window_phi(known, rows)[0])
    needed = math.log(average_run_length * len(BETS)) * phi / rows
    variance = known.sd[0] ** 2
    largest = LAMBDAS[-1]
    beyond = math.sqrt(2 * needed * variance)
    if beyond > largest * variance:
        beyond = needed / largest + largest * variance / 2
    score = known.eps[0] + beyond
    return math.sqrt(2) * NormalDist().inv_cdf((1 + score) / 2) if score < 0.9999 else None


def _shift(cell_scores: Floats, known: Tolerances, cells: Sequence[int], baseline_rows: int) -> tuple[float, float]:
    rows = sum(cells)
    mean = float(cell_scores[0] @ np.asarray(cells, dtype=np.float64)) / rows
    variance = known.sd[0] ** 2
    window = float(window_phi(known, rows)[0]) / rows
    return mean, Z * math.sqrt(variance * (window + known.phi[0] / baseline_rows))


def _median(quantiles: Sequence[float]) -> float | None:
    return quantiles[_MEDIAN] if quantiles else None
