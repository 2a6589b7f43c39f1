"""How many observed rows are sent: a budget of rows a second, and an unbiased choice above it.

`observe` asks `RowBudget` for each call how many of its rows to keep and how many rows each kept one stands for. The
budget is a token bucket; the fuller it is, the likelier a row is kept, so that a steady rate meets a steady share.
"""

import math
import os
import random
import threading
import time
import weakref
from array import array
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

from andon.notices import MINUTE_SECONDS, warn

BURST_ROWS: Final = 20_000
MAX_STRATA: Final = 1000


@dataclass(frozen=True, slots=True)
class Share:
    """How many rows of a call are kept, and how many observed rows each of them stands for."""

    kept: int
    weight: float


class RowBudget:
    """A bucket of rows that fills at a rate; thread-safe.

    Down to a reserve of one second's rows every row is kept. Within the reserve each row is kept with probability
    level / reserve, which settles where as many rows are kept as flow in. A batch is treated as so many single rows.

    Args:
        rows_per_second: the rate; 0 keeps everything.
        burst: rows that are kept in full after a quiet time.
        now: seconds on a clock that never goes back.
        source: of randomness; one of our own by default, which the host's `random.seed` does not touch.
    """

    def __init__(
        self,
        rows_per_second: int,
        burst: int = BURST_ROWS,
        *,
        now: Callable[[], float] = time.monotonic,
        source: random.Random | None = None,
    ) -> None:
        self._rate = rows_per_second
        self._reserve = float(max(1, min(rows_per_second, burst)))
        self._full = burst + self._reserve
        self._now = now
        self._source = source or random.Random(os.urandom(32))
        self._level = self._full
        self._filled_at = now()
        self._told_at: float | None = None
        self._seen = self._kept = 0
        self._start_over()
        _budgets.add(self)

    def _start_over(self) -> None:
        # Reentrant: the garbage collector may run a host's finalizer that observes, in the middle of `share`.
        self._lock = threading.RLock()
        # Rows that were left out since the last kept one, by stratum.
        self._pending: dict[Hashable, int] = {}

    def share(self, stratum: Hashable, rows: int, at_most: int) -> Share:
        """Decide on `rows` rows of one call, of which no more than `at_most` can be kept in any case.

        Weights of one stratum add up to the rows that were observed in it: rows that are left out entirely are carried
        by the next kept row of the same stratum.
        """
        with self._lock:
            kept = min(self._allotment(rows), rows, at_most)
            stands_for = rows + self._pending.pop(stratum, 0)
            if kept == 0:
                if len(self._pending) >= MAX_STRATA:
                    stratum = None
                self._pending[stratum] = self._pending.get(stratum, 0) + stands_for
            self._level -= kept
            self._seen += rows
            self._kept += kept
            told = self._line() if kept < rows else None
        if told is not None:
            warn(*told)
        return Share(kept, stands_for / kept if kept else 0.0)

    def choose(self, rows: int, kept: int) -> "array[int]":
        """Return `kept` of the numbers 0 … rows - 1, every subset with the same probability, in rising order."""
        with self._lock:
            return array("q", sorted(self._source.sample(range(rows), kept)))

    def _allotment(self, rows: int) -> int:
        if not self._rate:
            return rows
        now = self._now()
        self._level = min(self._full, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now
        free = max(0.0, self._level - self._reserve)
        if rows <= free:
            return rows
        # So many single rows, each kept with probability level / reserve, would take the level down exponentially.
        reserve = max(0.0, min(self._level, self._reserve))
        expected = free - reserve * math.expm1((free - rows) / self._reserve)
        whole = int(expected)
        return whole + (self._source.random() < expected - whole)

    def _line(self) -> tuple[str, int, int, int] | None:
        now = self._now()
        if self._told_at is not None and now - self._told_at < MINUTE_SECONDS:
            return None
        self._told_at = now
        seen, self._seen, kept, self._kept = self._seen, 0, self._kept, 0
        return (
            "andon.observe: sampling is active: %d of %d rows were kept, each with the rows it stands for "
            "(ANDON_OBSERVE_ROWS_PER_SECOND=%d; 0 keeps all that the queue holds)",
            kept,
            seen,
            self._rate,
        )

    def _begin_in_child(self) -> None:
        self._start_over()
        self._source.seed(os.urandom(32))


_budgets: "weakref.WeakSet[RowBudget]" = weakref.WeakSet()


def _begin_in_child() -> None:
    for budget in list(_budgets):
        budget._begin_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
