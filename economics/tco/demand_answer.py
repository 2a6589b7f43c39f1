"""A demand described: totals, peak, base load, and the histogram of its hours."""

from __future__ import annotations

from decimal import Decimal

from economics.tco.answer import Bin, DemandAnswer
from economics.tco.demand import Demand
from economics.tco.ownership import HOURS_PER_MONTH
from economics.tco.rounding import rounded

BINS = 10
BASE_SHARE = Decimal("0.95")


def describe(demand: Demand) -> DemandAnswer:
    """The demand as it goes into the answer."""
    hours = demand.hours
    month = HOURS_PER_MONTH / hours if hours else Decimal(0)
    peak = max((level.output_tokens for level in demand.levels), default=0)
    window = demand.window
    return DemandAnswer(
        source=demand.source,
        model=demand.model,
        window_start=window.start if window else None,
        window_end=window.end if window else None,
        hours=hours,
        unknown_hours=demand.unknown_hours,
        coverage=_three(hours / (hours + demand.unknown_hours)) if window and hours + demand.unknown_hours else None,
        vantage=demand.vantage,
        calls=demand.total("calls"),
        calls_without_usage=demand.total("calls_without_usage"),
        input_tokens_per_month=_three(demand.total("input_tokens") * month),
        cached_input_tokens_per_month=_three(demand.total("cache_read_tokens") * month),
        output_tokens_per_month=_three(demand.total("output_tokens") * month),
        mean_tokens=_three(demand.total("output_tokens") / hours) if hours else Decimal(0),
        base_tokens=base_tokens(demand),
        peak_tokens=peak,
        histogram=histogram(demand),
        other_models=demand.other_models,
    )


def base_tokens(demand: Demand) -> int:
    """Output tokens that are asked for, or more, in at least 95 % of the hours; 0 without hours."""
    left = BASE_SHARE * demand.hours
    for level in sorted(demand.levels, key=lambda level: -level.output_tokens):
        left -= level.hours
        if left <= 0:
            return level.output_tokens
    return 0


def histogram(demand: Demand) -> tuple[Bin, ...]:
    """Hours by their output tokens, in ten equal steps up to the busiest hour; hours without any lie in the first."""
    peak = max((level.output_tokens for level in demand.levels), default=0)
    if not peak:
        return ()
    edges = [-(-peak * step // BINS) for step in range(1, BINS + 1)]
    counts = [Decimal(0)] * BINS
    for level in demand.levels:
        counts[next(place for place, edge in enumerate(edges) if level.output_tokens <= edge)] += level.hours
    return tuple(Bin(edge, count) for edge, count in zip(edges, counts, strict=True))


def _three(value: Decimal) -> Decimal:
    return rounded(value, 3)
