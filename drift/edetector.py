"""The count e-detector: bets against "nothing beyond the tolerance has changed", added up over windows.

Counts per cell come in, evidence comes out; no clock and no store. After Shin, Ramdas & Rinaldo, "E-detectors: a
nonparametric framework for sequential change detection" (NEJSDS; arXiv 2203.03532): a Shiryaev-Roberts sum of e-values
that alarms at A has an average run length of at least A windows while nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drift.bins import Bins, rank_intervals, smoothed

Floats = NDArray[np.float64]


class Kind(StrEnum):
    """What a bet looks for: the direction of the score that it bets on."""

    LOCATION = "location"
    SCALE = "scale"
    UPPER_TAIL = "upper tail"
    LOWER_TAIL = "lower tail"


KINDS: tuple[Kind, ...] = tuple(Kind)
GATES: tuple[float, ...] = (0.01, 0.01, 0.002, 0.002)
"""Change of each score's mean that is of no practical interest; .01 in location is a shift of .018 sd."""
Z = 2.5
"""Standard errors of the baseline that the tolerance covers: four two-sided scores at 5 % together."""
MIN_WINDOWS_FOR_PHI = 2
LEAST_LOG_EVIDENCE = -700.0
"""No evidence at all: M = 1e-304, still an ordinary number for JSON and for people."""
LAMBDAS: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.5, 0.9)
SIGNS: tuple[int, ...] = (1, -1)
BETS: tuple[tuple[int, int, float], ...] = tuple(
    (score, sign, stake) for score in range(len(KINDS)) for sign in SIGNS for stake in LAMBDAS
)
"""(score, sign, stake) of every bet, in the order of the detector's state; each has prior weight 1/len(BETS)."""


@dataclass(frozen=True)
class Tolerances:
    """Standard deviation, design effect and tolerance of each score under the baseline, in the order of `KINDS`."""

    sd: tuple[float, ...]
    phi: tuple[float, ...]
    eps: tuple[float, ...]
    rows_per_window: float


@dataclass(frozen=True)
class DetectorState:
    """Evidence so far, per bet: log(1 + R), the log of the CUSUM twin, and the window where the twin's run began."""

    windows: int
    log_r1: tuple[float, ...]
    log_c: tuple[float, ...]
    run_start: tuple[datetime | None, ...]

    @classmethod
    def fresh(cls) -> DetectorState:
        """No window seen: R = 0 for every bet."""
        nothing = (0.0,) * len(BETS)
        return cls(0, nothing, nothing, (None,) * len(BETS))


@dataclass(frozen=True)
class Leader:
    """The bet with the most evidence: what changed, in which direction, and since when."""

    kind: Kind
    sign: int
    change_time: datetime | None


def scores(counts: Sequence[int], bins: Bins) -> Floats:
    """Scores of the cells, shape (4, cells), each with mean zero under the baseline `counts`.

    On ranks u: `2u-1` (location) and `6u²-6u+1` (scale), averaged over the cell's ranks, so that a cell which is one
    tied value stands for all the ranks it covers; then indicators of the highest and the lowest 1 %.
    """
    before, after = rank_intervals(counts)
    location = before + after - 1
    scale = 2 * (before**2 + before * after + after**2) - 3 * (before + after) + 1
    upper = np.zeros(bins.cells)
    upper[bins.cells - bins.high_cells :] = 1.0
    lower = np.zeros(bins.cells)
    lower[: bins.low_cells] = 1.0
    raw = np.stack([location, scale, upper, lower])
    shares = np.asarray(counts, dtype=np.float64)
    shares = shares / shares.sum()
    return np.asarray(raw - (raw @ shares)[:, None], dtype=np.float64)


def tolerances(per_window: Sequence[Sequence[int]], cell_scores: Floats) -> Tolerances:
    """Spread, design effect and tolerance of each score over a baseline's windows, counts of shape (windows, cells).

    `phi` is the design effect of Rao & Scott, how much more the windows' means vary than independent rows would (see
    `design_effects`). `eps = gate + Z sd sqrt(phi / n)`. The variance is taken under Jeffreys' estimate, so that a cell
    the baseline never saw still counts as possible.
    """
    table = np.asarray([cells for cells in per_window if sum(cells)], dtype=np.float64)
    total = table.sum(axis=0)
    shares = smoothed([int(count) for count in total])
    variance = cell_scores**2 @ shares - (cell_scores @ shares) ** 2
    rows = table.sum(axis=1)
    means = table @ cell_scores.T / rows[:, None]
    overall = total @ cell_scores.T / total.sum()
    between = (rows[:, None] * (means - overall) ** 2).sum(axis=0) / max(1, len(rows) - 1)
    phi = design_effects(between / variance, len(rows))
    eps = np.asarray(GATES) + Z * np.sqrt(variance * phi / total.sum())
    return Tolerances(
        tuple(float(value) for value in np.sqrt(variance)),
        tuple(float(value) for value in phi),
        tuple(float(value) for value in eps),
        float(rows.mean()),
    )


def design_effects(ratios: Floats, windows: int) -> Floats:
    """Design effects from the scores' ratios (mean square between windows / variance of independent rows), shape (4,).

    At least 1, and with few windows on the safe side: a ratio too large for chance is raised to its 95 % upper limit,
    and no score is taken to be less dependent than the ones estimated more surely (the scale than the location, a tail
    than both), because a tail's own ratio rests on a handful of rows.
    """
    if windows < MIN_WINDOWS_FOR_PHI:
        return np.ones(len(ratios))
    chance, lowest = _mean_chi_square(windows - 1, 1.645), max(0.1, _mean_chi_square(windows - 1, -1.645))
    location, scale, upper, lower = (
        max(1.0, float(ratio) / lowest if ratio > chance else float(ratio)) for ratio in ratios
    )
    scale = max(scale, location)
    return np.asarray([location, scale, max(scale, upper), max(scale, lower)])


def _mean_chi_square(degrees: int, normal: float) -> float:
    """Quantile of a chi-square divided by its degrees of freedom, at a normal quantile (Wilson & Hilferty, 1931)."""
    width = 2 / (9 * degrees)
    return max(0.0, 1 - width + normal * math.sqrt(width)) ** 3


def log_factors(cell_scores: Floats, eps: Sequence[float]) -> Floats:
    """Log of what each bet pays for one row in each cell, shape (bets, cells).

    `log(1 + stake (sign g - eps))`. A stake that could lose more than itself (a wide tolerance from a small baseline)
    is reduced, so that a factor never falls below `1 - stake`.
    """
    rows = []
    for score, sign, stake in BETS:
        gain = sign * cell_scores[score] - eps[score]
        worst = max(1.0, float(-gain.min()))
        rows.append(np.log1p(stake / worst * gain))
    return np.stack(rows)


def window_phi(known: Tolerances, rows: int) -> Floats:
    """Design effect of each score for a window of that many rows, shape (4,).

    When windows differ among themselves, the effect grows with the rows of a window; a window larger than the
    baseline's is corrected for that. A smaller one keeps the baseline's figure, which is on the safe side.
    """
    growth = max(1.0, rows / known.rows_per_window)
    return np.asarray([1 + (phi - 1) * growth for phi in known.phi])


def log_e_values(factors: Floats, known: Tolerances, cells: ArrayLike) -> Floats:
    """Log e-value of every bet for one window's counts, shape (bets,): `(1/phi) Σ n_b log(1 + stake (sign g_b - eps))`.

    The power 1/phi keeps the expectation at most 1 (Jensen) and corrects for rows that depend on each other.
    """
    counts = np.asarray(cells, dtype=np.float64)
    phi = window_phi(known, int(counts.sum()))
    return np.asarray(factors @ counts / phi[[score for score, _, _ in BETS]], dtype=np.float64)


def step(state: DetectorState, log_e: Floats, window_start: datetime) -> DetectorState:
    """The state after one window: `R ← e (R + 1)` and `C ← e max(C, 1)`, in logs."""
    before = np.asarray(state.log_c)
    log_r = log_e + np.asarray(state.log_r1)
    starts = tuple(
        window_start if fresh or start is None else start
        for fresh, start in zip(before <= 0.0, state.run_start, strict=True)
    )
    return DetectorState(
        state.windows + 1,
        tuple(float(value) for value in np.logaddexp(log_r, 0.0)),
        tuple(float(value) for value in log_e + np.maximum(before, 0.0)),
        starts,
    )


def log_evidence(state: DetectorState) -> float:
    """Natural logarithm of M, the mean of R over the bets, but never below `LEAST_LOG_EVIDENCE`."""
    log_r1 = np.asarray(state.log_r1)
    with np.errstate(divide="ignore"):
        log_r = log_r1 + np.log(-np.expm1(-log_r1))
    top = float(log_r.max())
    if top < LEAST_LOG_EVIDENCE:
        return LEAST_LOG_EVIDENCE
    return top + math.log(float(np.exp(log_r - top).mean()))


def leader(state: DetectorState) -> Leader | None:
    """The bet that has gained most and its change-time estimate; None before the first window.

    A shift also moves the tails: among bets whose log evidence comes within a tenth of the largest, the plainest kind,
    in the order of `KINDS`, is named.
    """
    if not state.windows:
        return None
    gained = np.asarray(state.log_r1)
    close = np.flatnonzero(gained >= 0.9 * gained.max())
    first = min(BETS[bet][0] for bet in close)
    best = max((int(bet) for bet in close if BETS[bet][0] == first), key=lambda bet: gained[bet])
    score, sign, _ = BETS[best]
    return Leader(KINDS[score], sign, state.run_start[best])
