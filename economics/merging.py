"""Usage of minutes becomes that of hours, and usage of hours that of days: sums and digests of what is folded.

A stretch is merged when everything in it is closed, and again when a stretch in it was folded anew. It is published as
the fold publishes: by a mark that is written after its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pyarrow as pa

from economics.fold import TOKEN_SHIFT, least_token
from economics.grains import Grain
from economics.ledger import KEYS, STATES, SUMS, read_folded_grain
from economics.times import sql_minute
from store.telemetry import TelemetryStore

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# So many rows of digests fit in memory.
MOST_AT_ONCE = 48

# Stretches that hold finer ones published after :since, and newer ones than when they were merged.
_TOUCHED = """
SELECT t.start AS start, t.newest AS newest FROM (
    SELECT {coarse} AS start, max(version) AS newest FROM {marks_of_finer}
    WHERE {finer} > toDateTime(0, 'UTC') AND version <= :newest AND {coarse} IN (
        SELECT {coarse} FROM {marks_of_finer}
        WHERE {finer} > toDateTime(0, 'UTC') AND version > :since AND version <= :newest)
    GROUP BY start
) AS t LEFT JOIN (
    SELECT start, argMax(held, version) AS held FROM {marks} GROUP BY start
) AS f ON t.start = f.start
WHERE f.held != t.newest
"""

_MERGED = """
INSERT INTO {table} (version, start, {columns})
SELECT {version}, {coarse} AS merged, {keys}, {sums}, {states} FROM {table_of_finer} AS u
WHERE u.{finer} >= toDateTime(:first, 'UTC') AND u.{finer} < toDateTime(:end, 'UTC') AND {coarse} IN (:starts)
  AND (u.{finer}, u.version) IN (
    SELECT {finer}, max(version) FROM {marks_of_finer}
    WHERE version <= :newest AND {finer} >= toDateTime(:first, 'UTC') AND {finer} < toDateTime(:end, 'UTC')
    GROUP BY {finer})
GROUP BY merged, {keys}
"""


class Merging:
    """Keeps one grain up to date with the next finer one.

    Args:
        confirm: called before anything is published; raises when another process merges by now.
    """

    def __init__(
        self, store: TelemetryStore, finer: Grain, grain: Grain, confirm: Callable[[], object] = lambda: None
    ) -> None:
        self._store = store
        self._finer = finer
        self._grain = grain
        self._confirm = confirm
        self._token: int | None = None
        self._version = self._since = 0
        self._pending: dict[datetime, int] = {}

    def least_token(self) -> int:
        """The lowest token whose versions are above everything that is stored."""
        return least_token(self._store, self._grain)

    def run_once(self, now: datetime, token: int | None = None) -> list[datetime]:
        """Merge every closed stretch that needs it; returns the starts published."""
        begins = self._token is None or token not in (None, self._token)
        if begins:
            self._token = token if token is not None else self.least_token()
            self._version, self._since, self._pending = self._token << TOKEN_SHIFT, 0, {}
        finer = read_folded_grain(self._store, self._finer)
        closed_before = self._grain.floor(finer.before)
        for row in self._store.rows(self._sql(_TOUCHED), since=self._since, newest=finer.version):
            self._pending[row["start"]] = row["newest"]
        self._since = finer.version
        ready = sorted((start for start in self._pending if start < closed_before), reverse=True)
        for first in range(0, len(ready), MOST_AT_ONCE):
            self._publish(ready[first : first + MOST_AT_ONCE], finer.version, now)
        if ready or begins:
            self._mark([_EPOCH], self._next_version(), now, closed_before)
        return sorted(ready)

    def _publish(self, starts: Sequence[datetime], newest: int, now: datetime) -> None:
        version = self._next_version()
        self._store.execute(
            self._sql(_MERGED, version=version),
            first=sql_minute(min(starts)),
            end=sql_minute(max(starts) + self._grain.length),
            starts=[sql_minute(start) for start in starts],
            newest=newest,
        )
        self._mark(starts, version, now, _EPOCH)
        for start in starts:
            del self._pending[start]

    def _mark(self, starts: Sequence[datetime], version: int, now: datetime, closed_before: datetime) -> None:
        self._confirm()
        count = len(starts)
        self._store.insert(
            self._grain.marks,
            pa.table(
                {
                    "start": pa.array(starts, pa.timestamp("s", "UTC")),
                    "version": pa.array([version] * count, pa.uint64()),
                    "held": pa.array([self._pending.get(start, 0) for start in starts], pa.uint64()),
                    "published_at": pa.array([now] * count, pa.timestamp("us", "UTC")),
                    "closed_before": pa.array([closed_before] * count, pa.timestamp("s", "UTC")),
                }
            ),
        )

    def _sql(self, statement: str, version: int = 0) -> str:
        return statement.format(
            table=self._grain.table,
            marks=self._grain.marks,
            table_of_finer=self._finer.table,
            marks_of_finer=self._finer.marks,
            finer=self._finer.start,
            coarse=self._grain.start_sql(self._finer.start),
            version=version,
            columns=", ".join((*KEYS, *SUMS, *STATES)),
            keys=", ".join(KEYS),
            sums=", ".join(f"sum(u.{name})" for name in SUMS),
            states=", ".join(f"quantilesTDigestMergeState(0.5, 0.95, 0.99)(u.{name})" for name in STATES),
        )

    def _next_version(self) -> int:
        self._version += 1
        return self._version
