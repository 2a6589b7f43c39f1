"""The bins that a baseline freezes: cells between its quantiles, on which every later window is counted.

Edges come from the stored data's quantiles (`signals.edge_quantiles`); scores of a cell depend on its rank only, so
that a change of unit or any monotone rescaling of the signal changes no decision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

EDGE_LEVELS: tuple[float, ...] = (
    0.001,
    0.01,
    *(round(0.05 * step, 2) for step in range(1, 20)),
    0.99,
    0.999,
)
_LOW = EDGE_LEVELS.index(0.01)
_HIGH = EDGE_LEVELS.index(0.99)


@dataclass(frozen=True)
class Bins:
    """Cells `(-inf, e0], (e0, e1], …, (en, inf)` for ascending edges.

    `low_cells` and `high_cells` say how many cells at either end hold the baseline's lowest and highest 1 %.
    """

    edges: tuple[float, ...]
    low_cells: int
    high_cells: int

    def __post_init__(self) -> None:
        if not self.edges or any(not math.isfinite(edge) for edge in self.edges):
            raise ValueError(f"bins need at least one edge, all finite: {self.edges}")
        if any(b <= a for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError(f"the edges of bins ascend strictly: {self.edges}")

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return len(self.edges) + 1

    @classmethod
    def from_quantiles(cls, values: Sequence[float]) -> Bins:
        """Bins from a baseline's quantiles at `EDGE_LEVELS`.

        A value that several levels share holds an atom of the distribution (ties, a constant). It gets a cell of its
        own, so that a move to either side of it can be seen.
        """
        if len(values) != len(EDGE_LEVELS):
            raise ValueError(f"{len(EDGE_LEVELS)} quantiles are needed, {len(values)} were given")
        ordered = sorted(float(value) for value in values)
        edges: list[float] = []
        for value in ordered:
            if ordered.count(value) > 1:
                _append(edges, math.nextafter(value, -math.inf))
            _append(edges, value)
        low, high = ordered[_LOW], ordered[_HIGH]
        tied = ordered.count(low) > 1
        low_cells = sum(edge < low if tied else edge <= low for edge in edges)
        return cls(tuple(edges), low_cells, sum(edge >= high for edge in edges))

    def count(self, values: ArrayLike) -> tuple[int, ...]:
        """Finite numbers of `values` per cell; the SQL of `signals` counts the same."""
        array = np.asarray(values, dtype=np.float64)
        array = array[np.isfinite(array)]
        places = np.searchsorted(np.asarray(self.edges), array, side="left")
        return tuple(int(count) for count in np.bincount(places, minlength=self.cells))


def _append(edges: list[float], edge: float) -> None:
    if math.isfinite(edge) and (not edges or edge > edges[-1]):
        edges.append(edge)


def rank_intervals(counts: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where every cell lies on the baseline's probability scale: F before and F after it, each of shape (cells,)."""
    totals = np.concatenate([[0], np.cumsum(np.asarray(counts, dtype=np.int64))])
    ranks = totals / totals[-1]
    return ranks[:-1], ranks[1:]


def smoothed(counts: Sequence[int]) -> NDArray[np.float64]:
    """Jeffreys' estimate of the cells' probabilities, `(c + 1/2) / (n + B/2)`: never exactly zero."""
    array = np.asarray(counts, dtype=np.float64)
    return np.asarray((array + 0.5) / (array.sum() + 0.5 * array.size), dtype=np.float64)
