"""In which lengths of time usage is kept, and which of them answer a question about a window.

Usage stands in slices of five seconds for the last hours, in minutes, hours and days for good; what is not folded yet
stands in the spans alone. An answer takes each stretch of its window from the coarsest that holds it whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class Grain:
    """One length of time in which usage is kept.

    `table` holds the rows, by the time in the column `start`; `marks` says which starts are published.
    """

    seconds: int
    table: str
    marks: str
    start: str = "start"

    @property
    def length(self) -> timedelta:
        return timedelta(seconds=self.seconds)

    def floor(self, time: datetime) -> datetime:
        """The start of the stretch that holds `time`."""
        return datetime.fromtimestamp(int(time.timestamp()) // self.seconds * self.seconds, UTC)

    def ceil(self, time: datetime) -> datetime:
        """The first start at or after `time`."""
        floor = self.floor(time)
        return floor if floor == time else floor + self.length

    def divides(self, step_seconds: int | None) -> bool:
        """Whether buckets of a step (None: one bucket over all) hold whole stretches only."""
        return step_seconds is None or step_seconds % self.seconds == 0

    def start_sql(self, time: str) -> str:
        """The start of the stretch that holds a time, in SQL."""
        return f"toDateTime(intDiv(toUnixTimestamp({time}), {self.seconds}) * {self.seconds}, 'UTC')"


SLICES = Grain(5, "usage_5s", "folded_slices")
MINUTES = Grain(60, "usage_1m", "folded_minutes", "minute")
HOURS = Grain(3600, "usage_1h", "folded_hours")
DAYS = Grain(86_400, "usage_1d", "folded_days")
ENGINE_MINUTES = Grain(60, "engine_1m", "folded_engine_minutes", "minute")
# Those of usage, the coarsest first.
GRAINS = (DAYS, HOURS, MINUTES, SLICES)

# Slices are read so far back from the newest one; they are kept for some hours longer.
SLICES_READ = timedelta(hours=1)
# Who folds them publishes at least so often while spans come.
SLICES_FRESH = timedelta(seconds=12)


@dataclass(frozen=True)
class Folded:
    """How far a grain is folded.

    Attributes:
        version: the newest that is published; later ones must not be read by the same answer.
        since, before: every start in [since, before) that has rows is published.
        complete: whether there is nothing to be read after the last of them, nor after the time within it at which it
            was published.
    """

    grain: Grain
    version: int
    since: datetime
    before: datetime
    complete: bool = False


@dataclass(frozen=True)
class Piece:
    """A stretch of a window, and the grain that answers for it; None: the spans themselves."""

    folded: Folded | None
    start: datetime
    end: datetime


def cover(
    window: Span, step_seconds: int | None, folded: Sequence[Folded], cuts: Iterable[datetime] = ()
) -> list[Piece]:
    """A window as pieces in order, each of the coarsest grain that can tell it.

    Args:
        step_seconds: length of the buckets that are asked for, aligned to the epoch; None for one over all.
        folded: the coarsest first.
        cuts: times that no piece may reach across.
    """
    usable = [each for each in folded if each.grain.divides(step_seconds)]
    edges = [window[0], *sorted({cut for cut in cuts if window[0] < cut < window[1]}), window[1]]
    parts = (piece for start, end in pairwise(edges) for piece in _cover((start, end), usable))
    return [piece for piece in parts if piece.start < piece.end]


def _cover(window: Span, folded: Sequence[Folded]) -> Iterator[Piece]:
    start, end = window
    if not folded:
        yield Piece(None, start, end)
        return
    coarsest, finer = folded[0], folded[1:]
    first = coarsest.grain.ceil(max(start, coarsest.since))
    last = coarsest.grain.floor(min(end, coarsest.before))
    if coarsest.complete and end > coarsest.before - coarsest.grain.length:
        last = end = coarsest.before
    if first >= last:
        yield from _cover(window, finer)
        return
    yield from _cover((start, first), finer)
    yield Piece(coarsest, first, last)
    yield from _cover((last, end), finer)
