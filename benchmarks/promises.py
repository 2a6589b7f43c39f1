"""What a benchmark promises of a figure, and whether a run kept it: the last lines that each of them prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """A figure with its bound, both in `unit`; `bound` is the least where `at_least`, else the most."""

    name: str
    measured: float
    bound: float
    unit: str
    at_least: bool = False

    @property
    def kept(self) -> bool:
        """Whether the figure is within its bound."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


def print_promises(promises: Sequence[Promise]) -> bool:
    """Print each promise with `met` or `missed`; whether all were met."""
    print("targets")
    for promise in promises:
        bound = f"{'≥' if promise.at_least else '≤'} {_number(promise.bound)} {promise.unit}"
        verdict = "met" if promise.kept else "missed"
        print(f"  {promise.name:<44} {_number(promise.measured):>10}   target {bound:<24} {verdict}")
    return all(promise.kept for promise in promises)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
