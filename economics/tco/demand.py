"""The demand for tokens as a histogram of whole hours: how many hours asked for how much.

Levels come from the ledger (`measured`) or from a scenario; `terms` prices them, the options serve them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from economics.answers import Window
from economics.ledger import Usage
from economics.prices import input_bands
from economics.tco.scenario import Level


@dataclass(frozen=True)
class Hours:
    """So many hours that asked for the same; `usages` are of ONE of them, a row for each price tier."""

    hours: Decimal
    usages: tuple[Usage, ...]
    start: datetime | None = None

    @property
    def output_tokens(self) -> int:
        return sum(usage.output_tokens for usage in self.usages)

    @property
    def input_tokens(self) -> int:
        return sum(usage.input_tokens for usage in self.usages)


@dataclass(frozen=True)
class Demand:
    """What was asked for.

    Attributes:
        source: "measured" or "scenario".
        model: whose tokens; "" in a scenario that names none.
        window: what was measured; None for a scenario's histogram.
        unknown_hours: hours of the window of which nothing is known; they are left out, not taken as idle.
        other_models: output tokens of other models in the window, which are not part of this demand.
        vantage: who saw the calls.
    """

    source: str
    model: str
    levels: tuple[Hours, ...]
    window: Window | None = None
    unknown_hours: int = 0
    other_models: dict[str, int] = field(default_factory=dict)
    vantage: tuple[str, ...] = ()

    @property
    def hours(self) -> Decimal:
        return sum((level.hours for level in self.levels), Decimal(0))

    def total(self, name: str) -> Decimal:
        """Sum of a count of `Usage` over all hours."""
        return sum(
            (level.hours * sum(getattr(usage, name) for usage in level.usages) for level in self.levels), Decimal(0)
        )


def written_demand(levels: Sequence[Level], model: str) -> Demand:
    """The demand that a scenario writes out; without `calls` a request is taken to lie in the lowest price tier."""
    return Demand("scenario", model, tuple(Hours(level.hours, (_usage(level, model),)) for level in levels))


def _usage(level: Level, model: str) -> Usage:
    longest = 0 if level.calls is None else level.input_tokens // level.calls
    return Usage(
        bucket=None,
        service="",
        pipeline="",
        stage="",
        provider="",
        model=model,
        vantage="",
        input_band=max((edge for edge in input_bands() if edge < longest), default=0),
        calls=level.calls or 0,
        errors=0,
        calls_without_usage=0,
        runs=0,
        run_errors=0,
        input_tokens=level.input_tokens,
        cache_read_tokens=level.cached_input_tokens,
        cache_write_tokens=0,
        output_tokens=level.output_tokens,
        reasoning_tokens=0,
    )
