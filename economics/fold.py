"""The fold: closed minutes of spans become rows of `usage_1m`, as often as late data asks for it.

A minute is published by a row in `folded_minutes` written after its usage rows, so a crash in between leaves rows that
nobody reads. Which minutes need folding is derived from the spans' insert times; nothing else has to be remembered.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from economics.counting import CLOCK_SKEW
from economics.ledger import (
    KEYS,
    MINUTE,
    STATES,
    SUMS,
    ceil_minute,
    floor_minute,
    read_state,
    spans_sql,
    sql_minute,
    sql_time,
)
from store.collectors import Watched
from store.telemetry import TelemetryStore

log = logging.getLogger(__name__)

# Spans may become visible this long after the insert time they carry.
LOOK_BACK = timedelta(seconds=30)
MOST_MINUTES_AT_ONCE = 120
# A version is the token of the lease under which it is published, and a count: whoever took over later always wins,
# whatever the clocks say and however late an earlier holder wakes.
TOKEN_SHIFT = 32
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime(1970, 1, 2, tzinfo=UTC)

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
SELECT t.minute AS minute, max(t.latest) AS newest_span FROM (
    SELECT toStartOfMinute(end_time) AS minute, max(ingested_at) AS latest, count() AS spans
    FROM spans WHERE toStartOfMinute(end_time) IN (
        SELECT DISTINCT toStartOfMinute(end_time) FROM spans WHERE ingested_at >= toDateTime64(:since, 9, 'UTC'))
    GROUP BY minute
) AS t LEFT JOIN known AS f ON t.minute = f.minute
WHERE f.held != t.spans AND t.minute >= toDateTime(:horizon, 'UTC')
GROUP BY t.minute
UNION ALL
SELECT t.minute AS minute, max(t.latest) AS newest_span FROM (
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

# A crash can leave rows of a version that was never published: it must not be used again.
_NEWEST_VERSION = """
SELECT greatest((SELECT max(version) FROM folded_minutes), (SELECT max(version) FROM usage_1m)) AS version
"""

# How many spans minutes hold, asked before they are summed: one that comes in between makes the count differ later,
# and the minute is folded once more.
_SPANS = """
SELECT toStartOfMinute(end_time) AS minute, count() AS spans
FROM spans WHERE toStartOfMinute(end_time) IN (:minutes) GROUP BY minute
"""

_PUBLISHED = "SELECT minute FROM folded_minutes WHERE minute >= toDateTime(:start, 'UTC') GROUP BY minute"


@dataclass(frozen=True)
class FoldState:
    """When the last fold ended, and how many minutes it published."""

    at: datetime
    minutes: int


class Fold:
    """Folds closed minutes of one telemetry store. Several may exist; the one with the highest token is read.

    `alone` is held while it works; retention holds it while it removes spans. Minutes before the horizon are left as
    they are; the spans that came too late for them are counted in `too_late`.

    Args:
        bands: edges of the price tiers in input tokens.
        grace: how long after its end a minute stays open.
        confirm: called before a minute is published; raises when another process folds by now.
    """

    def __init__(
        self,
        store: TelemetryStore,
        bands: tuple[int, ...],
        grace: timedelta,
        confirm: Callable[[], object] = lambda: None,
    ) -> None:
        self._store = store
        self._bands = bands
        self._grace = grace
        self._confirm = confirm
        self._token: int | None = None
        self._version = 0
        self._since = self._looked_before = _FIRST
        self._counted_until: datetime = store.rows("SELECT now64(6, 'UTC') AS now")[0]["now"]
        self._unfolded: dict[datetime, datetime] = {}
        self._newest: datetime | None = _newest_minute(store)
        self._now = _FIRST
        self.state: FoldState | None = None
        self.too_late = 0
        self.alone = threading.Lock()

    @property
    def waiting_minutes(self) -> int:
        """Minutes that hold spans and are not folded as they stand, open ones among them."""
        return len(self._unfolded)

    def health(self, now: datetime) -> dict[str, float | int | None]:
        """Seconds since the end of the newest minute that is folded (None: none ever was), and what is left undone."""
        newest = self._newest
        return {
            "lag_seconds": None if newest is None else (now - newest - MINUTE).total_seconds(),
            "waiting_minutes": self.waiting_minutes,
            "too_late_spans_total": self.too_late,
        }

    def least_token(self) -> int:
        """The lowest token whose versions are above everything that is stored."""
        return int(self._store.rows(_NEWEST_VERSION)[0]["version"] >> TOKEN_SHIFT) + 1

    def run_once(self, now: datetime, watched: Watched | None = None, token: int | None = None) -> list[datetime]:
        """Fold every closed minute that needs it; returns the minutes published.

        Args:
            watched: of which time it is known that no span is missing; minutes of it without one are true zeros.
            token: of the lease that is held; a new one begins from what is stored. None: one above what is stored.
        """
        with self.alone:
            return self._run(now, watched, token)

    def _run(self, now: datetime, watched: Watched | None, token: int | None) -> list[datetime]:
        if self._token is None or token not in (None, self._token):
            self._begin(token if token is not None else self.least_token())
        self._now = now
        closed_before = floor_minute(now - self._grace)
        horizon = read_state(self._store)[1]
        # The engine's clock stamps the spans, so it is asked for the time as well.
        looked_at = self._store.rows("SELECT now64(6, 'UTC') AS now")[0]["now"]
        for late in [minute for minute in self._unfolded if minute < horizon]:
            del self._unfolded[late]
        for row in self._store.rows(
            _TOUCHED, since=sql_time(self._since), horizon=sql_minute(horizon), closed=sql_time(closed_before)
        ):
            minute = row["minute"]
            self._unfolded[minute] = max(row["newest_span"], self._unfolded.get(minute, row["newest_span"]))
        closed = sorted(minute for minute in self._unfolded if minute < closed_before)
        for first in range(0, len(closed), MOST_MINUTES_AT_ONCE):
            self._publish(closed[first : first + MOST_MINUTES_AT_ONCE])
        silent = [] if watched is None else self._silent_minutes(watched, closed_before)
        if silent:
            self._mark(silent, dict.fromkeys(silent, _NEVER), {}, self._next_version())
        self._since = looked_at - LOOK_BACK
        self._count_too_late(horizon)
        published = sorted({*closed, *silent})
        if published:
            self._newest = max(published[-1], self._newest or published[-1])
        self.state = FoldState(now, len(published))
        return published

    def _count_too_late(self, horizon: datetime) -> None:
        """Count up to where everything is visible, so that each span is counted once."""
        since, until = self._counted_until, max(self._counted_until, self._since)
        found = self._store.rows(_TOO_LATE, horizon=sql_time(horizon), since=sql_time(since), until=sql_time(until))[0][
            "spans"
        ]
        if found:
            log.warning(
                "%d spans ended before %s, where spans are dropped and minutes are closed for good: no roll-up holds "
                "them, and retention removes them",
                found,
                horizon,
            )
        self.too_late += found
        self._counted_until = until

    def _begin(self, token: int) -> None:
        self._token = token
        self._version = token << TOKEN_SHIFT
        self._since = self._looked_before = _FIRST
        self._unfolded = {}

    def _silent_minutes(self, watched: Watched, closed_before: datetime) -> list[datetime]:
        start = max(ceil_minute(watched.since), self._looked_before)
        end = min(closed_before, floor_minute(watched.before))
        if start >= end:
            return []
        known = {row["minute"] for row in self._store.rows(_PUBLISHED, start=sql_minute(start))}
        minutes = (start + i * MINUTE for i in range(int((end - start) / MINUTE)))
        self._looked_before = end
        return [minute for minute in minutes if minute not in known and watched.covers(minute)]

    def _publish(self, minutes: list[datetime]) -> None:
        version = self._next_version()
        counted = self._store.rows(_SPANS, minutes=[sql_minute(minute) for minute in minutes])
        columns = ("minute", *KEYS, *SUMS, *STATES)
        source = spans_sql("toStartOfMinute(end_time) IN (:minutes)", "toDateTime(0, 'UTC')")
        self._store.execute(
            f"INSERT INTO usage_1m (version, {', '.join(columns)}) "
            f"SELECT {version}, {', '.join(columns)} FROM ({source})",
            from_time=sql_time(minutes[0]),
            to_time=sql_time(minutes[-1] + MINUTE),
            minutes=[sql_minute(minute) for minute in minutes],
            bands=list(self._bands),
        )
        self._mark(minutes, self._unfolded, {row["minute"]: row["spans"] for row in counted}, version)
        for minute in minutes:
            del self._unfolded[minute]

    def _mark(
        self, minutes: list[datetime], latest: dict[datetime, datetime], spans: dict[datetime, int], version: int
    ) -> None:
        self._confirm()
        self._store.insert(
            "folded_minutes",
            pa.table(
                {
                    "minute": pa.array(minutes, pa.timestamp("s", "UTC")),
                    "version": pa.array([version] * len(minutes), pa.uint64()),
                    "published_at": pa.array([self._now] * len(minutes), pa.timestamp("us", "UTC")),
                    "spans": pa.array([spans.get(minute, 0) for minute in minutes], pa.uint64()),
                    # Times are read to the microsecond and stored to the nanosecond: round up.
                    "ingested_until": pa.array(
                        [latest[minute] + timedelta(microseconds=1) for minute in minutes], pa.timestamp("ns", "UTC")
                    ),
                }
            ),
        )

    def _next_version(self) -> int:
        self._version += 1
        return self._version


def _newest_minute(store: TelemetryStore) -> datetime | None:
    """The newest minute that an earlier fold published."""
    row = store.rows("SELECT max(minute) AS newest, count() AS minutes FROM folded_minutes WHERE version > 0")[0]
    return row["newest"] if row["minutes"] else None
