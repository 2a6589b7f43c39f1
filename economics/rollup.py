"""What a fold keeps: a table of closed stretches beside the marks that publish them; and the minutes of a window.

A roll-up says which stretches of time new rows have touched and how one is written; `economics/fold.py` does the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from economics.grains import MINUTES, Grain, Span
from economics.times import sql_minute
from store.telemetry import TelemetryStore

# Points are sorted in memory, with their buckets: some kilobytes each.
MOST_POINTS_AT_ONCE = 100_000


class RollUp(Protocol):
    """One roll-up.

    It is made of the rows of the table `raw`, each of which is of the time in its column `time`. `needs` are the tables
    whose days must stay until they are folded: `raw`, and others that say what its rows are about. What is said of a
    stretch of time may rest on rows up to `spread` before it.

    The table of its `grain` holds its rows, the marks of the grain a row for each published start and version: with the
    number of raw rows that it held, in the column `counts`, and the columns of `stamp`. It is kept so long as raw rows
    are, or (`kept` is not None) for so long after its time.
    """

    @property
    def grain(self) -> Grain: ...
    @property
    def kept(self) -> timedelta | None: ...

    @property
    def raw(self) -> str: ...
    @property
    def time(self) -> str: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def spread(self) -> timedelta: ...

    @property
    def counts(self) -> str: ...
    @property
    def stamp(self) -> Mapping[str, int]: ...

    def touched(
        self, store: TelemetryStore, since: datetime, closed: datetime, horizon: datetime
    ) -> dict[datetime, datetime]:
        """Starts that are not folded as they stand, for rows inserted since; with the insert time of the newest.

        Args:
            closed: starts before it may be folded.
            horizon: starts before it are left as they are.
        """
        ...

    def write(self, store: TelemetryStore, held: Mapping[datetime, int], version: int) -> None:
        """Write the rows of starts under a version that nobody reads yet."""
        ...


def published_sql(rollup: RollUp) -> str:
    """Of a roll-up's rows those that are published up to :snapshot, in whole minutes of [:first_whole, :end_whole)."""
    within = "minute >= toDateTime(:first_whole, 'UTC') AND minute < toDateTime(:end_whole, 'UTC')"
    return f"""SELECT * FROM {rollup.grain.table} WHERE {within} AND (minute, version) IN (
    SELECT minute, max(version) FROM {rollup.grain.marks} WHERE version <= :snapshot AND {within} GROUP BY minute)"""


def open_spans(store: TelemetryStore, rollup: RollUp, window: Span, version: int) -> list[Span]:
    """What of a window is not in minutes published up to a version: whole runs of minutes, and cut ones at its ends."""
    first, last = rollup.grain.ceil(window[0]), rollup.grain.floor(window[1])
    if first >= last:
        return [window]
    closed = store.rows(
        f"SELECT DISTINCT minute FROM {rollup.grain.marks} WHERE version <= :snapshot "
        "AND minute >= toDateTime(:first, 'UTC') AND minute < toDateTime(:last, 'UTC') ORDER BY minute",
        snapshot=version,
        first=sql_minute(first),
        last=sql_minute(last),
    )
    found: list[Span] = []
    begin = window[0]
    for row in closed:
        if begin < row["minute"]:
            found.append((begin, row["minute"]))
        begin = row["minute"] + rollup.grain.length
    if begin < window[1]:
        found.append((begin, window[1]))
    return found


def stretches(held: Mapping[datetime, int], within: Span | None = None) -> Iterator[Span]:
    """Minutes that hold rows, as runs of neighbours of not too many rows together, cut to `within`."""
    begin = end = None
    rows = 0
    for minute in sorted(held):
        if begin is not None and end is not None and (minute != end or rows + held[minute] > MOST_POINTS_AT_ONCE):
            yield _cut((begin, end), within)
            begin = None
        if begin is None:
            begin, rows = minute, 0
        end, rows = minute + MINUTES.length, rows + held[minute]
    if begin is not None and end is not None:
        yield _cut((begin, end), within)


def _cut(span: Span, within: Span | None) -> Span:
    return span if within is None else (max(span[0], within[0]), min(span[1], within[1]))
