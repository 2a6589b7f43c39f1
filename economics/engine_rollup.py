"""The roll-up of engine and accelerator metrics: closed minutes of `metric_points` become rows of `engine_1m`.

A point that comes late changes its own minute, and the minute of the next point of its series: that one grew by less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from economics.catalogue import Catalogue
from economics.grains import ENGINE_MINUTES, Grain
from economics.growth import FACTS, KEYS, LONGEST_SILENCE, parameters, quantities_sql
from economics.rollup import stretches
from economics.times import sql_minute, sql_time
from store.telemetry import TelemetryStore

# Minutes that hold points inserted since :since, and not as many as when they were folded, or folded by another
# catalogue. `late` where a later minute is folded already.
_TOUCHED = """
WITH known AS (
    SELECT minute, argMax(points, version) AS held, argMax(catalogue, version) AS made_by
    FROM folded_engine_minutes GROUP BY minute
)
SELECT t.minute AS minute, t.newest AS newest,
    t.minute < (SELECT max(minute) FROM folded_engine_minutes WHERE points > 0) AS late
FROM (
    SELECT toStartOfMinute(time) AS minute, max(ingested_at) AS newest, count() AS points
    FROM metric_points WHERE toStartOfMinute(time) IN (
        SELECT DISTINCT toStartOfMinute(time) FROM metric_points
        WHERE ingested_at >= toDateTime64(:since, 9, 'UTC'))
    GROUP BY minute
) AS t LEFT JOIN known AS f ON t.minute = f.minute
WHERE (f.held != t.points OR f.made_by != :catalogue) AND t.minute >= toDateTime(:horizon, 'UTC')
"""

# The last point of a late minute may be followed this long after the minute's start.
_REACH = int((LONGEST_SILENCE + ENGINE_MINUTES.length).total_seconds())

# Folded minutes that hold the next point of a series after one of late minutes.
_NEXT = f"""
WITH late AS (
    SELECT project, series, time, ingested_at FROM metric_points
    WHERE toStartOfMinute(time) IN (:late) AND ingested_at >= toDateTime64(:since, 9, 'UTC')
)
SELECT toStartOfMinute(n.time) AS minute, max(l.ingested_at) AS newest
FROM late AS l ASOF INNER JOIN (
    SELECT project, series, time FROM metric_points
    WHERE time > toDateTime64(:first, 9, 'UTC')
      AND time < toDateTime64(:last, 9, 'UTC') + INTERVAL {_REACH} SECOND
      AND series IN (SELECT series FROM late)
) AS n ON l.project = n.project AND l.series = n.series AND l.time < n.time
WHERE minute IN (SELECT minute FROM folded_engine_minutes)
GROUP BY minute
"""


@dataclass(frozen=True)
class EngineRollUp:
    """Canonical quantities of each minute, by what the catalogue says."""

    catalogue: Catalogue
    raw: str = "metric_points"
    time: str = "time"
    needs: tuple[str, ...] = ("metric_points", "metric_series")
    spread: timedelta = LONGEST_SILENCE
    grain: Grain = ENGINE_MINUTES
    kept: timedelta | None = None
    counts: str = "points"

    @property
    def stamp(self) -> Mapping[str, int]:
        return {"catalogue": self.catalogue.version}

    def touched(
        self, store: TelemetryStore, since: datetime, closed: datetime, horizon: datetime
    ) -> dict[datetime, datetime]:
        """Minutes with points that are not folded, and those after them whose growth they change."""
        rows = store.rows(_TOUCHED, since=sql_time(since), horizon=sql_minute(horizon), **self.stamp)
        found: dict[datetime, datetime] = {row["minute"]: row["newest"] for row in rows}
        late = sorted(row["minute"] for row in rows if row["late"])
        if late:
            following = store.rows(
                _NEXT,
                since=sql_time(since),
                late=[sql_minute(minute) for minute in late],
                first=sql_time(late[0]),
                last=sql_time(late[-1]),
            )
            for row in following:
                found[row["minute"]] = max(row["newest"], found.get(row["minute"], row["newest"]))
        return found

    def write(self, store: TelemetryStore, held: Mapping[datetime, int], version: int) -> None:
        """Write the quantities of minutes; so many points at once as memory holds."""
        columns = ", ".join((*KEYS, *FACTS))
        for start, end in stretches(held):
            needed = parameters(store, self.catalogue, start, end)
            if needed is not None:
                store.execute(
                    f"INSERT INTO {self.grain.table} (minute, version, {columns}) "
                    f"SELECT minute, {version}, {columns} FROM ({quantities_sql('toDateTime(0)')})",
                    **needed,
                )
