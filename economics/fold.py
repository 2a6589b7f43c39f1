"""The fold: closed minutes of raw rows become rows of a roll-up, as often as late data asks for it.

A minute is published by its mark, written after its rows, so a crash in between leaves rows that nobody reads. Which
minutes need folding is derived from the insert times of raw rows; nothing else has to be remembered. What is folded
is up to the roll-up: that of spans is here, that of metrics in `economics/engine_rollup.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from economics.ledger import KEYS, MINUTE, STATES, SUMS, floor_minute, spans_sql, sql_minute, sql_time
from economics.rollup import RollUp
from store.telemetry import TelemetryStore

log = logging.getLogger(__name__)

# Spans may become visible this long after the insert time they carry.
LOOK_BACK = timedelta(seconds=30)
MOST_MINUTES_AT_ONCE = 120
# A fold that did not run for this long was asleep, and so was the receiver: what it missed is a gap, not silence.
LONGEST_NAP = timedelta(seconds=90)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)

# Minutes that hold spans inserted since :since and not as many spans as when they were folded, and minutes whose
# tokens such a span may have unseated: all that hold usage of its trace.
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
WHERE f.held != t.spans
GROUP BY t.minute
UNION ALL
SELECT t.minute AS minute, max(t.latest) AS newest FROM (
    SELECT toStartOfMinute(s.end_time) AS minute, fresh.latest AS latest
    FROM spans AS s INNER JOIN (
        SELECT trace_id, max(ingested_at) AS latest FROM spans
        WHERE ingested_at >= toDateTime64(:since, 9, 'UTC') AND usage_role != 'none' GROUP BY trace_id
    ) AS fresh ON s.trace_id = fresh.trace_id
    WHERE s.usage_role != 'none'
) AS t INNER JOIN known AS f ON t.minute = f.minute
WHERE f.until < t.latest
GROUP BY t.minute
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

    def touched(self, store: TelemetryStore, since: datetime) -> dict[datetime, datetime]:
        """Minutes with spans that are not folded, and those whose tokens they may have unseated."""
        found: dict[datetime, datetime] = {}
        for row in store.rows(_TOUCHED, since=sql_time(since)):
            found[row["minute"]] = max(row["newest"], found.get(row["minute"], row["newest"]))
        return found

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
            f"INSERT INTO usage_1m (project, version, {', '.join(columns)}) "
            f"SELECT 'default', {version}, {', '.join(columns)} FROM ({source})",
            from_time=sql_time(minutes[0]),
            to_time=sql_time(minutes[-1] + MINUTE),
            minutes=[sql_minute(minute) for minute in minutes],
            bands=list(self.bands),
        )


@dataclass(frozen=True)
class FoldState:
    """When the last fold ended, and how many minutes it published."""

    at: datetime
    minutes: int


class Fold:
    """Folds closed minutes of one roll-up of a telemetry store; one at a time per roll-up and store.

    Args:
        grace: how long after its end a minute stays open.
        started: when this process began to accept rows; silent minutes after it are published as true zeros.
    """

    def __init__(self, store: TelemetryStore, rollup: RollUp, grace: timedelta, started: datetime) -> None:
        self._store = store
        self._rollup = rollup
        self._grace = grace
        self._silent_from = floor_minute(started) + MINUTE
        self._since = datetime(1970, 1, 2, tzinfo=UTC)
        self._unfolded: dict[datetime, datetime] = {}
        # A crash can leave rows of a version that was never published: it must not be used again.
        self._version: int = max(
            store.rows(f"SELECT max(version) AS version FROM {name}")[0]["version"]
            for name in (rollup.table, rollup.marks)
        )
        self.state: FoldState | None = None

    def run_once(self, now: datetime, waiting_since: datetime | None = None) -> list[datetime]:
        """Fold every closed minute that needs it; returns the minutes published.

        Args:
            waiting_since: how old the oldest accepted row is that is not in the store yet. Nothing is known to be
                silent after it.
        """
        closed_before = floor_minute(now - self._grace)
        # The engine's clock stamps the rows, so it is asked for the time as well.
        looked_at = self._store.rows("SELECT now64(6, 'UTC') AS now")[0]["now"]
        for minute, newest in self._rollup.touched(self._store, self._since).items():
            self._unfolded[minute] = max(newest, self._unfolded.get(minute, newest))
        # The newest first: after a crash, late rows that have changed later minutes are still seen to be late.
        closed = sorted((minute for minute in self._unfolded if minute < closed_before), reverse=True)
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
        published = sorted({*closed, *silent})
        self.state = FoldState(now, len(published))
        return published

    def _silent_minutes(self, closed_before: datetime) -> list[datetime]:
        if self._silent_from >= closed_before:
            return []
        published = self._store.rows(
            f"SELECT DISTINCT minute FROM {self._rollup.marks} WHERE minute >= toDateTime(:start, 'UTC')",
            start=sql_minute(self._silent_from),
        )
        known = {row["minute"] for row in published}
        count = int((closed_before - self._silent_from) / MINUTE)
        return [minute for i in range(count) if (minute := self._silent_from + i * MINUTE) not in known]

    def _publish(self, minutes: list[datetime], now: datetime) -> None:
        version = self._next_version(now)
        # Asked before the rows are summed: one that comes in between makes the count differ later, and the minute is
        # folded once more.
        counted = self._rollup.counted(self._store, minutes)
        held = {minute: counted.get(minute, 0) for minute in minutes}
        self._rollup.write(self._store, held, version)
        self._mark(minutes, self._unfolded, held, version)
        for minute in minutes:
            del self._unfolded[minute]

    def _mark(
        self, minutes: list[datetime], latest: dict[datetime, datetime], held: dict[datetime, int], version: int
    ) -> None:
        self._store.insert(
            self._rollup.marks,
            pa.table(
                {
                    "minute": pa.array(minutes, pa.timestamp("s", "UTC")),
                    "version": pa.array([version] * len(minutes), pa.uint64()),
                    self._rollup.counts: pa.array([held.get(minute, 0) for minute in minutes], pa.uint64()),
                    **{
                        name: pa.array([value] * len(minutes), pa.uint32())
                        for name, value in self._rollup.stamp.items()
                    },
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
