"""How sure is a cost ratio? Seeded draws of every uncertain input, and which input moves the ratio most.

Floats of `projection`; the hybrid's base load stays as it was chosen, and fleets grow or shrink with what a draw needs.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from economics.tco.case import Case
from economics.tco.projection import Projection
from economics.tco.spread import Floats

# Hours of similar load are drawn together.
MOST_COLUMNS = 64
LOW, HIGH = 10, 90


@dataclass(frozen=True)
class Swing:
    """One input alone at its P10 and P90, the others at their likeliest: the ratio at both."""

    name: str
    low: float
    high: float
    ratio_at_low: float
    ratio_at_high: float

    @property
    def width(self) -> float:
        return abs(self.ratio_at_high - self.ratio_at_low)


@dataclass(frozen=True)
class Simulated:
    """The cost ratio of one option over all draws; `tornado` widest first. `certain`: no input is uncertain."""

    seed: int
    draws: int
    distribution: str
    median: float
    p10: float
    p90: float
    probability_above_one: float
    probability_of_claim: float
    certain: bool
    tornado: tuple[Swing, ...]


def simulate(case: Case, alternatives: Iterable[str], base: int) -> dict[str, Simulated]:
    """The ratio of each alternative to the scenario's baseline.

    Args:
        base: owned replicas of the hybrid.
    """
    terms = case.scenario.simulation
    drawn = draw(case)
    projection = Projection(case, MOST_COLUMNS)
    uncertain = [name for name, spread in case.spreads.items() if not spread.known]
    ends = {name: np.percentile(drawn[name], (LOW, HIGH)) for name in uncertain}
    single = _one_at_a_time(case, ends)
    baseline, baseline_single = (projection.option(case.scenario.baseline, each) for each in (drawn, single))
    found = {}
    for name in alternatives:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = baseline / projection.option(name, drawn, base)
            swings = baseline_single / projection.option(name, single, base)
        p10, median, p90 = np.percentile(ratio, (LOW, 50, HIGH))
        tornado = [
            Swing(each, *ends[each].tolist(), *swings[2 * place : 2 * place + 2].tolist())
            for place, each in enumerate(uncertain)
        ]
        found[name] = Simulated(
            seed=terms.seed,
            draws=terms.draws,
            distribution=terms.distribution,
            median=float(median),
            p10=float(p10),
            p90=float(p90),
            probability_above_one=float(np.mean(ratio >= 1)),
            probability_of_claim=float(np.mean(ratio >= float(terms.claimed_ratio))),
            certain=not uncertain,
            tornado=tuple(sorted(tornado, key=lambda swing: -swing.width)),
        )
    return found


def draw(case: Case) -> dict[str, Floats]:
    """Draws of every input. Each has a stream of its own, so that another input more changes none of the others."""
    terms = case.scenario.simulation
    return {
        name: spread.draw(
            np.random.default_rng([terms.seed, zlib.crc32(name.encode())]), terms.draws, terms.distribution
        )
        for name, spread in case.spreads.items()
    }


def _one_at_a_time(case: Case, ends: Mapping[str, Floats]) -> dict[str, Floats]:
    """Two rows for each uncertain input: that input at its ends, everything else likeliest. At least one row."""
    rows = max(1, 2 * len(ends))
    single = {name: np.full(rows, float(value)) for name, value in case.likely.items()}
    for place, (name, end) in enumerate(ends.items()):
        single[name][2 * place : 2 * place + 2] = end
    return single
