"""How raw metric points become canonical quantities: the one place where counters are subtracted in SQL.

The same statement folds closed minutes into `engine_1m` and sums the raw points of open ones, so both agree.
Rows come from `metric_points`; what each name means comes from the catalogue.

Rules: a point counts in the minute in which it was taken, with all that came to be since the point before it. So every
point counts once, whichever way time is cut, and whole numbers stay whole. A counter that falls, or whose start moves
past the point before, began again: its value counts from its start. The first point of a series counts if it says that
it started less than `FRESH_START` ago; else what it says is growth of an unknown time, and unknown.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime, timedelta

from economics.catalogue import Catalogue
from economics.naming import named_sql, rules
from economics.times import sql_time
from store.telemetry import TelemetryStore

# A counter may be silent this long, and what it grew by is still known. Where nothing came for longer it is a gap.
LONGEST_SILENCE = timedelta(hours=1)
# A series seen for the first time counts from its start if that is not longer ago.
FRESH_START = timedelta(minutes=5)
# A level holds between two points that are not further apart: three samples at the interval of most collectors.
LONGEST_HOLD = timedelta(minutes=3)
# Most series have a point within this time; the others are looked for in the rest of the hour.
NEAR = timedelta(minutes=5)
# A start that lies this little before the point before it is still after it: two clocks are compared.
CLOCK_SKEW = timedelta(seconds=5)

KEYS = (
    "project",
    "environment",
    "service",
    "accelerator_pool",
    "instance",
    "host",
    "source",
    "signal",
    "precedence",
    "vantage",
    "model",
    "accelerator",
    "quantity",
    "part",
    "bucket_bounds",
    "shadowed",
)
# Column -> how it is added up over rows `r` of the roll-up and of raw minutes.
FACTS = {
    "value": "sumOrNull({})",
    "seconds": "sum({})",
    "covered_seconds": "sum({})",
    "events": "sum({})",
    "bucket_counts": "sumForEach({})",
    "lowest": "minOrNull({})",
    "highest": "maxOrNull({})",
    "last": "argMaxOrNull({}, r.last_time)",
    "points": "sum({})",
    "unknown_points": "sum({})",
    "reach_seconds": "max({})",
    "last_time": "max({})",
}

# What a point says, and what the point before it must be known for.
_STATE = """tuple(time, start_time, value, int_value, count, sum, bucket_bounds, bucket_counts)"""
# Gaps in counters are no points; in levels they end what held.
_VALUED = "(value IS NOT NULL OR count IS NOT NULL OR (kind IN ('gauge', 'sum') AND NOT monotonic))"

# Points of [:from_time, :to_time), once each, and for each series the last point before.
_POINTS = """
SELECT project, series, temporality, {state} AS this, true AS inside FROM metric_points
WHERE metric IN (:metrics) AND time >= toDateTime64(:from_time, 9, 'UTC') AND time < toDateTime64(:to_time, 9, 'UTC')
  AND {valued}
LIMIT 1 BY project, series, time
UNION ALL
SELECT project, series, '', argMax({state}, time) AS this, false AS inside FROM metric_points
WHERE metric IN (:metrics) AND {valued} AND temporality != 'delta'
  AND time >= toDateTime64(:from_time, 9, 'UTC') - INTERVAL {near} SECOND
  AND time < toDateTime64(:from_time, 9, 'UTC')
GROUP BY project, series
UNION ALL
SELECT project, series, '', argMax({state}, time) AS this, false AS inside FROM metric_points
WHERE metric IN (:metrics) AND {valued} AND temporality = 'cumulative'
  AND time >= toDateTime64(:from_time, 9, 'UTC') - INTERVAL {silence} SECOND
  AND time < toDateTime64(:from_time, 9, 'UTC') - INTERVAL {near} SECOND
  AND series IN (
    SELECT series FROM metric_points
    WHERE metric IN (:metrics) AND temporality = 'cumulative'
      AND time >= toDateTime64(:from_time, 9, 'UTC') AND time < toDateTime64(:to_time, 9, 'UTC'))
  AND series NOT IN (
    SELECT series FROM metric_points
    WHERE metric IN (:metrics) AND {valued}
      AND time >= toDateTime64(:from_time, 9, 'UTC') - INTERVAL {near} SECOND
      AND time < toDateTime64(:from_time, 9, 'UTC'))
GROUP BY project, series
"""

# Each point beside the one before it: by how much it grew (`how`: 1 all of it, 2 the difference, 0 unknown).
_GROWN = """
SELECT project AS of_project, series AS of_series, this.1 AS time,
    this.3 AS level, before.3 AS level_before, temporality,
    multiIf(how = 0, NULL, how = 1, this.3, isNotNull(this.4 - before.4), toFloat64(this.4 - before.4),
        this.3 - before.3) AS grown,
    multiIf(how = 0, NULL, how = 1, toInt64(this.5), toInt64(this.5) - toInt64(before.5)) AS grown_count,
    multiIf(how = 0, NULL, how = 1, this.6, this.6 - before.6) AS grown_sum,
    if(how = 1 OR (how = 2 AND same_bounds), this.7, []) AS bounds,
    multiIf(how = 1, this.8, how = 2 AND same_bounds,
        arrayMap((now, then) -> toUInt64(now - then), this.8, resized), []) AS grown_buckets,
    multiIf(how = 0, 0, how = 1 AND NOT known, if(isNull(this.2), 0, {since_start}), {since_before}) AS reach,
    if(before.1 > toDateTime64(0, 9, 'UTC') AND isNotNull(this.3) AND isNotNull(before.3)
        AND {since_before} <= {hold}, {since_before}, 0) AS held
FROM (
    SELECT project, series, temporality, this, inside, before,
        arrayResize(before.8, length(this.8)) AS resized,
        this.7 = before.7 AND length(this.8) = length(before.8) AS same_bounds,
        temporality = 'cumulative' AND before.1 > toDateTime64(0, 9, 'UTC') AND {since_before} <= {silence} AS known,
        ifNull(multiIf(
            isNotNull(this.5),
                this.5 < before.5 OR (same_bounds AND arrayExists((now, then) -> now < then, this.8, resized)),
            isNotNull(this.4 - before.4), this.4 < before.4,
            this.3 < before.3), 0) AS fell,
        -- A start that is the time of the point itself says that the start is not known.
        ifNull(this.2 > before.2 AND this.2 < this.1
            AND this.2 >= before.1 - INTERVAL {skew} SECOND, 0) AS restarted,
        ifNull(this.2 < this.1 AND {since_start} <= {fresh}, 0) AS is_fresh,
        multiIf(
            temporality = 'delta', 1,
            temporality != 'cumulative', 0,
            NOT known, toUInt8(is_fresh),
            fell OR restarted, 1,
            2) AS how
    FROM (
        SELECT *, lagInFrame(this) OVER (
            PARTITION BY project, series ORDER BY this.1
            ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
        FROM ({points})
    )
    WHERE inside
)
"""

# One row per minute, bucket of time and key. Of two reporters of one accelerator the one that says more counts.
_SUMMED = """
SELECT minute, bucket, {keys}, {facts} FROM (
    SELECT *, vantage = 'hardware' AND (service, instance, host) != argMax(
        (service, instance, host), (points, -reach_seconds, service, instance, host)) OVER (
            PARTITION BY minute, bucket, project, quantity, precedence,
                multiIf(accelerator != '', accelerator, host != '', host, instance)) AS shadowed
    FROM (
        SELECT toStartOfMinute(time) AS minute, {bucket} AS bucket, {own_keys},
            sumOrNull(amount) AS value,
            sumIf(if(is_level, held, reach), isNotNull(amount)) AS seconds,
            seconds / uniqExact(series) AS covered_seconds,
            toUInt64(sumIf(ifNull(grown_count, 0), take = 'distribution')) AS events,
            sumForEach(if(take = 'distribution', grown_buckets, [])) AS bucket_counts,
            minOrNullIf(scaled, take = 'level') AS lowest,
            maxOrNullIf(scaled, take = 'level') AS highest,
            argMaxOrNullIf(scaled, time, take = 'level' AND isNotNull(scaled)) AS last,
            count() AS points,
            countIf(if(take = 'level', isNull(scaled), isNull(amount))) AS unknown_points,
            max(if(is_level, held, reach)) AS reach_seconds,
            max(time) AS last_time
        FROM ({valued}) GROUP BY minute, bucket, {own_keys}
    )
)
"""

# Each point as a value of each quantity that its series is; of copies, the first one.
_VALUED_POINTS = """
SELECT n.*, n.take IN ('level', 'integral') AS is_level, g.time AS time, g.held AS held, g.reach AS reach,
    g.grown_count AS grown_count, g.grown_buckets AS grown_buckets,
    if(n.take = 'distribution', arrayMap(bound -> bound * n.scale, g.bounds), []) AS bucket_bounds,
    n.scale * if(n.ratio_or_percent AND g.level > 1, 0.01, 1) * g.level AS level_now,
    n.scale * if(n.ratio_or_percent AND g.level_before > 1, 0.01, 1) * g.level_before AS level_then,
    if(g.temporality = 'delta', NULL, level_now) AS scaled,
    multiIf(
        n.take = 'growth', g.grown * n.scale,
        n.take IN ('sum', 'distribution'), g.grown_sum * n.scale,
        n.take = 'count', toFloat64(g.grown_count),
        g.held > 0 AND g.temporality != 'delta', g.held * (level_now + level_then) / 2,
        NULL) AS amount
FROM ({grown}) AS g INNER JOIN ({named}) AS n ON g.of_project = n.project AND g.of_series = n.series
ORDER BY n.signal, n.quantity, n.original, g.time, n.copy
LIMIT 1 BY n.project, n.signal, n.quantity, n.precedence, n.original, g.time
"""

_NAMES = """
SELECT DISTINCT metric FROM metric_points
WHERE time >= toDateTime64(:from_time, 9, 'UTC') AND time < toDateTime64(:to_time, 9, 'UTC')
"""


def quantities_sql(bucket: str) -> str:
    """Canonical quantities of raw points taken in [:from_time, :to_time); `bucket` is an SQL expression over `time`."""
    since_before = "(toUnixTimestamp64Nano(this.1) - toUnixTimestamp64Nano(before.1)) / 1e9"
    since_start = "(toUnixTimestamp64Nano(this.1) - toUnixTimestamp64Nano(assumeNotNull(this.2))) / 1e9"
    lengths = {
        "near": int(NEAR.total_seconds()),
        "silence": int(LONGEST_SILENCE.total_seconds()),
        "fresh": int(FRESH_START.total_seconds()),
        "hold": int(LONGEST_HOLD.total_seconds()),
        "skew": int(CLOCK_SKEW.total_seconds()),
    }
    points = _POINTS.format(state=_STATE, valued=_VALUED, **lengths)
    grown = _GROWN.format(points=points, since_before=since_before, since_start=since_start, **lengths)
    return _SUMMED.format(
        bucket=bucket,
        keys=", ".join(KEYS),
        own_keys=", ".join(name for name in KEYS if name != "shadowed"),
        facts=", ".join(FACTS),
        valued=_VALUED_POINTS.format(grown=grown, named=named_sql()),
    )


def parameters(
    store: TelemetryStore,
    catalogue: Catalogue,
    start: datetime,
    end: datetime,
    quantities: Collection[str] | None = None,
) -> dict[str, object] | None:
    """What `quantities_sql` is to be run with for [start, end); None where nothing that is understood was sent.

    Args:
        quantities: the ids that are wanted; None for all.
    """
    window: dict[str, object] = {"from_time": sql_time(start), "to_time": sql_time(end)}
    sent = {row["metric"] for row in store.rows(_NAMES, **window)} & catalogue.names
    wanted = rules((one for one in catalogue.named(sent) if quantities is None or one.quantity.id in quantities), sent)
    if not wanted:
        return None
    return {**window, "metrics": sorted({rule["name"] for rule in wanted}), "rules": json.dumps(wanted)}
