"""Which stored spans count, and how they add up: the one place where usage is summed in SQL.

The same expressions fold a closed minute into `usage_1m` and sum the raw rows of open minutes, so both agree.
Every total of Andon reads through `read_usage`.

Which spans count is decided in `economics.counting`. A call counts in the minute in which it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from economics.counting import SERVER_KIND, counted_sql
from store.keys import DEFAULT_PROJECT
from store.telemetry import TelemetryStore

MINUTE = timedelta(minutes=1)
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

# The same spans with the keys of the roll-up, and the columns that are summed under names of their own.
_KEYED = """
SELECT toStartOfMinute(end_time) AS minute, {bucket} AS bucket, project, service, pipeline, stage, provider,
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

# One row per minute and key, from raw spans.
_FROM_SPANS = """
SELECT minute, bucket, {keys},
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
FROM ({keyed}) GROUP BY minute, bucket, {keys}
"""

# One row per minute and key, from the roll-up: only published versions up to :snapshot.
_FROM_ROLLUP = (
    "SELECT minute, {bucket} AS bucket, "
    + ", ".join(KEYS + SUMS + STATES)
    + """ FROM usage_1m
WHERE minute >= toDateTime(:first_whole, 'UTC') AND minute < toDateTime(:end_whole, 'UTC')
  AND (minute, version) IN (
    SELECT minute, max(version) FROM folded_minutes
    WHERE version <= :snapshot
      AND minute >= toDateTime(:first_whole, 'UTC') AND minute < toDateTime(:end_whole, 'UTC')
    GROUP BY minute)"""
)

_OPEN_MINUTES = """NOT (toStartOfMinute(end_time) >= toDateTime(:first_whole, 'UTC')
      AND toStartOfMinute(end_time) < toDateTime(:end_whole, 'UTC')
      AND toStartOfMinute(end_time) IN (
        SELECT minute FROM folded_minutes WHERE version <= :snapshot
          AND minute >= toDateTime(:first_whole, 'UTC') AND minute < toDateTime(:end_whole, 'UTC')))"""

_MARKS = "folded_minutes"
# The rows of minute 0 hold the horizon: see `economics.horizon`.
_STATE = """
SELECT max(version) AS newest, maxIf(ingested_until, minute = toDateTime(0, 'UTC') AND version = 0) AS horizon
FROM {marks}
"""


def spans_sql(minutes: str, bucket: str) -> str:
    """The per-minute sums over raw spans; `minutes` and `bucket` are SQL expressions over `end_time`."""
    keyed = _KEYED.format(server=SERVER_KIND, error=ERROR_STATUS, bucket=bucket, counted=counted_sql(minutes))
    return _FROM_SPANS.format(keys=", ".join(KEYS), keyed=keyed)


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


@dataclass(frozen=True)
class Latency:
    """Quantiles of one group, in seconds; None when nothing was measured."""

    duration_p50_seconds: float | None
    duration_p95_seconds: float | None
    time_to_first_token_p50_seconds: float | None
    time_to_first_token_p95_seconds: float | None


def read_usage(
    store: TelemetryStore, start: datetime, end: datetime, bands: tuple[int, ...], step_seconds: int | None = None
) -> list[Usage]:
    """Usage of calls that ended in [start, end).

    Args:
        bands: edges of the price tiers in input tokens.
        step_seconds: length of a bucket, aligned to the epoch; None for one bucket over all.
    """
    statement, params = _usage_sql(store, start, end, bands, step_seconds)
    keys, sums = ", ".join(KEYS), ", ".join(f"sum(u.{name}) AS {name}" for name in SUMS)
    rows = store.rows(f"SELECT bucket, {keys}, {sums} FROM ({statement}) AS u GROUP BY bucket, {keys}", **params)
    return [Usage(**{**row, "bucket": row["bucket"] if step_seconds else None}) for row in rows]


def read_state(store: TelemetryStore, marks: str = _MARKS) -> tuple[int, datetime]:
    """The newest published version of a roll-up, and its horizon: before it raw rows may be gone.

    Read it once for an answer: a minute that is published later must be seen by no part of it.
    """
    row = store.rows(_STATE.format(marks=marks))[0]
    return row["newest"], row["horizon"]


def read_latency(
    store: TelemetryStore,
    start: datetime,
    end: datetime,
    bands: tuple[int, ...],
    by: tuple[str, ...],
    project: str | None = None,
) -> dict[tuple[str, ...], Latency]:
    """Latency quantiles of calls that ended in [start, end), per value of the key columns `by`.

    Args:
        project: only its calls; None for those of all.
    """
    statement, params = _usage_sql(store, start, end, bands, None)
    keys = "".join(f"{name}, " for name in by)
    group = f"GROUP BY {', '.join(by)}" if by else ""
    where = ""
    if project is not None:
        where, params["project"] = "WHERE project = :project", project
    rows = store.rows(
        f"SELECT {keys} quantilesTDigestMerge(0.5, 0.95, 0.99)(duration_seconds) AS duration, "
        "quantilesTDigestMerge(0.5, 0.95, 0.99)(time_to_first_token_seconds) AS first_token "
        f"FROM ({statement}) {where} {group}",
        **params,
    )
    return {
        tuple(row[name] for name in by): Latency(
            _finite(row["duration"][0]),
            _finite(row["duration"][1]),
            _finite(row["first_token"][0]),
            _finite(row["first_token"][1]),
        )
        for row in rows
    }


def _usage_sql(
    store: TelemetryStore, start: datetime, end: datetime, bands: tuple[int, ...], step_seconds: int | None
) -> tuple[str, dict[str, object]]:
    whole_minutes = step_seconds is None or step_seconds % 60 == 0
    first_whole = ceil_minute(start) if whole_minutes else end
    end_whole = max(first_whole, floor_minute(end)) if whole_minutes else end
    # Read once: a minute published while this query runs must be seen by both of its halves or by neither.
    snapshot, horizon = read_state(store)
    params: dict[str, object] = {
        # Before the horizon spans may be gone: what is left of them is no whole.
        "from_time": sql_time(max(start, horizon)),
        "to_time": sql_time(end),
        "first_whole": sql_minute(first_whole),
        "end_whole": sql_minute(end_whole),
        "bands": list(bands),
        "snapshot": snapshot,
    }
    raw = spans_sql(_OPEN_MINUTES, _bucket("end_time", step_seconds))
    return f"{_FROM_ROLLUP.format(bucket=_bucket('minute', step_seconds))} UNION ALL {raw}", params


def _bucket(column: str, step_seconds: int | None) -> str:
    if step_seconds is None:
        return "toDateTime(0, 'UTC')"
    return f"toStartOfInterval(toDateTime({column}, 'UTC'), INTERVAL {int(step_seconds)} SECOND)"


def _finite(value: float) -> float | None:
    return None if value != value else float(value)


def floor_minute(time: datetime) -> datetime:
    """The start of the minute that holds `time`."""
    return time.replace(second=0, microsecond=0)


def ceil_minute(time: datetime) -> datetime:
    """The first minute that starts at or after `time`."""
    floor = floor_minute(time)
    return floor if floor == time else floor + MINUTE


def sql_time(time: datetime) -> str:
    """A UTC time as ClickHouse reads it, to the microsecond."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def sql_minute(time: datetime) -> str:
    """A UTC time as ClickHouse reads it, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
