"""Which stored spans count, and how they add up: the one place where usage is summed in SQL.

The same expressions fold closed stretches of time into the tables of `economics.grains` and sum the spans of open
ones, so both agree. Every total of Andon reads through `usage_in`.

Which spans count is decided in `economics.counting`. A call counts at the time at which it ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from economics.counting import SERVER_KIND, any_entangled, counted_sql
from economics.grains import GRAINS, MINUTES, SLICES, SLICES_FRESH, SLICES_READ, Folded, Grain, Piece, cover
from economics.times import sql_time
from store.keys import DEFAULT_PROJECT
from store.telemetry import TelemetryStore

ERROR_STATUS = 2

KEYS = ("project", "service", "pipeline", "stage", "provider", "model", "vantage", "input_band")
SUMS = (
    "calls",
    "errors",
    "calls_without_usage",
    "runs",
    "run_errors",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)
STATES = ("duration_seconds", "time_to_first_token_seconds")
_COLUMNS = ", ".join(KEYS + SUMS + STATES)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The same spans with the keys of the roll-up, and the columns that are summed under names of their own.
_KEYED = """
SELECT {start} AS start, {bucket} AS bucket, project, service, pipeline, stage, provider,
    if(response_model != '', response_model, request_model) AS model,
    if(kind = {server}, 'server', 'client') AS vantage,
    arrayMax(arrayFilter(edge -> edge < ifNull(input_tokens, 0), arrayConcat([0], :bands))) AS input_band,
    counts, is_call, is_run, status_code = {error} AS failed,
    ifNull(input_tokens, 0) AS n_in, ifNull(cache_read_tokens, 0) AS n_cr, ifNull(cache_write_tokens, 0) AS n_cw,
    ifNull(output_tokens, 0) AS n_out, ifNull(reasoning_tokens, 0) AS n_rs,
    greatest(0, toUnixTimestamp64Nano(end_time) - toUnixTimestamp64Nano(start_time)) / 1e9 AS seconds,
    s.time_to_first_token_seconds AS first_token
FROM ({counted}) AS s WHERE is_call OR is_run
"""

# One row per start, bucket and key, from the spans.
_FROM_SPANS = """
SELECT start, bucket, {keys},
    countIf(is_call) AS calls,
    countIf(is_call AND failed) AS errors,
    countIf(is_call AND NOT counts) AS calls_without_usage,
    countIf(is_run) AS runs,
    countIf(is_run AND failed) AS run_errors,
    toUInt64(sumIf(n_in, counts)) AS input_tokens,
    toUInt64(sumIf(n_cr, counts)) AS cache_read_tokens,
    toUInt64(sumIf(n_cw, counts)) AS cache_write_tokens,
    toUInt64(sumIf(n_out, counts)) AS output_tokens,
    toUInt64(sumIf(n_rs, counts)) AS reasoning_tokens,
    quantilesTDigestStateIf(0.5, 0.95, 0.99)(seconds, is_call) AS duration_seconds,
    quantilesTDigestStateIf(0.5, 0.95, 0.99)(ifNull(first_token, 0.), is_call AND first_token IS NOT NULL)
        AS time_to_first_token_seconds
FROM ({keyed}) GROUP BY start, bucket, {keys}
"""

# One row per start and key, from what is folded: of each start the newest version that was published when the answer
# began.
_FROM_FOLDED = """
SELECT {bucket} AS bucket, {period} AS period, {columns} FROM {table}
WHERE ({within}) AND ({start}, version) IN (
    SELECT {start}, max(version) FROM {marks} WHERE version <= {version} AND ({within}) GROUP BY {start})
"""
_NOTHING = f"SELECT toDateTime(0, 'UTC') AS bucket, toUInt16(0) AS period, {_COLUMNS} FROM usage_1m WHERE 0"

_LOOSE = """
SELECT count() AS found FROM spans
WHERE end_time >= toDateTime64(:from_time, 9, 'UTC') AND end_time < toDateTime64(:to_time, 9, 'UTC')
"""

# How far a grain is folded. Rows of the time 0 and version 0 hold the horizon: see `economics.horizon`.
_FOLDED = """
SELECT '{marks}' AS marks, max(m.version) AS version, max(m.closed_before) AS before,
    dateDiff('second', max(m.published_at), now64(6, 'UTC')) AS age,
    maxIf(m.ingested_until, m.{start} = toDateTime(0, 'UTC') AND m.version = 0) AS horizon
FROM {marks} AS m
"""


def _folded_until(grain: Grain) -> str:
    return _FOLDED.format(marks=grain.marks, start=grain.start)


def spans_sql(where: str, start: str, bucket: str, entangled: bool, part: str = "") -> str:
    """The sums over spans that end in [:from_time, :to_time).

    Args:
        where, start, bucket: SQL over `end_time`: which spans, and the time and the bucket under which they add up.
        entangled: what `any_entangled` says of that time.
        part: ends the names of those two parameters, where a statement has several such parts.
    """
    counted = counted_sql(where, entangled)
    for name in (":from_time", ":to_time"):
        counted = counted.replace(name, name + part)
    keyed = _KEYED.format(server=SERVER_KIND, error=ERROR_STATUS, start=start, bucket=bucket, counted=counted)
    return _FROM_SPANS.format(keys=", ".join(KEYS), keyed=keyed)


@dataclass(frozen=True)
class Source:
    """The usage of a window as SQL: rows of `bucket`, `period`, `KEYS`, `SUMS` and `STATES`, several for one key.

    All statements of one answer are made of the same one, so that they see the same.

    Attributes:
        known_before: the horizon; before it there are whole minutes and nothing else.
    """

    statement: str
    params: dict[str, object]
    known_before: datetime


@dataclass(frozen=True)
class Usage:
    """Additive facts of one bucket and key. Tokens are counts; `bucket` is UTC, None when there is one bucket."""

    bucket: datetime | None
    service: str
    pipeline: str
    stage: str
    provider: str
    model: str
    vantage: str
    input_band: int
    calls: int
    errors: int
    calls_without_usage: int
    runs: int
    run_errors: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    project: str = DEFAULT_PROJECT


def usage_in(
    store: TelemetryStore,
    start: datetime,
    end: datetime,
    bands: tuple[int, ...],
    step_seconds: int | None = None,
    cuts: Sequence[datetime] = (),
    state: tuple[list[Folded], datetime] | None = None,
) -> Source:
    """Usage of calls that ended in [start, end).

    Args:
        bands: edges of the price tiers in input tokens.
        step_seconds: length of a bucket, aligned to the epoch; None for one bucket over all.
        cuts: times in order; the column `period` says how many of them a row comes after.
        state: what `read_folded` said just now, where it was asked already.
    """
    folded, horizon = state or read_folded(store)
    pieces = cover((start, end), step_seconds, folded, cuts)
    params: dict[str, object] = {"bands": list(bands)}
    parts = [sql for each in folded if (sql := _folded_sql(each, pieces, step_seconds, cuts))]
    for number, piece in enumerate(piece for piece in pieces if piece.folded is None):
        # Before the horizon spans may be gone: what is left of them is no whole.
        first, last = max(piece.start, horizon), piece.end
        if first >= last or not _holds_spans(store, first, last):
            continue
        params |= {f"from_time_{number}": sql_time(first), f"to_time_{number}": sql_time(last)}
        period = sum(cut <= piece.start for cut in cuts)
        bucket, entangled = _bucket("end_time", step_seconds), any_entangled(store, first, last)
        spans = spans_sql("1", "toDateTime(0, 'UTC')", bucket, entangled, f"_{number}")
        parts.append(f"SELECT bucket, toUInt16({period}) AS period, {_COLUMNS} FROM ({spans})")
    return Source(" UNION ALL ".join(parts or [_NOTHING]), params, horizon)


def _holds_spans(store: TelemetryStore, start: datetime, end: datetime) -> bool:
    """Asked first: the rules of counting cost something even where there is nothing to count."""
    return bool(store.rows(_LOOSE, from_time=sql_time(start), to_time=sql_time(end))[0]["found"])


def read_folded(store: TelemetryStore) -> tuple[list[Folded], datetime]:
    """How far each grain is folded, the coarsest first; and the horizon of minutes."""
    rows = {row["marks"]: row for row in store.rows(" UNION ALL ".join(map(_folded_until, GRAINS)))}
    return [_folded(grain, rows[grain.marks]) for grain in GRAINS], rows[MINUTES.marks]["horizon"]


def read_folded_grain(store: TelemetryStore, grain: Grain) -> Folded:
    """How far one grain is folded."""
    return _folded(grain, store.rows(_folded_until(grain))[0])


def _folded(grain: Grain, row: Mapping[str, Any]) -> Folded:
    # What is before the horizon was all folded before it moved there.
    before = max(row["before"], row["horizon"])
    since = before - SLICES_READ if grain is SLICES and before > _EPOCH else _EPOCH
    # Slices are published up to what is stored, the one that is open among them.
    complete = grain is SLICES and abs(row["age"]) < SLICES_FRESH.total_seconds()
    return Folded(grain, row["version"], since, before, complete)


def read_state(store: TelemetryStore, grain: Grain = MINUTES) -> tuple[int, datetime]:
    """The newest published version of a grain, and its horizon: before it raw rows may be gone.

    Read it once for an answer: what is published later must be seen by no part of it.
    """
    row = store.rows(_folded_until(grain))[0]
    return row["version"], row["horizon"]


def read_usage(
    store: TelemetryStore, start: datetime, end: datetime, bands: tuple[int, ...], step_seconds: int | None = None
) -> list[Usage]:
    """Usage of calls that ended in [start, end), by every key; the arguments are those of `usage_in`."""
    source = usage_in(store, start, end, bands, step_seconds)
    keys, sums = ", ".join(KEYS), ", ".join(f"sum(u.{name}) AS {name}" for name in SUMS)
    statement = f"SELECT bucket, {keys}, {sums} FROM ({source.statement}) AS u GROUP BY bucket, {keys}"
    rows = store.rows(statement, **source.params)
    return [Usage(**{**row, "bucket": row["bucket"] if step_seconds else None}) for row in rows]


def _folded_sql(
    folded: Folded, pieces: Sequence[Piece], step_seconds: int | None, cuts: Sequence[datetime]
) -> str | None:
    grain = folded.grain
    within = " OR ".join(
        f"{grain.start} >= {_literal(piece.start)} AND {grain.start} < {_literal(piece.end)}"
        for piece in pieces
        if piece.folded is folded
    )
    if not within:
        return None
    return _FROM_FOLDED.format(
        bucket=_bucket(grain.start, step_seconds),
        period=_period(grain.start, cuts),
        columns=_COLUMNS,
        table=grain.table,
        marks=grain.marks,
        start=grain.start,
        version=folded.version,
        within=within,
    )


def _period(column: str, cuts: Sequence[datetime]) -> str:
    if not cuts:
        return "toUInt16(0)"
    listed = ", ".join(_literal(cut) for cut in cuts)
    return f"toUInt16(arrayCount(cut -> cut <= {column}, [{listed}]))"


def _literal(start: datetime) -> str:
    return f"toDateTime({int(start.timestamp())}, 'UTC')"


def _bucket(column: str, step_seconds: int | None) -> str:
    if step_seconds is None:
        return "toDateTime(0, 'UTC')"
    return f"toStartOfInterval(toDateTime({column}, 'UTC'), INTERVAL {int(step_seconds)} SECOND)"
