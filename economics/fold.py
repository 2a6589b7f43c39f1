"""The fold: closed stretches of raw rows become rows of a roll-up, as often as late data asks for it.

A stretch, a minute or a slice of some seconds, is known by its start. It is published by its mark, written after its
rows, so a crash in between leaves rows that nobody reads. Which starts need folding is derived from the insert times of
raw rows; nothing else has to be remembered. What is folded is up to the roll-up: that of spans is in
`economics.usage_rollup`, that of metrics in `economics.engine_rollup`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from economics.grains import Grain
from economics.horizon import read_horizon
from economics.rollup import RollUp
from economics.times import sql_minute, sql_time
from store.collectors import Watched
from store.telemetry import TelemetryStore

log = logging.getLogger(__name__)

# Rows may become visible this long after the insert time they carry.
LOOK_BACK = timedelta(seconds=30)
MOST_AT_ONCE = 120
# A version is the token of the lease under which it is published, and a count: whoever took over later always wins,
# whatever the clocks say and however late an earlier holder wakes.
TOKEN_SHIFT = 32
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime(1970, 1, 2, tzinfo=UTC)

# How many raw rows stretches hold.
_HELD = """
SELECT {start} AS start, count() AS held
FROM {raw} WHERE {time} >= toDateTime64(:first, 9, 'UTC') AND {start} IN (:starts) GROUP BY start
"""

# Raw rows that came when their stretch was closed for good.
_TOO_LATE = """
SELECT count() AS found FROM {raw}
WHERE {time} < toDateTime64(:horizon, 9, 'UTC')
  AND ingested_at >= toDateTime64(:since, 9, 'UTC') AND ingested_at < toDateTime64(:until, 9, 'UTC')
"""


class Fold:
    """Folds closed stretches of one roll-up of a store. Several may exist; the one with the highest token is read.

    What is before the horizon is left as it is, whoever moves it and when; the rows that came too late for it are
    counted in `too_late`.

    Args:
        grace: how long after its end a stretch stays open.
        confirm: called before anything is published; raises when another process folds by now.
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
        self._grain = rollup.grain
        self._grace = grace
        self._confirm = confirm
        self._token: int | None = None
        self._version = 0
        self._since = self._looked_before = _FIRST
        self._counted_until: datetime = store.rows("SELECT now64(6, 'UTC') AS now")[0]["now"]
        self._unfolded: dict[datetime, datetime] = {}
        self._newest: datetime | None = _newest_start(store, rollup)
        self._now = _FIRST
        self.too_late = 0

    @property
    def waiting(self) -> int:
        """Stretches that hold rows and are not folded as they stand, open ones among them."""
        return len(self._unfolded)

    def health(self, now: datetime) -> dict[str, float | int | None]:
        """Seconds since the end of the newest stretch that is folded, and what is left undone.

        The lag is None when none ever was, and where silence is not published: it would grow with it.
        """
        newest = self._newest if self._rollup.kept is None else None
        return {
            "lag_seconds": None if newest is None else (now - newest - self._grain.length).total_seconds(),
            "waiting_minutes": self.waiting,
            "too_late_rows_total": self.too_late,
        }

    def least_token(self) -> int:
        """The lowest token whose versions are above everything that is stored."""
        return least_token(self._store, self._grain)

    def run_once(self, now: datetime, watched: Watched | None = None, token: int | None = None) -> list[datetime]:
        """Fold every closed stretch that needs it; returns the starts published.

        Args:
            watched: of which time it is known that no row is missing; stretches of it without one are true zeros.
            token: of the lease that is held; a new one begins from what is stored. None: one above what is stored.
        """
        begins = self._token is None or token not in (None, self._token)
        if begins:
            self._begin(token if token is not None else self.least_token())
        self._now = now
        closed_before = self._grain.floor(now - self._grace)
        horizon = self._horizon()
        # The engine's clock stamps the rows, so it is asked for the time as well.
        looked_at = self._store.rows("SELECT now64(6, 'UTC') AS now")[0]["now"]
        for late in [start for start in self._unfolded if start < horizon]:
            del self._unfolded[late]
        touched = self._rollup.touched(self._store, self._since, closed_before, horizon)
        for start, newest in touched.items():
            self._unfolded[start] = max(newest, self._unfolded.get(start, newest))
        silent = [] if watched is None else self._silent(watched, closed_before)
        # The newest first: after a crash, late rows that have changed later minutes are still seen to be late.
        closed = sorted((start for start in self._unfolded if start < closed_before), reverse=True)
        folded: list[datetime] = []
        if silent or (begins and not closed):
            self._mark(silent, {}, {}, self._next_version(), _NEVER if closed else closed_before)
        for first in range(0, len(closed), MOST_AT_ONCE):
            last = first + MOST_AT_ONCE >= len(closed)
            folded += self._publish(closed[first : first + MOST_AT_ONCE], closed_before if last else _NEVER)
        if len(folded) < len(closed):
            horizon = self._horizon()
        self._since = looked_at - LOOK_BACK
        self._count_too_late(horizon)
        published = sorted({*folded, *silent})
        if published:
            self._newest = max(published[-1], self._newest or published[-1])
        return published

    def _horizon(self) -> datetime:
        horizon, kept = read_horizon(self._store, self._rollup), self._rollup.kept
        return horizon if kept is None else max(horizon, self._grain.floor(self._now - kept))

    def _count_too_late(self, horizon: datetime) -> None:
        """Count up to where everything is visible, so that each row is counted once."""
        if self._rollup.kept is not None:
            return
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
                self._grain.table,
            )
        self.too_late += found
        self._counted_until = until

    def _begin(self, token: int) -> None:
        self._token = token
        self._version = token << TOKEN_SHIFT
        self._since = self._looked_before = _FIRST
        self._unfolded = {}

    def _silent(self, watched: Watched, closed_before: datetime) -> list[datetime]:
        grain = self._grain
        first = max(grain.ceil(watched.since), self._looked_before)
        end = min(closed_before, grain.floor(watched.before))
        if first >= end:
            return []
        published = self._store.rows(
            f"SELECT DISTINCT {grain.start} AS start FROM {grain.marks} "
            f"WHERE {grain.start} >= toDateTime(:start, 'UTC')",
            start=sql_minute(first),
        )
        known = {row["start"] for row in published} | self._unfolded.keys()
        starts = (first + i * grain.length for i in range(int((end - first) / grain.length)))
        self._looked_before = end
        return [start for start in starts if start not in known and watched.covers(start)]

    def _publish(self, starts: list[datetime], closed_before: datetime) -> list[datetime]:
        """Fold stretches; returns those published, all but the ones that were closed for good meanwhile."""
        version = self._next_version()
        # Asked before the rows are summed: one that comes in between makes the count differ later, and the stretch is
        # folded once more.
        counted = self._counted(starts)
        held = {start: counted.get(start, 0) for start in starts}
        self._rollup.write(self._store, held, version)
        # Rows go only from behind the horizon, which moves first: what it has not passed by now was summed whole.
        horizon = self._horizon()
        whole = [start for start in starts if start >= horizon]
        self._mark(whole, self._unfolded, held, version, closed_before)
        for start in starts:
            del self._unfolded[start]
        return whole

    def _counted(self, starts: Sequence[datetime]) -> dict[datetime, int]:
        rows = self._store.rows(
            self._of_raw(_HELD), first=sql_time(min(starts)), starts=[sql_minute(start) for start in starts]
        )
        return {row["start"]: row["held"] for row in rows}

    def _of_raw(self, statement: str) -> str:
        time = self._rollup.time
        return statement.format(raw=self._rollup.raw, time=time, start=self._grain.start_sql(time))

    def _mark(
        self,
        starts: Sequence[datetime],
        latest: Mapping[datetime, datetime],
        held: Mapping[datetime, int],
        version: int,
        closed_before: datetime,
    ) -> None:
        """Publish starts. `closed_before`, in a row of the time 0, tells readers that nothing before it has to be
        looked for among the raw rows; the last mark of a run says so."""
        self._confirm()
        if closed_before > _NEVER:
            starts = [*starts, _NEVER]
        if not starts:
            return
        self._store.insert(
            self._grain.marks,
            pa.table(
                {
                    self._grain.start: pa.array(starts, pa.timestamp("s", "UTC")),
                    "version": pa.array([version] * len(starts), pa.uint64()),
                    "published_at": pa.array([self._now] * len(starts), pa.timestamp("us", "UTC")),
                    "closed_before": pa.array([closed_before] * len(starts), pa.timestamp("s", "UTC")),
                    self._rollup.counts: pa.array([held.get(start, 0) for start in starts], pa.uint64()),
                    **{
                        name: pa.array([value] * len(starts), pa.uint32()) for name, value in self._rollup.stamp.items()
                    },
                    # Times are read to the microsecond and stored to the nanosecond: round up.
                    "ingested_until": pa.array(
                        [latest.get(start, _NEVER) + timedelta(microseconds=1) for start in starts],
                        pa.timestamp("ns", "UTC"),
                    ),
                }
            ),
        )

    def _next_version(self) -> int:
        self._version += 1
        return self._version


def _newest_start(store: TelemetryStore, rollup: RollUp) -> datetime | None:
    """The newest start that an earlier fold published."""
    start, marks = rollup.grain.start, rollup.grain.marks
    newest: datetime = store.rows(f"SELECT max({start}) AS newest FROM {marks}")[0]["newest"]
    return newest if newest > _NEVER else None


def least_token(store: TelemetryStore, grain: Grain) -> int:
    """The lowest token whose versions are above everything that is stored of a grain: also above rows that a crash left
    unpublished, whose version must not be used again."""
    stored = (store.rows(f"SELECT max(version) AS version FROM {name}")[0] for name in (grain.table, grain.marks))
    return (max(int(row["version"]) for row in stored) >> TOKEN_SHIFT) + 1
