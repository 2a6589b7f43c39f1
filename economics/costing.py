"""Usage and money together: each row of usage gets the cost of its pool, its API price, or none that is known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from economics.ledger import Usage
from economics.pools import capacity_usd, pool_of
from economics.prices import api_usd
from economics.quantities import Facts
from settings import Pool


class Basis(StrEnum):
    """Where a cost comes from."""

    CAPACITY = "capacity"
    API = "api"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Costed:
    """One row of usage with its cost. `usage` is None for a pool's idle row."""

    usage: Usage | None
    facts: Facts
    basis: Basis
    pool: str | None


def cost(usages: Iterable[Usage], pools: Sequence[Pool], length: timedelta, at: datetime) -> list[Costed]:
    """Cost every row of one bucket.

    Args:
        usages: rows of the same bucket of wall time.
        length: how much wall time of the bucket is billed.
        at: time whose list prices apply.

    Returns:
        One row per usage, and an idle row per pool that had no traffic. The cost of all pools is in the rows, whole.
    """
    rows: list[Costed] = []
    of_pool: dict[str, list[Usage]] = defaultdict(list)
    for usage in usages:
        pool = pool_of(usage, pools)
        if pool is not None:
            of_pool[pool.name].append(usage)
        else:
            rows.append(_by_list_price(usage, at))
    for pool in pools:
        rows += _share(capacity_usd(pool, length), of_pool.get(pool.name, []), pool.name)
    return rows


def total(rows: Iterable[Costed]) -> Facts:
    """The sum of the rows."""
    return sum((row.facts for row in rows), Facts())


def grouped(rows: Iterable[Costed], key: Callable[[Costed], tuple[str, ...] | None]) -> dict[tuple[str, ...], Facts]:
    """Sums per key; rows whose key is None are left out."""
    groups: dict[tuple[str, ...], Facts] = defaultdict(Facts)
    for row in rows:
        name = key(row)
        if name is not None:
            groups[name] += row.facts
    return dict(groups)


def facts_of(usage: Usage) -> Facts:
    """The facts of a row before its cost is known."""
    return Facts(
        calls=usage.calls,
        errors=usage.errors,
        calls_without_usage=usage.calls_without_usage,
        runs=usage.runs,
        run_errors=usage.run_errors,
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
    )


def _by_list_price(usage: Usage, at: datetime) -> Costed:
    facts = facts_of(usage)
    tokens = usage.input_tokens + usage.output_tokens
    usd = api_usd(usage, at) if tokens else Decimal(0)
    if usd is None:
        return Costed(usage, facts, Basis.UNKNOWN, None)
    return Costed(usage, _with_cost(facts, usd_api=usd), Basis.API, None)


def _share(usd: Decimal, usages: list[Usage], pool: str) -> list[Costed]:
    tokens = [usage.input_tokens + usage.output_tokens for usage in usages]
    if not sum(tokens):
        idle = Costed(None, Facts(usd_capacity=usd), Basis.CAPACITY, pool)
        return [idle, *(Costed(usage, facts_of(usage), Basis.CAPACITY, pool) for usage in usages)]
    rows = []
    left = usd
    for usage, weight in zip(usages[:-1], tokens[:-1], strict=True):
        part = usd * weight / sum(tokens)
        left -= part
        rows.append(Costed(usage, _with_cost(facts_of(usage), usd_capacity=part), Basis.CAPACITY, pool))
    # The last row takes what is left, so that the parts restore the bill to the last digit.
    rows.append(Costed(usages[-1], _with_cost(facts_of(usages[-1]), usd_capacity=left), Basis.CAPACITY, pool))
    return rows


def _with_cost(facts: Facts, usd_capacity: Decimal = Decimal(0), usd_api: Decimal = Decimal(0)) -> Facts:
    return replace(
        facts,
        costed_input_tokens=facts.input_tokens,
        costed_output_tokens=facts.output_tokens,
        usd_capacity=usd_capacity,
        usd_api=usd_api,
    )
