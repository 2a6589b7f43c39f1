"""The roll-up of spans: closed minutes of calls become rows of `usage_1m`, by the rules of `economics.counting`.

A span that comes late changes its own minute, and every minute in which usage of its trace ends that it overlaps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from economics.counting import CLOCK_SKEW
from economics.ledger import KEYS, MINUTE, STATES, SUMS, read_state, spans_sql, sql_minute, sql_time
from store.telemetry import TelemetryStore

# Spans that may unseat tokens of a minute that is folded: those that reach into one.
_FRESH = """
ingested_at >= toDateTime64(:since, 9, 'UTC') AND usage_role != 'none'
    AND start_time < toDateTime64(:closed, 9, 'UTC') + INTERVAL {skew} SECOND
"""

# Minutes that hold spans inserted since :since and not as many spans as when they were folded, and minutes whose
# tokens such a span may have unseated: those in which usage of its trace ends that it overlaps.
_TOUCHED = """
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
        WHERE {fresh} GROUP BY project, trace_id
    ) AS fresh ON s.project = fresh.project AND s.trace_id = fresh.trace_id
    WHERE s.usage_role != 'none'
      AND s.end_time >= (SELECT min(start_time) FROM spans WHERE {fresh}) - INTERVAL {skew} SECOND
) AS t INNER JOIN known AS f ON t.minute = f.minute
WHERE f.until < t.latest AND t.minute >= toDateTime(:horizon, 'UTC')
GROUP BY t.minute
""".format(fresh=_FRESH, skew="{skew}").format(skew=int(CLOCK_SKEW.total_seconds()))

# Spans that came when their minutes were closed for good.
_TOO_LATE = """
SELECT count() AS spans FROM spans
WHERE end_time < toDateTime64(:horizon, 9, 'UTC')
  AND ingested_at >= toDateTime64(:since, 9, 'UTC') AND ingested_at < toDateTime64(:until, 9, 'UTC')
"""

_SPANS = """
SELECT toStartOfMinute(end_time) AS minute, count() AS spans
FROM spans WHERE toStartOfMinute(end_time) IN (:minutes) GROUP BY minute
"""


@dataclass(frozen=True)
class UsageRollUp:
    """Usage of each minute; `bands` are edges of the price tiers in input tokens."""

    bands: tuple[int, ...]
    table: str = "usage_1m"
    marks: str = "folded_minutes"
    counts: str = "spans"
    stamp: Mapping[str, int] = field(default_factory=dict)

    def horizon(self, store: TelemetryStore) -> datetime:
        """Minutes before it are closed for good: their spans may be gone."""
        return read_state(store)[1]

    def touched(
        self, store: TelemetryStore, since: datetime, closed: datetime, horizon: datetime
    ) -> dict[datetime, datetime]:
        """Minutes with spans that are not folded, and those whose tokens they may have unseated."""
        times = {"since": sql_time(since), "closed": sql_time(closed), "horizon": sql_minute(horizon)}
        found: dict[datetime, datetime] = {}
        for row in store.rows(_TOUCHED, **times):
            found[row["minute"]] = max(row["newest"], found.get(row["minute"], row["newest"]))
        return found

    def too_late(self, store: TelemetryStore, since: datetime, until: datetime, horizon: datetime) -> int:
        """How many spans of minutes before the horizon were inserted in [since, until)."""
        times = {"since": sql_time(since), "until": sql_time(until), "horizon": sql_time(horizon)}
        return int(store.rows(_TOO_LATE, **times)[0]["spans"])

    def counted(self, store: TelemetryStore, minutes: Sequence[datetime]) -> dict[datetime, int]:
        """How many spans minutes hold."""
        rows = store.rows(_SPANS, minutes=[sql_minute(minute) for minute in minutes])
        return {row["minute"]: row["spans"] for row in rows}

    def write(self, store: TelemetryStore, held: Mapping[datetime, int], version: int) -> None:
        """Write the usage of minutes."""
        minutes = sorted(held)
        columns = ("minute", *KEYS, *SUMS, *STATES)
        source = spans_sql("toStartOfMinute(end_time) IN (:minutes)", "toDateTime(0, 'UTC')")
        store.execute(
            f"INSERT INTO usage_1m (version, {', '.join(columns)}) "
            f"SELECT {version}, {', '.join(columns)} FROM ({source})",
            from_time=sql_time(minutes[0]),
            to_time=sql_time(minutes[-1] + MINUTE),
            minutes=[sql_minute(minute) for minute in minutes],
            bands=list(self.bands),
        )
