"""The base load of a hybrid: how many replicas to own, and what the hours above them cost.

    choose b minimising F(b) + E[cloud((demand - b)+)] over the measured histogram of hours

Chosen in floats over every b up to the busiest hour; the money of the chosen one is `compare`'s.
"""

from __future__ import annotations

import numpy as np

from economics.tco.case import Case
from economics.tco.projection import Projection
from economics.tco.spread import Floats

# Candidates looked at in one pass; a larger fleet is searched coarsely first.
MOST_CANDIDATES = 512
MOST_COLUMNS = 1024


def base_load(case: Case) -> int:
    """Owned replicas at which the hybrid's present value is lowest; 0 where nothing is owned."""
    if case.owned is None:
        return 0
    projection = Projection(case, MOST_COLUMNS)
    likely = {name: np.array([float(value)]) for name, value in case.likely.items()}
    most = int(projection.most_replicas(likely)[0])
    low, high = 0, most
    while True:
        step = max(1, -(-(high - low) // MOST_CANDIDATES))
        candidates = np.unique(np.append(np.arange(low, high + 1, step), high)).astype(float)
        best = int(candidates[np.argmin(_present(projection, likely, candidates))])
        if step == 1:
            return best
        low, high = max(0, best - step), min(most, best + step)


def _present(projection: Projection, likely: dict[str, Floats], candidates: Floats) -> Floats:
    values = {name: np.full(len(candidates), value[0]) for name, value in likely.items()}
    return projection.option("hybrid", values, candidates)
