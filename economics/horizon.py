"""The horizon of a roll-up: minutes before it are closed for good, since rows that they were folded from may be gone.

Retention moves it forward before it removes raw rows. The fold leaves everything before it as it is, and readers read
nothing but roll-ups there. It stands among the roll-up's marks, in rows of the minute 0, which no row can be of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import pyarrow as pa

from economics.answers import Window
from economics.grains import MINUTES
from economics.ledger import read_state
from economics.rollup import RollUp
from economics.times import sql_time
from store.kept import Removal
from store.telemetry import TelemetryStore

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Minutes of a time that are not folded as they stand: they hold another number of rows than when they were folded, or
# their fold has another stamp.
_UNFOLDED = """
SELECT count() AS minutes FROM (
    SELECT toStartOfMinute({time}) AS minute, count() AS held FROM {raw}
    WHERE {time} >= toDateTime64(:start, 9, 'UTC') AND {time} < toDateTime64(:end, 9, 'UTC') GROUP BY minute
) AS t LEFT JOIN (
    SELECT minute, argMax(tuple({columns}), version) AS said FROM {marks}
    WHERE minute >= toDateTime64(:start, 0, 'UTC') AND minute < toDateTime64(:end, 0, 'UTC') GROUP BY minute
) AS f ON t.minute = f.minute
WHERE f.said != tuple({expected})
"""

_FIRST = """
SELECT (SELECT min(end_time) FROM spans) AS span, (SELECT count() FROM spans) AS spans,
    (SELECT min(minute) FROM usage_1m) AS minute, (SELECT count() FROM usage_1m) AS minutes
"""


def read_horizon(store: TelemetryStore, rollup: RollUp) -> datetime:
    """Minutes before this are closed for good; 1970 when none is."""
    return read_state(store, rollup.grain)[1]


def in_whole_minutes(window: Window, horizon: datetime) -> Window:
    """The window, its edges before the horizon moved inwards to whole minutes; empty when it holds none."""
    start = window.start if window.start >= horizon else MINUTES.ceil(window.start)
    end = window.end if window.end >= horizon else MINUTES.floor(window.end)
    return Window(start, max(start, end))


def first_known(store: TelemetryStore) -> datetime | None:
    """When the oldest span ended that is known of, to the minute where only its roll-up is kept."""
    row = store.rows(_FIRST)[0]
    span: datetime | None = row["span"] if row["spans"] else None
    minute: datetime | None = row["minute"] if row["minutes"] else None
    if span is None or minute is None:
        return minute if span is None else span
    return minute if minute < MINUTES.floor(span) else span


def advance_horizon(store: TelemetryStore, rollup: RollUp, until: datetime) -> None:
    """Close every minute before `until` for good; nothing happens when that has been done."""
    until = MINUTES.ceil(until)
    if until > read_horizon(store, rollup):
        store.insert(
            rollup.grain.marks,
            pa.table(
                {
                    rollup.grain.start: pa.array([_EPOCH], pa.timestamp("s", "UTC")),
                    "version": pa.array([0], pa.uint64()),
                    rollup.counts: pa.array([0], pa.uint64()),
                    "ingested_until": pa.array([until], pa.timestamp("ns", "UTC")),
                }
            ),
        )


class FoldedDays:
    """Lets a day go when all minutes of it are folded into every roll-up that needs it, and closes them.

    The first minutes of the next day are closed with it: what is said of them rests on rows of the day that goes.
    """

    def __init__(self, store: TelemetryStore, rollups: Sequence[RollUp]) -> None:
        self._store = store
        self._rollups = rollups

    def waits_for(self, removal: Removal) -> str | None:
        """How many minutes the fold still has to do, if any."""
        for rollup in self._rollups:
            found = self._unfolded(rollup, removal)
            if found:
                return f"the fold has {found} minutes of it to do for {rollup.grain.table}"
        return None

    def going(self, removal: Removal) -> None:
        """Close the day's minutes."""
        for rollup in self._rollups:
            advance_horizon(self._store, rollup, removal.partition.end + rollup.spread)

    def _unfolded(self, rollup: RollUp, removal: Removal) -> int:
        start = max(removal.partition.start, read_horizon(self._store, rollup))
        end = removal.partition.end + rollup.spread
        if start >= end:
            return 0
        statement = _UNFOLDED.format(
            raw=rollup.raw,
            time=rollup.time,
            marks=rollup.grain.marks,
            columns=", ".join((rollup.counts, *rollup.stamp)),
            expected=", ".join(("t.held", *(f":{name}" for name in rollup.stamp))),
        )
        params = {"start": sql_time(start), "end": sql_time(end), **rollup.stamp}
        return int(self._store.rows(statement, **params)[0]["minutes"])


def guards(store: TelemetryStore, rollups: Iterable[RollUp]) -> dict[str, FoldedDays]:
    """What holds days back, by the table that roll-ups need."""
    needed: dict[str, list[RollUp]] = {}
    for rollup in rollups:
        for table in rollup.needs:
            needed.setdefault(table, []).append(rollup)
    return {table: FoldedDays(store, made_of_it) for table, made_of_it in needed.items()}
