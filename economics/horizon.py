"""The horizon: minutes before it are closed for good, since spans that they were folded from may be gone.

Retention moves it forward before it removes spans. The fold leaves everything before it as it is, and readers read
nothing but roll-ups there. It stands in `folded_minutes`, in rows of the minute 0, which no span can end in.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import pyarrow as pa

from economics.answers import Window
from economics.counting import TRACE_SPREAD
from economics.ledger import ceil_minute, floor_minute, read_state, sql_time
from store.kept import Removal
from store.telemetry import TelemetryStore

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Minutes of a time that hold another number of spans than when they were folded, or were not folded at all.
_UNFOLDED = """
SELECT count() AS minutes FROM (
    SELECT toStartOfMinute(end_time) AS minute, count() AS spans FROM spans
    WHERE end_time >= toDateTime64(:start, 9, 'UTC') AND end_time < toDateTime64(:end, 9, 'UTC') GROUP BY minute
) AS t LEFT JOIN (
    SELECT minute, argMax(spans, version) AS held FROM folded_minutes
    WHERE minute >= toDateTime64(:start, 0, 'UTC') AND minute < toDateTime64(:end, 0, 'UTC') GROUP BY minute
) AS f ON t.minute = f.minute
WHERE f.held != t.spans
"""

_FIRST = """
SELECT (SELECT min(end_time) FROM spans) AS span, (SELECT count() FROM spans) AS spans,
    (SELECT min(minute) FROM usage_1m) AS minute, (SELECT count() FROM usage_1m) AS minutes
"""


def read_horizon(store: TelemetryStore) -> datetime:
    """Minutes before this are closed for good; 1970 when none is."""
    return read_state(store)[1]


def in_whole_minutes(window: Window, horizon: datetime) -> Window:
    """The window, its edges before the horizon moved inwards to whole minutes; empty when it holds none."""
    start = window.start if window.start >= horizon else ceil_minute(window.start)
    end = window.end if window.end >= horizon else floor_minute(window.end)
    return Window(start, max(start, end))


def first_known(store: TelemetryStore) -> datetime | None:
    """When the oldest span ended that is known of, to the minute where only its roll-up is kept."""
    row = store.rows(_FIRST)[0]
    span: datetime | None = row["span"] if row["spans"] else None
    minute: datetime | None = row["minute"] if row["minutes"] else None
    if span is None or minute is None:
        return minute if span is None else span
    return minute if minute < floor_minute(span) else span


def advance_horizon(store: TelemetryStore, until: datetime) -> None:
    """Close every minute before `until` for good; nothing happens when that has been done."""
    until = ceil_minute(until)
    if until > read_horizon(store):
        store.insert(
            "folded_minutes",
            pa.table(
                {
                    "minute": pa.array([_EPOCH], pa.timestamp("s", "UTC")),
                    "version": pa.array([0], pa.uint64()),
                    "spans": pa.array([0], pa.uint64()),
                    "ingested_until": pa.array([until], pa.timestamp("ns", "UTC")),
                }
            ),
        )


class FoldedDays:
    """Lets a day of spans go when all its minutes are folded, and closes them.

    The first minutes of the next day are closed with it: their calls are counted by rules that look at the whole trace,
    and part of it may be in the day that goes.

    Args:
        folding: held while the fold works; the same lock, or none where nothing folds.
    """

    def __init__(self, store: TelemetryStore, folding: AbstractContextManager[object] | None = None) -> None:
        self._store = store
        self._folding = folding or threading.Lock()

    def alone(self) -> AbstractContextManager[object]:
        """No fold runs while this is held."""
        return self._folding

    def waits_for(self, removal: Removal) -> str | None:
        """How many minutes the fold still has to do, if any."""
        start = max(removal.partition.start, read_horizon(self._store))
        end = removal.partition.end + TRACE_SPREAD
        if start >= end:
            return None
        found = self._store.rows(_UNFOLDED, start=sql_time(start), end=sql_time(end))[0]["minutes"]
        return f"the fold has {found} minutes of it to do" if found else None

    def going(self, removal: Removal) -> None:
        """Close the day's minutes."""
        advance_horizon(self._store, removal.partition.end + TRACE_SPREAD)
