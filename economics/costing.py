"""Usage and money together: what adds up, by bucket and labels, with the cost of its pool, its API price, or none.

List prices go to the engine as cards, one for each model, tier and period of prices, and are multiplied there in exact
decimals. A pool's cost is shared here, by the tokens of those who used it.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from economics.grains import Folded
from economics.ledger import SUMS, Source, usage_in
from economics.pools import capacity_usd, pool_sql
from economics.prices import RateCard, input_bands, price_changes, rate_card
from economics.quantities import Facts
from settings import Pool
from store.telemetry import TelemetryStore

# Prices are told to the engine with so many digits behind the point: a token costs some 1e-6 USD.
_DIGITS = 18
_FACTORS = tuple(field.name for field in fields(RateCard))
_CARD = ", ".join(
    (
        "provider String, model String, band UInt64, periods Array(UInt16), known UInt8",
        *(f"{name} String" for name in _FACTORS),
    )
)
_CARD_COLUMNS = ", ".join(f"toDecimal128(card.{name}, {_DIGITS}) AS usd_{name}" for name in _FACTORS)
_BANDS = (0, *input_bands())
_UNKNOWN_CARD = RateCard(*(Decimal(0),) * len(_FACTORS))

_NEW = "new"

# Sums of each bucket and labels, by where their cost comes from. `pool` is '' where no pool serves the traffic; `basis`
# is 'new' where no card was sent for its model.
_COSTED = """
SELECT bucket, {labels} pool,
    multiIf(pool != '', 'capacity', tokens = 0, 'api', NOT listed, 'new', known, 'api', 'unknown') AS basis,
    if(basis = 'new', provider_of, '') AS new_provider, if(basis = 'new', model_of, '') AS new_model,
    {sums},
    sum(if(basis = 'api' AND tokens > 0,
        usd_per_call * toInt64(t.calls - t.calls_without_usage) + usd_input_token * toInt64(t.input_tokens)
        + usd_cache_read_token * toInt64(t.cache_read_tokens) + usd_cache_write_token * toInt64(t.cache_write_tokens)
        + usd_output_token * toInt64(t.output_tokens) + usd_reasoning_token * toInt64(t.reasoning_tokens),
        toDecimal128(0, {digits}))) AS usd
FROM (
    SELECT bucket, period, {labels} {pool} AS pool, if(pool = '', u.provider, '') AS provider_of,
        if(pool = '', u.model, '') AS model_of, if(pool = '', u.input_band, 0) AS band_of,
        {sums_of_usage}, sum(u.input_tokens) + sum(u.output_tokens) AS tokens
    FROM ({usage}) AS u GROUP BY bucket, period, {labels} pool, provider_of, model_of, band_of
) AS t LEFT ANY JOIN (
    SELECT card.provider AS card_provider, card.model AS card_model, card.band AS card_band,
        arrayJoin(card.periods) AS card_period, 1 AS listed, card.known AS known, {card_columns}
    FROM (SELECT arrayJoin(JSONExtract(:cards, 'Array(Tuple({card}))')) AS card)
) AS c ON provider_of = card_provider AND model_of = card_model AND band_of = card_band AND t.period = card_period
GROUP BY bucket, {labels} pool, basis, new_provider, new_model
"""


class Basis(StrEnum):
    """Where a cost comes from."""

    CAPACITY = "capacity"
    API = "api"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Costed:
    """What adds up for one value of the labels in one bucket, with its cost.

    `labels` is None in the row of a pool that had no traffic; `bucket` is None where there is one over all.
    """

    bucket: datetime | None
    labels: tuple[str, ...] | None
    facts: Facts
    basis: Basis
    pool: str | None


class Costs:
    """Costs the usage of windows.

    Args:
        pools: the first whose lists hold a call serves it.
    """

    def __init__(self, store: TelemetryStore, pools: Sequence[Pool]) -> None:
        self._store = store
        self._pools = tuple(pools)
        self._models: frozenset[tuple[str, str]] = frozenset()

    def read(
        self,
        start: datetime,
        end: datetime,
        labels: tuple[str, ...],
        step: timedelta | None = None,
        state: tuple[list[Folded], datetime] | None = None,
    ) -> tuple[list[Costed], Source]:
        """What calls that ended in [start, end) add up to, and where it was read from.

        Args:
            labels: keys of the ledger, by which it is split.
            step: length of a bucket, aligned to the epoch; None for one over all. A bucket that the window cuts short
                is billed for what is in the window.
            state: what `read_folded` said just now, where it was asked already.
        """
        seconds = None if step is None else int(step.total_seconds())
        while True:
            models = self._models
            rows, source = self._rows(models, start, end, labels, seconds, state)
            new = {(row["new_provider"], row["new_model"]) for row in rows if row["basis"] == _NEW}
            # A name that comes back as new although its card was sent has no price.
            if new <= models:
                break
            self._models = models | new
        found: dict[datetime | None, list[Costed]] = {bucket: [] for bucket in _buckets(start, end, step)}
        for row in rows:
            bucket = None if step is None else row["bucket"]
            found[bucket].append(_costed(row, bucket, labels))
        return [
            row
            for bucket, of_bucket in found.items()
            for row in with_capacity(of_bucket, self._pools, bucket, _billed(bucket, step, start, end))
        ], source

    def _rows(
        self,
        models: frozenset[tuple[str, str]],
        start: datetime,
        end: datetime,
        labels: tuple[str, ...],
        step: int | None,
        state: tuple[list[Folded], datetime] | None,
    ) -> tuple[list[Mapping[str, Any]], Source]:
        cuts = sorted({at for provider, model in models for at in price_changes(provider, model, start, end)})
        source = usage_in(self._store, start, end, input_bands(), step, cuts, state)
        pool, pool_params = pool_sql(self._pools, "u.")
        statement = _COSTED.format(
            labels="".join(f"{name}, " for name in labels),
            pool=pool,
            sums=", ".join(f"sum(t.{name}) AS {name}" for name in SUMS),
            sums_of_usage=", ".join(f"sum(u.{name}) AS {name}" for name in SUMS),
            usage=source.statement,
            card=_CARD,
            card_columns=_CARD_COLUMNS,
            digits=_DIGITS,
        )
        cards = [
            card for provider, model in models for band in _BANDS for card in _cards(provider, model, band, start, cuts)
        ]
        rows = self._store.rows(statement, cards=json.dumps(cards), **pool_params, **source.params)
        return rows, source


def _buckets(start: datetime, end: datetime, step: timedelta | None) -> list[datetime | None]:
    if step is None:
        return [None]
    seconds = int(step.total_seconds())
    first = int(start.timestamp()) // seconds * seconds
    return [datetime.fromtimestamp(at, UTC) for at in range(first, math.ceil(end.timestamp()), seconds)]


def _billed(bucket: datetime | None, step: timedelta | None, start: datetime, end: datetime) -> timedelta:
    if bucket is None or step is None:
        return end - start
    return min(bucket + step, end) - max(bucket, start)


def _cards(
    provider: str, model: str, band: int, start: datetime, cuts: Sequence[datetime]
) -> list[tuple[str | int | list[int], ...]]:
    """The cards of one tier of a model as the engine reads them: each with the periods in which it holds."""
    periods: dict[RateCard | None, list[int]] = defaultdict(list)
    for period, at in enumerate((start, *cuts)):
        periods[rate_card(provider, model, band, at)].append(period)
    return [
        (provider, model, band, held, int(card is not None), *map(_digits, astuple(card or _UNKNOWN_CARD)))
        for card, held in periods.items()
    ]


def _digits(usd: Decimal) -> str:
    return f"{usd:.{_DIGITS}f}"


def _costed(row: Mapping[str, Any], bucket: datetime | None, labels: tuple[str, ...]) -> Costed:
    basis = Basis.UNKNOWN if row["basis"] == _NEW else Basis(row["basis"])
    facts = Facts(**{name: row[name] for name in SUMS})
    if basis is Basis.API:
        facts = _with_cost(facts, usd_api=row["usd"])
    return Costed(bucket, tuple(row[name] for name in labels), facts, basis, row["pool"] or None)


def with_capacity(
    rows: Sequence[Costed], pools: Sequence[Pool], bucket: datetime | None, length: timedelta
) -> list[Costed]:
    """Rows of one bucket with the cost of the pools that they ran on, whole: what a pool costs is shared by tokens.

    A pool without tokens gets a row of its own.

    Args:
        length: how much wall time of the bucket is billed.
    """
    found = [row for row in rows if row.pool is None]
    for pool in pools:
        found += _share(capacity_usd(pool, length), [row for row in rows if row.pool == pool.name], pool.name, bucket)
    return found


def total(rows: Iterable[Costed]) -> Facts:
    """The sum of the rows."""
    return Facts.total(row.facts for row in rows)


def grouped(rows: Iterable[Costed], key: Callable[[Costed], tuple[str, ...] | None]) -> dict[tuple[str, ...], Facts]:
    """Sums per key; rows whose key is None are left out."""
    groups: dict[tuple[str, ...], list[Facts]] = defaultdict(list)
    for row in rows:
        name = key(row)
        if name is not None:
            groups[name].append(row.facts)
    return {name: Facts.total(facts) for name, facts in groups.items()}


def _share(usd: Decimal, rows: list[Costed], pool: str, bucket: datetime | None) -> list[Costed]:
    tokens = [row.facts.input_tokens + row.facts.output_tokens for row in rows]
    if not sum(tokens):
        return [Costed(bucket, None, Facts(usd_capacity=usd), Basis.CAPACITY, pool), *rows]
    shared = []
    left = usd
    for row, weight in zip(rows[:-1], tokens[:-1], strict=True):
        part = usd * weight / sum(tokens)
        left -= part
        shared.append(replace(row, facts=_with_cost(row.facts, usd_capacity=part)))
    # The last row takes what is left, so that the parts restore the bill to the last digit.
    shared.append(replace(rows[-1], facts=_with_cost(rows[-1].facts, usd_capacity=left)))
    return shared


def _with_cost(facts: Facts, usd_capacity: Decimal = Decimal(0), usd_api: Decimal = Decimal(0)) -> Facts:
    return replace(
        facts,
        costed_input_tokens=facts.input_tokens,
        costed_output_tokens=facts.output_tokens,
        usd_capacity=usd_capacity,
        usd_api=usd_api,
    )
