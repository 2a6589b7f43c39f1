"""Capacity pools: accelerators paid by the hour, and which traffic runs on them.

Their cost is the billing clock, hours times price, whether or not a token was made. It is shared among the traffic of
the pool by tokens (input and output alike); without traffic it stays as the pool's own idle cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from settings import Pool


def pool_sql(pools: Sequence[Pool], of: str = "") -> tuple[str, dict[str, object]]:
    """SQL for the name of the pool that serves a row of usage, '' for none, and its parameters.

    It is the first pool whose every given list holds the row's value. A pool that says nothing about what it serves
    takes no traffic.

    Args:
        of: what stands before the names of the columns.
    """
    choices: list[str] = []
    params: dict[str, object] = {}
    for number, pool in enumerate(pools):
        wanted = {
            "model": pool.serves.models,
            "provider": pool.serves.providers,
            "service": pool.serves.services,
            "pipeline": pool.serves.pipelines,
        }
        given = {column: allowed for column, allowed in wanted.items() if allowed}
        if given:
            params[f"pool_{number}"] = pool.name
            params |= {f"pool_{number}_{column}": list(allowed) for column, allowed in given.items()}
            serves = " AND ".join(f"has(:pool_{number}_{column}, {of}{column})" for column in given)
            choices.append(f"{serves}, :pool_{number}")
    return (f"multiIf({', '.join(choices)}, '')" if choices else "''"), params


def usd_per_hour(pool: Pool) -> Decimal:
    """Price of the whole pool for one hour, USD."""
    return pool.usd_per_hour * pool.count


def capacity_usd(pool: Pool, length: timedelta) -> Decimal:
    """What the pool costs over `length` of wall time, USD: idle time costs the same."""
    return usd_per_hour(pool) * Decimal(int(length / timedelta(microseconds=1))) / Decimal(3_600_000_000)
