"""Capacity pools: accelerators paid by the hour, and which traffic runs on them.

Their cost is the billing clock, hours times price, whether or not a token was made. It is shared among the traffic of
the pool by tokens (input and output alike); without traffic it stays as the pool's own idle cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal

from economics.ledger import Usage
from settings import Pool

_SERVED_BY = {"model": "models", "provider": "providers", "service": "services", "pipeline": "pipelines"}


def pool_of(usage: Usage, pools: Iterable[Pool]) -> Pool | None:
    """The first pool whose every given list holds the usage's value; None when no pool serves it.

    A pool that says nothing about what it serves takes no traffic.
    """
    for pool in pools:
        given = _given(pool)
        if given and all(getattr(usage, column) in allowed for column, allowed in given.items()):
            return pool
    return None


def pool_sql(pools: Sequence[Pool], of: str = "") -> tuple[str, dict[str, object]]:
    """What `pool_of` says, as SQL over a row of usage: the pool's name, '' for none; and its parameters.

    Args:
        of: what stands before the names of the columns.
    """
    choices: list[str] = []
    params: dict[str, object] = {}
    for number, pool in enumerate(pools):
        given = _given(pool)
        if given:
            params[f"pool_{number}"] = pool.name
            params |= {f"pool_{number}_{column}": list(allowed) for column, allowed in given.items()}
            serves = " AND ".join(f"has(:pool_{number}_{column}, {of}{column})" for column in given)
            choices.append(f"{serves}, :pool_{number}")
    return (f"multiIf({', '.join(choices)}, '')" if choices else "''"), params


def _given(pool: Pool) -> dict[str, Sequence[str]]:
    lists = {column: getattr(pool.serves, name) for column, name in _SERVED_BY.items()}
    return {column: allowed for column, allowed in lists.items() if allowed}


def usd_per_hour(pool: Pool) -> Decimal:
    """Price of the whole pool for one hour, USD."""
    return pool.usd_per_hour * pool.count


def capacity_usd(pool: Pool, length: timedelta) -> Decimal:
    """What the pool costs over `length` of wall time, USD: idle time costs the same."""
    return usd_per_hour(pool) * Decimal(int(length / timedelta(microseconds=1))) / Decimal(3_600_000_000)
