"""The fold: closed minutes of spans become rows of `usage_1m`, as often as late data asks for it.

A minute is published by a row in `folded_minutes` written after its usage rows, so a crash in between leaves rows that
nobody reads. Which minutes need folding is derived from the spans' insert times; nothing else has to be remembered.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from economics.counting import CLOCK_SKEW
from economics.ledger import KEYS, MINUTE, STATES, SUMS, floor_minute, read_state, spans_sql, sql_minute, sql_time
from store.telemetry import TelemetryStore

log = logging.getLogger(__name__)

# Spans may become visible this long after the insert time they carry.
LOOK_BACK = timedelta(seconds=30)
MOST_MINUTES_AT_ONCE = 120
# A fold that did not run for this long was asleep, and so was the receiver: what it missed is a gap, not silence.
LONGEST_NAP = timedelta(seconds=90)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

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
    """Folds closed minutes of one telemetry store; one at a time per store.

    `alone` is held while it works; retention holds it while it removes spans. Minutes before the horizon are left as
    they are; the spans that came too late for them are counted in `too_late`.

    Args:
        bands: edges of the price tiers in input tokens.
        grace: how long after its end a minute stays open.
        started: when this process began to accept spans; silent minutes after it are published as true zeros.
    """

    def __init__(self, store: TelemetryStore, bands: tuple[int, ...], grace: timedelta, started: datetime) -> None:
        self._store = store
        self._bands = bands
        self._grace = grace
        self._silent_from = floor_minute(started) + MINUTE
        self._since = datetime(1970, 1, 2, tzinfo=UTC)
        self._counted_until = started
        self._unfolded: dict[datetime, datetime] = {}
        self._version: int = store.rows(_NEWEST_VERSION)[0]["version"]
        self._newest: datetime | None = _newest_minute(store)
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

    def run_once(self, now: datetime, waiting_since: datetime | None = None) -> list[datetime]:
        """Fold every closed minute that needs it; returns the minutes published.

        Args:
            waiting_since: how old the oldest accepted span is that is not in the store yet. Nothing is known to be
                silent after it.
        """
        with self.alone:
            return self._run(now, waiting_since)

    def _run(self, now: datetime, waiting_since: datetime | None) -> list[datetime]:
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
            self._publish(closed[first : first + MOST_MINUTES_AT_ONCE], now)
        if self.state is not None and now - self.state.at > LONGEST_NAP:
            self._silent_from = floor_minute(now) + MINUTE
        watched_before = closed_before if waiting_since is None else min(closed_before, floor_minute(waiting_since))
        silent = self._silent_minutes(watched_before)
        if silent:
            self._mark(silent, dict.fromkeys(silent, _NEVER), {}, self._next_version(now))
        self._silent_from = max(self._silent_from, watched_before)
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

    def _silent_minutes(self, closed_before: datetime) -> list[datetime]:
        if self._silent_from >= closed_before:
            return []
        known = {row["minute"] for row in self._store.rows(_PUBLISHED, start=sql_minute(self._silent_from))}
        count = int((closed_before - self._silent_from) / MINUTE)
        return [minute for i in range(count) if (minute := self._silent_from + i * MINUTE) not in known]

    def _publish(self, minutes: list[datetime], now: datetime) -> None:
        version = self._next_version(now)
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
        self._store.insert(
            "folded_minutes",
            pa.table(
                {
                    "minute": pa.array(minutes, pa.timestamp("s", "UTC")),
                    "version": pa.array([version] * len(minutes), pa.uint64()),
                    "spans": pa.array([spans.get(minute, 0) for minute in minutes], pa.uint64()),
                    # Times are read to the microsecond and stored to the nanosecond: round up.
                    "ingested_until": pa.array(
                        [latest[minute] + timedelta(microseconds=1) for minute in minutes], pa.timestamp("ns", "UTC")
                    ),
                }
            ),
        )

    def _next_version(self, now: datetime) -> int:
        """Rises also when the clock does not."""
        self._version = max(int(now.timestamp() * 1_000_000), self._version + 1)
        return self._version


def _newest_minute(store: TelemetryStore) -> datetime | None:
    """The newest minute that an earlier fold published."""
    row = store.rows("SELECT max(minute) AS newest, count() AS minutes FROM folded_minutes WHERE version > 0")[0]
    return row["newest"] if row["minutes"] else None
