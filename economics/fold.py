"""The fold: closed minutes of raw rows become rows of a roll-up, as often as late data asks for it.

A minute is published by its mark, written after its rows, so a crash in between leaves rows that nobody reads. Which
minutes need folding is derived from the insert times of raw rows; nothing else has to be remembered. What is folded
is up to the roll-up: that of spans is in `economics.usage_rollup`, that of metrics in `economics.engine_rollup`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from economics.horizon import read_horizon
from economics.ledger import MINUTE, ceil_minute, floor_minute, sql_minute, sql_time
from economics.rollup import RollUp
from store.collectors import Watched
from store.telemetry import TelemetryStore

log = logging.getLogger(__name__)

# Rows may become visible this long after the insert time they carry.
LOOK_BACK = timedelta(seconds=30)
MOST_MINUTES_AT_ONCE = 120
# A version is the token of the lease under which it is published, and a count: whoever took over later always wins,
# whatever the clocks say and however late an earlier holder wakes.
TOKEN_SHIFT = 32
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime(1970, 1, 2, tzinfo=UTC)

# How many raw rows minutes hold.
_HELD = """
SELECT toStartOfMinute({time}) AS minute, count() AS held
FROM {raw} WHERE toStartOfMinute({time}) IN (:minutes) GROUP BY minute
"""

# Raw rows that came when their minutes were closed for good.
_TOO_LATE = """
SELECT count() AS found FROM {raw}
WHERE {time} < toDateTime64(:horizon, 9, 'UTC')
  AND ingested_at >= toDateTime64(:since, 9, 'UTC') AND ingested_at < toDateTime64(:until, 9, 'UTC')
"""


class Fold:
    """Folds closed minutes of one roll-up of a store. Several may exist; the one with the highest token is read.

    Minutes before the horizon are left as they are, whoever moves it and when; the rows that came too late for them are
    counted in `too_late`.

    Args:
        grace: how long after its end a minute stays open.
        confirm: called before a minute is published; raises when another process folds by now.
    """

    def __init__(
        self,
        store: TelemetryStore,
        rollup: RollUp,
        grace: timedelta,
        confirm: Callable[[], object] = lambda: None,
    ) -> None:
        self._store = store
        self._rollup = rollup
        self._grace = grace
        self._confirm = confirm
        self._token: int | None = None
        self._version = 0
        self._since = self._looked_before = _FIRST
        self._counted_until: datetime = store.rows("SELECT now64(6, 'UTC') AS now")[0]["now"]
        self._unfolded: dict[datetime, datetime] = {}
        self._newest: datetime | None = _newest_minute(store, rollup.marks)
        self._now = _FIRST
        self.too_late = 0

    @property
    def waiting_minutes(self) -> int:
        """Minutes that hold rows and are not folded as they stand, open ones among them."""
        return len(self._unfolded)

    def health(self, now: datetime) -> dict[str, float | int | None]:
        """Seconds since the end of the newest minute that is folded (None: none ever was), and what is left undone."""
        newest = self._newest
        return {
            "lag_seconds": None if newest is None else (now - newest - MINUTE).total_seconds(),
            "waiting_minutes": self.waiting_minutes,
            "too_late_rows_total": self.too_late,
        }

    def least_token(self) -> int:
        """The lowest token whose versions are above everything that is stored."""
        return (_newest_version(self._store, self._rollup) >> TOKEN_SHIFT) + 1

    def run_once(self, now: datetime, watched: Watched | None = None, token: int | None = None) -> list[datetime]:
        """Fold every closed minute that needs it; returns the minutes published.

        Args:
            watched: of which time it is known that no row is missing; minutes of it without one are true zeros.
            token: of the lease that is held; a new one begins from what is stored. None: one above what is stored.
        """
        if self._token is None or token not in (None, self._token):
            self._begin(token if token is not None else self.least_token())
        self._now = now
        closed_before = floor_minute(now - self._grace)
        horizon = read_horizon(self._store, self._rollup)
        # The engine's clock stamps the rows, so it is asked for the time as well.
        looked_at = self._store.rows("SELECT now64(6, 'UTC') AS now")[0]["now"]
        for late in [minute for minute in self._unfolded if minute < horizon]:
            del self._unfolded[late]
        touched = self._rollup.touched(self._store, self._since, closed_before, horizon)
        for minute, newest in touched.items():
            self._unfolded[minute] = max(newest, self._unfolded.get(minute, newest))
        # The newest first: after a crash, late rows that have changed later minutes are still seen to be late.
        closed = sorted((minute for minute in self._unfolded if minute < closed_before), reverse=True)
        folded: list[datetime] = []
        for first in range(0, len(closed), MOST_MINUTES_AT_ONCE):
            folded += self._publish(closed[first : first + MOST_MINUTES_AT_ONCE])
        if len(folded) < len(closed):
            horizon = read_horizon(self._store, self._rollup)
        silent = [] if watched is None else self._silent_minutes(watched, closed_before)
        if silent:
            self._mark(silent, dict.fromkeys(silent, _NEVER), {}, self._next_version())
        self._since = looked_at - LOOK_BACK
        self._count_too_late(horizon)
        published = sorted({*folded, *silent})
        if published:
            self._newest = max(published[-1], self._newest or published[-1])
        return published

    def _count_too_late(self, horizon: datetime) -> None:
        """Count up to where everything is visible, so that each row is counted once."""
        since, until = self._counted_until, max(self._counted_until, self._since)
        times = {"since": sql_time(since), "until": sql_time(until), "horizon": sql_time(horizon)}
        found = int(self._store.rows(self._of_raw(_TOO_LATE), **times)[0]["found"])
        if found:
            log.warning(
                "%d rows of %s are of a time before %s, where rows are dropped and minutes are closed for good: "
                "%s does not hold them, and retention removes them",
                found,
                self._rollup.raw,
                horizon,
                self._rollup.table,
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
        published = self._store.rows(
            f"SELECT DISTINCT minute FROM {self._rollup.marks} WHERE minute >= toDateTime(:start, 'UTC')",
            start=sql_minute(start),
        )
        known = {row["minute"] for row in published}
        minutes = (start + i * MINUTE for i in range(int((end - start) / MINUTE)))
        self._looked_before = end
        return [minute for minute in minutes if minute not in known and watched.covers(minute)]

    def _publish(self, minutes: list[datetime]) -> list[datetime]:
        """Fold minutes; returns those published, all but the ones that were closed for good meanwhile."""
        version = self._next_version()
        # Asked before the rows are summed: one that comes in between makes the count differ later, and the minute is
        # folded once more.
        counted = self._counted(minutes)
        held = {minute: counted.get(minute, 0) for minute in minutes}
        self._rollup.write(self._store, held, version)
        # Rows go only from behind the horizon, which moves first: what it has not passed by now was summed whole.
        horizon = read_horizon(self._store, self._rollup)
        whole = [minute for minute in minutes if minute >= horizon]
        if whole:
            self._mark(whole, self._unfolded, held, version)
        for minute in minutes:
            del self._unfolded[minute]
        return whole

    def _counted(self, minutes: Sequence[datetime]) -> dict[datetime, int]:
        rows = self._store.rows(self._of_raw(_HELD), minutes=[sql_minute(minute) for minute in minutes])
        return {row["minute"]: row["held"] for row in rows}

    def _of_raw(self, statement: str) -> str:
        return statement.format(raw=self._rollup.raw, time=self._rollup.time)

    def _mark(
        self, minutes: list[datetime], latest: dict[datetime, datetime], held: dict[datetime, int], version: int
    ) -> None:
        self._confirm()
        self._store.insert(
            self._rollup.marks,
            pa.table(
                {
                    "minute": pa.array(minutes, pa.timestamp("s", "UTC")),
                    "version": pa.array([version] * len(minutes), pa.uint64()),
                    "published_at": pa.array([self._now] * len(minutes), pa.timestamp("us", "UTC")),
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

    def _next_version(self) -> int:
        self._version += 1
        return self._version


def _newest_minute(store: TelemetryStore, marks: str) -> datetime | None:
    """The newest minute that an earlier fold published."""
    row = store.rows(f"SELECT max(minute) AS newest, count() AS minutes FROM {marks} WHERE version > 0")[0]
    return row["newest"] if row["minutes"] else None


def _newest_version(store: TelemetryStore, rollup: RollUp) -> int:
    """Also of rows that a crash left unpublished: their version must not be used again."""
    names = (rollup.table, rollup.marks)
    return max(int(store.rows(f"SELECT max(version) AS version FROM {name}")[0]["version"]) for name in names)
