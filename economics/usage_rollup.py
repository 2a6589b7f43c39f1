"""The roll-up of spans: closed minutes of calls become rows of `usage_1m`, by the rules of `economics.counting`.

A span that comes late changes its own minute, and every minute in which usage of its trace ends that it overlaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from economics.counting import CLOCK_SKEW, TRACE_SPREAD
from economics.ledger import KEYS, MINUTE, STATES, SUMS, spans_sql, sql_minute, sql_time
from store.telemetry import TelemetryStore

_SKEW = int(CLOCK_SKEW.total_seconds())

# Spans that may unseat tokens of a minute that is folded: those that reach into one.
_FRESH = f"""
ingested_at >= toDateTime64(:since, 9, 'UTC') AND usage_role != 'none'
    AND start_time < toDateTime64(:closed, 9, 'UTC') + INTERVAL {_SKEW} SECOND
"""

# Minutes that hold spans inserted since :since and not as many spans as when they were folded, and minutes whose
# tokens such a span may have unseated: those in which usage of its trace ends that it overlaps.
_TOUCHED = f"""
WITH known AS (
    SELECT minute, argMax(ingested_until, version) AS until, argMax(spans, version) AS held
    FROM folded_minutes GROUP BY minute
)
SELECT t.minute AS minute, max(t.latest) AS newest FROM (
    SELECT toStartOfMinute(end_time) AS minute, max(ingested_at) AS latest, count() AS spans
    FROM spans WHERE toStartOfMinute(end_time) IN (
        SELECT DISTINCT toStartOfMinute(end_time) FROM spans WHERE ingested_at >= toDateTime64(:since, 9, 'UTC'))
    GROUP BY minute
) AS t LEFT JOIN known AS f ON t.minute = f.minute
WHERE f.held != t.spans AND t.minute >= toDateTime(:horizon, 'UTC')
GROUP BY t.minute
UNION ALL
SELECT t.minute AS minute, max(t.latest) AS newest FROM (
    SELECT toStartOfMinute(s.end_time) AS minute, fresh.latest AS latest
    FROM spans AS s INNER JOIN (
        SELECT project, trace_id, max(ingested_at) AS latest FROM spans
        WHERE {_FRESH} GROUP BY project, trace_id
    ) AS fresh ON s.project = fresh.project AND s.trace_id = fresh.trace_id
    WHERE s.usage_role != 'none'
      AND s.end_time >= (SELECT min(start_time) FROM spans WHERE {_FRESH}) - INTERVAL {_SKEW} SECOND
) AS t INNER JOIN known AS f ON t.minute = f.minute
WHERE f.until < t.latest AND t.minute >= toDateTime(:horizon, 'UTC')
GROUP BY t.minute
"""


@dataclass(frozen=True)
class UsageRollUp:
    """Usage of each minute; `bands` are edges of the price tiers in input tokens."""

    bands: tuple[int, ...]
    raw: str = "spans"
    time: str = "end_time"
    needs: tuple[str, ...] = ("spans",)
    spread: timedelta = TRACE_SPREAD
    table: str = "usage_1m"
    marks: str = "folded_minutes"
    counts: str = "spans"
    stamp: Mapping[str, int] = field(default_factory=dict)

    def touched(
        self, store: TelemetryStore, since: datetime, closed: datetime, horizon: datetime
    ) -> dict[datetime, datetime]:
        """Minutes with spans that are not folded, and those whose tokens they may have unseated."""
        times = {"since": sql_time(since), "closed": sql_time(closed), "horizon": sql_minute(horizon)}
        found: dict[datetime, datetime] = {}
        for row in store.rows(_TOUCHED, **times):
            found[row["minute"]] = max(row["newest"], found.get(row["minute"], row["newest"]))
        return found

    def write(self, store: TelemetryStore, held: Mapping[datetime, int], version: int) -> None:
        """Write the usage of minutes."""
        minutes = sorted(held)
        columns = ("minute", *KEYS, *SUMS, *STATES)
        source = spans_sql("toStartOfMinute(end_time) IN (:minutes)", "toDateTime(0, 'UTC')")
        store.execute(
            f"INSERT INTO {self.table} (version, {', '.join(columns)}) "
            f"SELECT {version}, {', '.join(columns)} FROM ({source})",
            from_time=sql_time(minutes[0]),
            to_time=sql_time(minutes[-1] + MINUTE),
            minutes=[sql_minute(minute) for minute in minutes],
            bands=list(self.bands),
        )
