"""Folds that later ones replaced: their rows are deleted when no reader can still be reading them.

A reader takes the newest version once and reads, of each minute, the newest up to it. So a version is read by nobody
as soon as a newer one of its minute is older than every reader that still runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from economics.ledger import sql_minute, sql_time
from economics.rollup import RollUp
from store.telemetry import TelemetryStore

# Longer than any query runs.
READERS_FINISH = timedelta(hours=1)
MOST_VERSIONS_A_RUN = 5_000

# Version 0 marks the horizon.
_SUPERSEDED = """
SELECT f.minute AS minute, f.version AS version FROM {marks} AS f INNER JOIN (
    SELECT minute, max(version) AS newest FROM {marks}
    WHERE version > 0 AND published_at <= toDateTime64(:settled, 6, 'UTC') GROUP BY minute HAVING count() > 1
) AS n ON f.minute = n.minute
WHERE f.version > 0 AND f.version < n.newest
ORDER BY version LIMIT :most
"""

# A crash between the rows and their publication leaves rows that nobody will ever read. Old months are not searched.
_ORPHANS = """
SELECT DISTINCT minute, version FROM {table}
WHERE version < (SELECT max(version) FROM {marks} WHERE published_at <= toDateTime64(:settled, 6, 'UTC'))
  AND minute >= toDateTime(:since, 'UTC')
  AND (minute, version) NOT IN (SELECT minute, version FROM {marks})
ORDER BY version LIMIT :most
"""


def prune_versions(store: TelemetryStore, rollup: RollUp, now: datetime) -> int:
    """Delete superseded and unpublished versions of a roll-up's minutes; returns how many."""
    table, marks = rollup.table, rollup.marks
    settled = sql_time(now - READERS_FINISH)
    old = store.rows(_SUPERSEDED.format(marks=marks), settled=settled, most=MOST_VERSIONS_A_RUN)
    since = sql_minute(now - timedelta(days=40))
    unpublished = _ORPHANS.format(table=table, marks=marks)
    orphans = store.rows(unpublished, settled=settled, since=since, most=MOST_VERSIONS_A_RUN)
    _delete(store, table, [(row["minute"], row["version"]) for row in (*old, *orphans)])
    _delete(store, marks, [(row["minute"], row["version"]) for row in old])
    return len(old) + len(orphans)


def _delete(store: TelemetryStore, table: str, versions: Sequence[tuple[datetime, int]]) -> None:
    if versions:
        # Written out, so that every replica deletes the same.
        listed = ", ".join(f"('{sql_minute(minute)}', {version})" for minute, version in versions)
        store.alter(table, f"DELETE WHERE (minute, version) IN ({listed}) SETTINGS mutations_sync = 1")
