"""A baseline: what a signal was like when all was well, frozen, with everything that a later decision needs.

Made by `fit` from counted windows, checked by replaying its newest part, stored as JSON under a version that is never
overwritten, read by the monitor, the effect sizes and the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from drift.bins import Bins
from drift.edetector import (
    DetectorState,
    Floats,
    Tolerances,
    leader,
    log_e_values,
    log_evidence,
    log_factors,
    scores,
    step,
    tolerances,
)
from drift.windows import Window

METHOD = "count-e-detector/1"
EDGE_SHARE = 0.7
"""Share of a baseline's windows that its edges and the trial are made from; the rest is replayed."""


class BaselineRefusedError(ValueError):
    """A baseline cannot be captured; the message says why and what to do."""


class StillLearningError(BaselineRefusedError):
    """There is not enough data yet."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(progress.sentence)
        self.progress = progress


@dataclass(frozen=True)
class Progress:
    """How much of what a baseline needs is stored: windows with rows, rows that are numbers, and rows that are not."""

    windows: int
    windows_needed: int
    rows: int
    rows_needed: int
    not_numbers: int = 0

    @property
    def enough(self) -> bool:
        """Whether both minimums are reached."""
        return self.windows >= self.windows_needed and self.rows >= self.rows_needed

    @property
    def sentence(self) -> str:
        """The progress in words."""
        text = (
            f"learning ({spaced(self.windows)} of {spaced(self.windows_needed)} windows, "
            f"{spaced(self.rows)} of {spaced(self.rows_needed)} rows)"
        )
        if self.not_numbers and not self.rows:
            text += f"; {spaced(self.not_numbers)} rows carry no finite number: this monitor needs a numeric signal"
        return text

    def to_json(self) -> dict[str, int]:
        """The progress as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, body: dict[str, int]) -> Progress:
        """The progress that `to_json` wrote."""
        return cls(**body)


@dataclass(frozen=True)
class Baseline:
    """One version of a monitor's baseline: rows per cell in `cells`, values at `QUANTILE_LEVELS` in `quantiles`."""

    version: int
    question: str
    method: str
    captured_at: datetime
    range_start: datetime
    range_end: datetime
    windows: int
    bins: Bins
    cells: tuple[int, ...]
    quantiles: tuple[float, ...]
    tolerances: Tolerances

    @property
    def rows(self) -> int:
        """How many numbers it was made from."""
        return sum(self.cells)

    @property
    def constant(self) -> bool:
        """Whether every row fell into one cell that holds a single value."""
        return len(self.bins.edges) <= 2 and max(self.cells) == self.rows

    @cached_property
    def scores(self) -> Floats:
        """Scores of the cells, shape (4, cells)."""
        return scores(self.cells, self.bins)

    @cached_property
    def factors(self) -> Floats:
        """Log pay-offs of the bets, shape (bets, cells)."""
        return log_factors(self.scores, self.tolerances.eps)

    def log_e(self, cells: Sequence[int]) -> Floats:
        """Log e-values of every bet for a window's counts."""
        return log_e_values(self.factors, self.tolerances, cells)

    def means(self, cells: Sequence[int]) -> Floats:
        """Mean of each score over a window with rows, shape (4,)."""
        counts = np.asarray(cells, dtype=np.float64)
        return np.asarray(self.scores @ counts / counts.sum(), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """The baseline as JSON values."""
        body: dict[str, Any] = _BASELINE.dump_python(self, mode="json")
        return body

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Baseline:
        """The baseline that `to_json` wrote."""
        return _BASELINE.validate_python(body)


_BASELINE = TypeAdapter(Baseline)


@dataclass(frozen=True)
class Replay:
    """What the monitor would have said over the windows that the trial baseline had not seen."""

    alarmed: bool
    detail: str


def fit(
    windows: Sequence[Window],
    bins: Bins,
    quantiles: Sequence[float],
    *,
    version: int,
    question: str,
    captured_at: datetime,
) -> Baseline:
    """A baseline from counted windows; windows without rows are ignored.

    Raises:
        BaselineRefusedError: no window holds a finite number.
    """
    filled = [window for window in windows if window.rows]
    if not filled:
        raise BaselineRefusedError("no finite number is stored in this range: choose a range with data")
    per_window = [window.cells for window in filled]
    cells = tuple(int(count) for count in np.asarray(per_window, dtype=np.int64).sum(axis=0))
    return Baseline(
        version=version,
        question=question,
        method=METHOD,
        captured_at=captured_at,
        range_start=windows[0].start,
        range_end=windows[-1].end,
        windows=len(filled),
        bins=bins,
        cells=cells,
        quantiles=tuple(float(value) for value in quantiles),
        tolerances=tolerances(per_window, scores(cells, bins)),
    )


def training_windows(count: int) -> int:
    """How many of a baseline's `count` windows with rows, oldest first, the edges are made from."""
    return max(1, int(count * EDGE_SHARE))


def replay(trial: Baseline, windows: Sequence[Window], average_run_length: float) -> Replay:
    """Run the detector with a trial baseline over later windows and say whether it would have alarmed."""
    state = DetectorState.fresh()
    threshold = np.log(average_run_length)
    for number, window in enumerate(windows, start=1):
        if not window.rows:
            continue
        state = step(state, trial.log_e(window.cells), window.start)
        if log_evidence(state) >= threshold:
            best = leader(state)
            kind = f"{best.kind} {'up' if best.sign > 0 else 'down'}" if best else "change"
            return Replay(
                True,
                f"the newest {len(windows)} windows of the range already differ from its first {trial.windows} "
                f"({kind}, found after {number}); choose a range without that change, or wait until it is steady",
            )
    return Replay(False, "")


def spaced(number: int) -> str:
    """An integer with its thousands set apart: 3 100."""
    return f"{number:,}".replace(",", " ")
