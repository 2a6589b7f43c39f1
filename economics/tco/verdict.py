"""Is "3:1" supported? R is a ratio of costs: present value of the baseline over that of the alternative.

Three other things are called 3:1 as well: a benefit-cost ratio of 3, a return of 300 % (a benefit-cost ratio of 4), and
three input tokens for each output token in a blended price. None of them is meant here.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

SUPPORTED_FROM = 0.5
POSSIBLE_FROM = 0.1


class Verdict(StrEnum):
    """What the draws say of a claimed ratio."""

    SUPPORTED = "supported"
    POSSIBLE = "possible"
    NOT_SUPPORTED = "not supported by your data"
    NOT_JUDGED = "not judged"


def cost_ratio(baseline_usd: Sequence[Decimal], alternative_usd: Sequence[Decimal]) -> Decimal | None:
    """R of several workloads or years together: the ratio of the sums, never the mean of ratios. None by zero."""
    total = sum(alternative_usd, Decimal(0))
    return sum(baseline_usd, Decimal(0)) / total if total else None


def judge_claim(probability: float | None) -> Verdict:
    """Supported only if P(R >= claimed) >= 0.5; possible from 0.1; without draws nothing is judged."""
    if probability is None:
        return Verdict.NOT_JUDGED
    if probability >= SUPPORTED_FROM:
        return Verdict.SUPPORTED
    return Verdict.POSSIBLE if probability >= POSSIBLE_FROM else Verdict.NOT_SUPPORTED
