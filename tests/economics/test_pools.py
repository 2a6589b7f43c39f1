"""Which pool serves a call: the same in Python and in the engine."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from economics.pools import pool_of, pool_sql
from settings import Pool, Serves
from store.telemetry import TelemetryStore
from tests.economics.test_prices import EMPTY


def pool(name: str, **serves: tuple[str, ...]) -> Pool:
    return Pool(name=name, accelerator="H100", count=1, usd_per_hour=Decimal(1), serves=Serves(**serves))


POOLS = (
    pool("silent"),
    pool("by model", models=("llama", "it's 'quoted'"), services=("shop",)),
    pool("by pipeline", pipelines=("rag",)),
    pool("any llama", models=("llama",)),
)
CALLS = [
    ({"model": "llama", "service": "shop"}, "by model"),
    ({"model": "it's 'quoted'", "service": "shop"}, "by model"),
    ({"model": "llama", "service": "desk", "pipeline": "rag"}, "by pipeline"),
    ({"model": "llama", "service": "desk"}, "any llama"),
    ({"model": "gpt", "service": "shop"}, ""),
]


@pytest.mark.parametrize(("call", "name"), CALLS)
def test_the_first_pool_whose_lists_hold_a_call_serves_it(
    telemetry: TelemetryStore, call: dict[str, str], name: str
) -> None:
    usage = replace(EMPTY, **call)
    found = pool_of(usage, POOLS)
    assert (found.name if found else "") == name
    statement, params = pool_sql(POOLS)
    columns = {column: getattr(usage, column) for column in ("model", "provider", "service", "pipeline")}
    named = ", ".join(f":{column} AS {column}" for column in columns)
    assert telemetry.rows(f"SELECT {statement} AS pool FROM (SELECT {named})", **params, **columns) == [{"pool": name}]


def test_without_pools_none_serves(telemetry: TelemetryStore) -> None:
    statement, params = pool_sql(())
    assert telemetry.rows(f"SELECT {statement} AS pool", **params) == [{"pool": ""}]
