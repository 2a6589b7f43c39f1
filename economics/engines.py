"""What engines, gateways and accelerators report, as canonical quantities over a window.

Closed minutes come from `engine_1m`, open ones from raw points, never both. Of members that count the same things only
the most direct counts in each scope; what the others say is shown beside it, and vantages are never added.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from economics.catalogue import Catalogue
from economics.engine_rollup import EngineRollUp
from economics.grains import ENGINE_MINUTES, Span
from economics.growth import FACTS, KEYS, parameters, quantities_sql
from economics.ledger import read_state
from economics.rollup import open_spans, published_sql, stretches
from economics.times import sql_minute, sql_time
from store.telemetry import TelemetryStore

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_OWN_TYPES = ("bucket_bounds", "shadowed")

_HELD = """
SELECT toStartOfMinute(time) AS minute, count() AS points FROM metric_points
WHERE time >= toDateTime64(:from_time, 9, 'UTC') AND time < toDateTime64(:to_time, 9, 'UTC') GROUP BY minute
"""

# By what it is sent as, in the words of the catalogue.
_SENT = """
SELECT DISTINCT metric, multiIf(kind = 'sum', if(monotonic, 'counter', 'gauge'), kind = 'gauge', 'gauge', 'histogram')
    AS sent_as
FROM metric_points
WHERE time >= toDateTime64(:from_time, 9, 'UTC') AND time < toDateTime64(:to_time, 9, 'UTC')
ORDER BY metric, sent_as
"""


@dataclass(frozen=True)
class Misfit:
    """A metric whose name is known and that is sent as another kind of data than is understood: it is not counted."""

    metric: str
    sent_as: str
    expected: tuple[str, ...]


@dataclass(frozen=True)
class EngineFacts:
    """What adds up over any split of time. None is unknown.

    Args:
        value: growth in the quantity's unit; of a level its unit times seconds; of a distribution the sum of sizes.
        seconds: time that is known, of all series together; `covered_seconds` of one of them on average.
        events: of a distribution.
        bucket_counts: of a distribution, one more than its bounds.
        unknown_points: of `points`, those whose growth or level is not known.
        reach_seconds: how long before its point growth may have been, at most.
    """

    value: float | None = None
    seconds: float = 0.0
    covered_seconds: float = 0.0
    events: int = 0
    bucket_counts: tuple[int, ...] = ()
    lowest: float | None = None
    highest: float | None = None
    last: float | None = None
    last_time: datetime | None = None
    points: int = 0
    unknown_points: int = 0
    reach_seconds: float = 0.0

    def __add__(self, other: EngineFacts) -> EngineFacts:
        newer = self if (self.last_time or _NEVER) > (other.last_time or _NEVER) else other
        known = [facts for facts in (newer, self, other) if facts.last is not None]
        longest, shortest = sorted((self.bucket_counts, other.bucket_counts), key=len, reverse=True)
        padded = (*shortest, *[0] * (len(longest) - len(shortest)))
        return EngineFacts(
            value=_either(lambda a, b: a + b, self.value, other.value),
            seconds=self.seconds + other.seconds,
            covered_seconds=self.covered_seconds + other.covered_seconds,
            events=self.events + other.events,
            bucket_counts=tuple(a + b for a, b in zip(longest, padded, strict=True)),
            lowest=_either(min, self.lowest, other.lowest),
            highest=_either(max, self.highest, other.highest),
            last=known[0].last if known else None,
            last_time=newer.last_time,
            points=self.points + other.points,
            unknown_points=self.unknown_points + other.unknown_points,
            reach_seconds=max(self.reach_seconds, other.reach_seconds),
        )


@dataclass(frozen=True)
class EngineKey:
    """Whose facts they are. `bucket` is UTC, None when there is one bucket; `shadowed`: another reporter of the same
    accelerator counts instead."""

    bucket: datetime | None
    project: str
    environment: str
    service: str
    accelerator_pool: str
    instance: str
    host: str
    source: str
    signal: str
    precedence: int
    vantage: str
    model: str
    accelerator: str
    quantity: str
    part: str
    bucket_bounds: tuple[float, ...]
    shadowed: bool


@dataclass(frozen=True)
class EngineRow:
    """Facts of one key. `counts`: no member of lower precedence tells the same."""

    key: EngineKey
    facts: EngineFacts
    counts: bool


def read_engines(
    store: TelemetryStore,
    catalogue: Catalogue,
    start: datetime,
    end: datetime,
    quantities: Collection[str] | None = None,
    step_seconds: int | None = None,
) -> list[EngineRow]:
    """Facts from points taken in [start, end), those that count and those that others count instead.

    Before the horizon, where points may be gone, whole minutes are known and nothing else.

    Args:
        quantities: ids that are wanted; None for all.
        step_seconds: length of a bucket, aligned to the epoch; None for one bucket over all.
    """
    rollup = EngineRollUp(catalogue)
    version, horizon = read_state(store, rollup.grain)
    whole = step_seconds is None or step_seconds % 60 == 0
    spans = open_spans(store, rollup, (start, end), version) if whole else [(start, end)]
    found: dict[EngineKey, EngineFacts] = {}
    rows = _closed(store, rollup, (start, end), version, quantities, step_seconds) if whole else []
    for begin, finish in spans:
        if finish > horizon:
            rows.extend(_open(store, catalogue, (max(begin, horizon), finish), quantities, step_seconds))
    for key, facts in rows:
        found[key] = found[key] + facts if key in found else facts
    return chosen(found, catalogue)


def misfits(store: TelemetryStore, catalogue: Catalogue, start: datetime, end: datetime) -> tuple[Misfit, ...]:
    """What was sent in [start, end) under known names and cannot be used."""
    found = []
    for row in store.rows(_SENT, from_time=sql_time(start), to_time=sql_time(end)):
        expected = {signal.kind.value for signal in catalogue.named([row["metric"]])}
        if expected and row["sent_as"] not in expected:
            found.append(Misfit(row["metric"], row["sent_as"], tuple(sorted(expected))))
    return tuple(found)


def chosen(found: dict[EngineKey, EngineFacts], catalogue: Catalogue) -> list[EngineRow]:
    """Which rows count: in each scope of a vantage those of the lowest precedence that says anything.

    It is decided once for all buckets, so that a line is not made of several members by turns.
    """
    best: dict[tuple[object, ...], tuple[bool, int]] = {}
    for key, facts in found.items():
        scope, rank = _scope(key, catalogue), (facts.points == facts.unknown_points, key.precedence)
        best[scope] = min(rank, best.get(scope, rank))
    return [
        EngineRow(key, facts, not key.shadowed and key.precedence == best[_scope(key, catalogue)][1])
        for key, facts in found.items()
    ]


def _scope(key: EngineKey, catalogue: Catalogue) -> tuple[object, ...]:
    # What belongs to a host as a whole names no accelerator.
    of_host = {"accelerator": key.host or key.instance}
    names = catalogue.vantages[key.vantage].scope
    return (key.project, key.vantage, key.quantity, *(getattr(key, name) or of_host.get(name, "") for name in names))


def _closed(
    store: TelemetryStore,
    rollup: EngineRollUp,
    window: Span,
    version: int,
    quantities: Collection[str] | None,
    step_seconds: int | None,
) -> list[tuple[EngineKey, EngineFacts]]:
    wanted = "" if quantities is None else "WHERE quantity IN (:quantities)"
    source = f"SELECT {_bucket('minute', step_seconds)} AS bucket, * FROM ({published_sql(rollup)}) {wanted}"
    return _read(
        store,
        source,
        step_seconds,
        snapshot=version,
        first_whole=sql_minute(ENGINE_MINUTES.ceil(window[0])),
        end_whole=sql_minute(ENGINE_MINUTES.floor(window[1])),
        **({} if quantities is None else {"quantities": sorted(quantities)}),
    )


def _open(
    store: TelemetryStore,
    catalogue: Catalogue,
    span: Span,
    quantities: Collection[str] | None,
    step_seconds: int | None,
) -> Iterable[tuple[EngineKey, EngineFacts]]:
    rows = store.rows(_HELD, from_time=sql_time(span[0]), to_time=sql_time(span[1]))
    for start, end in stretches({row["minute"]: row["points"] for row in rows}, span):
        needed = parameters(store, catalogue, start, end, quantities)
        if needed is not None:
            yield from _read(store, quantities_sql(_bucket("time", step_seconds)), step_seconds, **needed)


def _read(
    store: TelemetryStore, source: str, step_seconds: int | None, **params: object
) -> list[tuple[EngineKey, EngineFacts]]:
    keys = ", ".join(KEYS)
    facts = ", ".join(f"{how.format('r.' + name)} AS {name}" for name, how in FACTS.items())
    statement = f"SELECT bucket, {keys}, {facts} FROM ({source}) AS r GROUP BY bucket, {keys}"
    return [
        (
            EngineKey(
                **{name: row[name] for name in KEYS if name not in _OWN_TYPES},
                bucket=row["bucket"] if step_seconds else None,
                bucket_bounds=tuple(row["bucket_bounds"]),
                shadowed=bool(row["shadowed"]),
            ),
            EngineFacts(**{**{name: row[name] for name in FACTS}, "bucket_counts": tuple(row["bucket_counts"])}),
        )
        for row in store.rows(statement, **params)
    ]


def _bucket(column: str, step_seconds: int | None) -> str:
    if step_seconds is None:
        return "toDateTime(0, 'UTC')"
    return f"toStartOfInterval(toDateTime({column}, 'UTC'), INTERVAL {int(step_seconds)} SECOND)"


def _either(join: Callable[[float, float], float], one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return join(one, other)
