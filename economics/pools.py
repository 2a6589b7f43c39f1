"""Capacity pools: accelerators paid by the hour, and which traffic runs on them.

Their cost is the billing clock, hours times price, whether or not a token was made. It is shared among the traffic of
the pool by tokens (input and output alike); without traffic it stays as the pool's own idle cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal

from economics.ledger import Usage
from settings import Pool


def pool_of(usage: Usage, pools: Iterable[Pool]) -> Pool | None:
    """The first pool whose every given list holds the usage's value; None when no pool serves it.

    A pool that says nothing about what it serves takes no traffic.
    """
    for pool in pools:
        wanted = (
            (pool.serves.models, usage.model),
            (pool.serves.providers, usage.provider),
            (pool.serves.services, usage.service),
            (pool.serves.pipelines, usage.pipeline),
        )
        given = [(allowed, value) for allowed, value in wanted if allowed]
        if given and all(value in allowed for allowed, value in given):
            return pool
    return None


def usd_per_hour(pool: Pool) -> Decimal:
    """Price of the whole pool for one hour, USD."""
    return pool.usd_per_hour * pool.count


def capacity_usd(pool: Pool, length: timedelta) -> Decimal:
    """What the pool costs over `length` of wall time, USD: idle time costs the same."""
    return usd_per_hour(pool) * Decimal(int(length / timedelta(microseconds=1))) / Decimal(3_600_000_000)
