"""Folds that later ones replaced: their rows are deleted when no reader can still be reading them.

A reader takes the newest version once and reads, of each minute, the newest up to it. So a version is read by nobody
as soon as a newer one of its minute is older than every reader that still runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from economics.grains import SLICES, SLICES_READ, Grain
from economics.times import sql_minute, sql_time
from store.telemetry import TelemetryStore

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Longer than any query runs.
READERS_FINISH = timedelta(hours=1)
MOST_VERSIONS_A_RUN = 5_000

# Version 0 marks the horizon.
_SUPERSEDED = """
SELECT f.{start} AS start, f.version AS version FROM {marks} AS f INNER JOIN (
    SELECT {start}, max(version) AS newest FROM {marks}
    WHERE version > 0 AND published_at <= toDateTime64(:settled, 6, 'UTC') GROUP BY {start} HAVING count() > 1
) AS n ON f.{start} = n.{start}
WHERE f.version > 0 AND f.version < n.newest
ORDER BY version LIMIT :most
"""

# A crash between the rows and their publication leaves rows that nobody will ever read. Old months are not searched.
_ORPHANS = """
SELECT DISTINCT {start} AS start, version FROM {table}
WHERE version < (SELECT max(version) FROM {marks} WHERE published_at <= toDateTime64(:settled, 6, 'UTC'))
  AND {start} >= toDateTime(:since, 'UTC')
  AND ({start}, version) NOT IN (SELECT {start}, version FROM {marks})
ORDER BY version LIMIT :most
"""


def prune_versions(store: TelemetryStore, grain: Grain, now: datetime) -> int:
    """Delete superseded and unpublished versions of what is folded in a grain; returns how many."""
    names = {"table": grain.table, "marks": grain.marks, "start": grain.start}
    settled = sql_time(now - READERS_FINISH)
    old = store.rows(_SUPERSEDED.format(**names), settled=settled, most=MOST_VERSIONS_A_RUN)
    since = sql_minute(now - timedelta(days=40))
    orphans = store.rows(_ORPHANS.format(**names), settled=settled, since=since, most=MOST_VERSIONS_A_RUN)
    _delete(store, grain.table, grain.start, [(row["start"], row["version"]) for row in (*old, *orphans)])
    _delete(store, grain.marks, grain.start, [(row["start"], row["version"]) for row in old])
    # Not those by which a fold only said how far it is.
    return sum(row["start"] > _EPOCH for row in (*old, *orphans))


def drop_old_slices(store: TelemetryStore, now: datetime) -> int:
    """Drop hours of slices that no reader can be reading; returns how many.

    A reader goes back from the newest slice that it knew of when it began.
    """
    known = store.rows(
        f"SELECT max(closed_before) AS before, max(version) AS version FROM {SLICES.marks} "
        "WHERE published_at <= toDateTime64(:settled, 6, 'UTC')",
        settled=sql_time(now - READERS_FINISH),
    )[0]
    hours = store.rows(
        f"SELECT DISTINCT intDiv(toUnixTimestamp(start), 3600) AS hour FROM {SLICES.marks} "
        "WHERE start > toDateTime(0, 'UTC') AND hour < :first ORDER BY hour",
        first=int((known["before"] - SLICES_READ).timestamp()) // 3600,
    )
    for row in hours:
        # The marks go last: as long as they stand, what is left of the rows is found again.
        for table in (SLICES.table, SLICES.marks):
            store.alter(table, f"DROP PARTITION {row['hour']}")
    if hours:
        # What only said how far the fold was is in a partition of its own.
        store.alter(SLICES.marks, f"DELETE WHERE start = toDateTime(0, 'UTC') AND version < {known['version']}")
    return len(hours)


def _delete(store: TelemetryStore, table: str, start: str, versions: Sequence[tuple[datetime, int]]) -> None:
    if versions:
        # Written out, so that every replica deletes the same.
        listed = ", ".join(f"('{sql_minute(at)}', {version})" for at, version in versions)
        store.alter(table, f"DELETE WHERE ({start}, version) IN ({listed}) SETTINGS mutations_sync = 1")
