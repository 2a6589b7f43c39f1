"""The measured demand: tokens of each whole hour, from the ledger. An hour that is hardly known is not idle.

An hour counts when nine tenths of its minutes are known: Andon watched, and no collector holds rows back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from economics.answers import Window
from economics.ledger import Usage, read_usage
from economics.pools import pool_of
from economics.prices import input_bands
from economics.report import SETTLE, Reports
from economics.tco.demand import Demand, Hours
from economics.tco.scenario import DemandTerms
from settings import Pool
from store.telemetry import TelemetryStore

HOUR = timedelta(hours=1)
MINUTES = 60
KNOWN_SHARE = 0.9


@dataclass(frozen=True)
class Measured:
    """A demand, and what was seen of who serves it.

    Attributes:
        provider: of most of the model's tokens that no pool serves; "" when pools serve all.
        pool: the pool that makes most of the model's output tokens; None when none does.
        busiest: output tokens of each pool in its busiest hour, of all its models.
    """

    demand: Demand
    provider: str = ""
    pool: str | None = None
    busiest: Mapping[str, int] = field(default_factory=dict)


def measure(
    store: TelemetryStore, reports: Reports, pools: Sequence[Pool], terms: DemandTerms, now: datetime
) -> Measured:
    """Whole hours of the last `terms.days`, not before the first data."""
    window = _whole_hours(reports.first_seen(), terms.days, now)
    if window is None:
        return Measured(Demand("measured", terms.model or "", ()))
    known = known_hours(reports.known_minutes(window), window)
    usages = [
        usage
        for usage in read_usage(store, window.start, window.end, input_bands(), int(HOUR.total_seconds()))
        if usage.bucket in known and (terms.project is None or usage.project == terms.project)
    ]
    return sort_out(usages, pools, window, known, terms.model)


def known_hours(minutes: set[int], window: Window) -> set[datetime]:
    """Starts of the hours of which nearly all `minutes` (since the epoch) are known."""
    found: dict[int, int] = defaultdict(int)
    for minute in minutes:
        found[minute // MINUTES] += 1
    hours = range(int(window.start.timestamp()) // 3600, int(window.end.timestamp()) // 3600)
    return {datetime.fromtimestamp(hour * 3600, UTC) for hour in hours if found[hour] >= KNOWN_SHARE * MINUTES}


def sort_out(
    usages: Iterable[Usage], pools: Sequence[Pool], window: Window, known: set[datetime], model: str | None
) -> Measured:
    """The demand of one model among hourly usage.

    Args:
        known: starts of the hours of which something is known.
        model: None for that with the most output tokens.
    """
    rows = list(usages)
    by_model: dict[str, int] = defaultdict(int)
    for row in rows:
        by_model[row.model] += row.output_tokens
    chosen = model if model is not None else max(by_model, key=lambda name: (by_model[name], name), default="")
    of_hour: dict[datetime, list[Usage]] = {start: [] for start in sorted(known)}
    for row in rows:
        if row.model == chosen and row.bucket is not None:
            # What one's own engine writes to its prefix cache is no purchase at an API.
            own = pool_of(row, pools) is not None
            of_hour[row.bucket].append(replace(row, cache_write_tokens=0) if own else row)
    busiest, pool = _pools(rows, pools, chosen)
    demand = Demand(
        source="measured",
        model=chosen,
        levels=tuple(Hours(Decimal(1), tuple(of_hour[start]), start) for start in of_hour),
        window=window,
        unknown_hours=int(window.length / HOUR) - len(known),
        other_models={name: tokens for name, tokens in sorted(by_model.items()) if name != chosen and tokens},
        vantage=tuple(sorted({row.vantage for row in rows if row.model == chosen and row.calls})),
    )
    return Measured(demand, _provider(rows, pools, chosen), pool, busiest)


def _whole_hours(first: datetime | None, days: int, now: datetime) -> Window | None:
    end = _floor(now - SETTLE)
    if first is None:
        return None
    start = max(end - timedelta(days=days), _floor(first + HOUR - timedelta(microseconds=1)))
    return Window(start, end) if start < end else None


def _floor(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)


def _pools(rows: Sequence[Usage], pools: Sequence[Pool], model: str) -> tuple[dict[str, int], str | None]:
    by_hour: dict[tuple[str, datetime | None], int] = defaultdict(int)
    of_model: dict[str, int] = defaultdict(int)
    for row in rows:
        pool = pool_of(row, pools)
        if pool is not None:
            by_hour[pool.name, row.bucket] += row.output_tokens
            of_model[pool.name] += row.output_tokens if row.model == model else 0
    busiest: dict[str, int] = {}
    for (name, _), tokens in by_hour.items():
        busiest[name] = max(busiest.get(name, 0), tokens)
    main = max(of_model, key=lambda name: (of_model[name], name), default=None)
    return busiest, main if main is not None and of_model[main] else None


def _provider(rows: Sequence[Usage], pools: Sequence[Pool], model: str) -> str:
    tokens: dict[str, int] = defaultdict(int)
    for row in rows:
        if row.model == model and row.provider and pool_of(row, pools) is None:
            tokens[row.provider] += row.output_tokens
    return max(tokens, key=lambda name: (tokens[name], name), default="")
