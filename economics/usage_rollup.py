"""The roll-ups of spans: closed minutes of calls become rows of `usage_1m`, and closed slices those of `usage_5s`, by
the rules of `economics.counting`.

A span that comes late changes its own stretch, and every one in which usage of its trace ends that it overlaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from economics.counting import CLOCK_SKEW, TRACE_SPREAD, any_entangled
from economics.grains import MINUTES, SLICES, SLICES_READ, Grain
from economics.ledger import KEYS, STATES, SUMS, spans_sql
from economics.times import sql_minute, sql_time
from store.telemetry import TelemetryStore

_SKEW = int(CLOCK_SKEW.total_seconds())
# Starts farther apart than this are folded by statements of their own: each looks at all the time that it spans.
FARTHEST = timedelta(minutes=10)

# Spans that may unseat tokens of a stretch that is folded: those that reach into one.
_FRESH = f"""
ingested_at >= toDateTime64(:since, 9, 'UTC') AND usage_role != 'none'
    AND end_time >= toDateTime64(:horizon, 9, 'UTC')
    AND start_time < toDateTime64(:closed, 9, 'UTC') + INTERVAL {_SKEW} SECOND
"""

_OLDEST = """
SELECT min(s.end_time) AS oldest, count() AS spans FROM spans AS s
WHERE ingested_at >= toDateTime64(:since, 9, 'UTC') AND end_time >= toDateTime64(:horizon, 9, 'UTC')
"""

# Starts that hold spans inserted since :since and not as many spans as when they were folded, and starts whose tokens
# such a span may have unseated: those in which usage of its trace ends that it overlaps.
_TOUCHED = """
WITH known AS (
    SELECT {column} AS start, argMax(ingested_until, version) AS until, argMax({counts}, version) AS held
    FROM {marks} WHERE {column} >= toDateTime(:horizon, 'UTC') GROUP BY start
)
SELECT t.start AS start, max(t.latest) AS newest FROM (
    SELECT {start} AS start, max(ingested_at) AS latest, count() AS spans
    FROM spans WHERE end_time >= toDateTime64(:first, 9, 'UTC') AND {start} IN (
        SELECT DISTINCT {start} FROM spans
        WHERE ingested_at >= toDateTime64(:since, 9, 'UTC') AND end_time >= toDateTime64(:horizon, 9, 'UTC'))
    GROUP BY start
) AS t LEFT JOIN known AS f ON t.start = f.start
WHERE f.held != t.spans AND t.start >= toDateTime(:horizon, 'UTC')
GROUP BY t.start
UNION ALL
SELECT t.start AS start, max(t.latest) AS newest FROM (
    SELECT {start_of_s} AS start, fresh.latest AS latest
    FROM spans AS s INNER JOIN (
        SELECT project, trace_id, max(ingested_at) AS latest FROM spans
        WHERE {fresh} GROUP BY project, trace_id
    ) AS fresh ON s.project = fresh.project AND s.trace_id = fresh.trace_id
    WHERE s.usage_role != 'none'
      AND s.end_time >= (SELECT min(start_time) FROM spans WHERE {fresh}) - INTERVAL {skew} SECOND
) AS t INNER JOIN known AS f ON t.start = f.start
WHERE f.until < t.latest AND t.start >= toDateTime(:horizon, 'UTC')
GROUP BY t.start
"""


@dataclass(frozen=True)
class UsageRollUp:
    """Usage of each stretch of a grain; `bands` are edges of the price tiers in input tokens."""

    bands: tuple[int, ...]
    grain: Grain = MINUTES
    kept: timedelta | None = None
    raw: str = "spans"
    time: str = "end_time"
    needs: tuple[str, ...] = ("spans",)
    spread: timedelta = TRACE_SPREAD
    counts: str = "spans"
    stamp: Mapping[str, int] = field(default_factory=dict)

    def touched(
        self, store: TelemetryStore, since: datetime, closed: datetime, horizon: datetime
    ) -> dict[datetime, datetime]:
        """Starts with spans that are not folded, and those whose tokens they may have unseated."""
        grain = self.grain
        times = {"since": sql_time(since), "closed": sql_time(closed), "horizon": sql_minute(horizon)}
        oldest = store.rows(_OLDEST, **times)[0]
        if not oldest["spans"]:
            return {}
        first = sql_minute(grain.floor(oldest["oldest"]))
        statement = _TOUCHED.format(
            column=grain.start,
            counts=self.counts,
            marks=grain.marks,
            start=grain.start_sql("end_time"),
            start_of_s=grain.start_sql("s.end_time"),
            fresh=_FRESH,
            skew=_SKEW,
        )
        found: dict[datetime, datetime] = {}
        for row in store.rows(statement, first=first, **times):
            found[row["start"]] = max(row["newest"], found.get(row["start"], row["newest"]))
        return found

    def write(self, store: TelemetryStore, held: Mapping[datetime, int], version: int) -> None:
        """Write the usage of starts."""
        start = self.grain.start_sql("end_time")
        columns = ", ".join((*KEYS, *SUMS, *STATES))
        for starts in _near(sorted(held)):
            first, end = starts[0], starts[-1] + self.grain.length
            source = spans_sql(f"{start} IN (:starts)", start, "toDateTime(0, 'UTC')", any_entangled(store, first, end))
            store.execute(
                f"INSERT INTO {self.grain.table} (version, {self.grain.start}, {columns}) "
                f"SELECT {version}, start, {columns} FROM ({source})",
                from_time=sql_time(first),
                to_time=sql_time(end),
                starts=[sql_minute(each) for each in starts],
                bands=list(self.bands),
            )


def slices_rollup(bands: tuple[int, ...]) -> UsageRollUp:
    """The roll-up of slices: for what is live, and forgotten after some hours."""
    return UsageRollUp(bands, SLICES, kept=2 * SLICES_READ, counts="held")


def _near(starts: Sequence[datetime]) -> Iterator[list[datetime]]:
    """Starts in order, as runs without a large gap."""
    run: list[datetime] = []
    for start in starts:
        if run and start - run[-1] > FARTHEST:
            yield run
            run = []
        run.append(start)
    if run:
        yield run
