"""Moves sealed journal segments into the store, each in one idempotent insert, and deletes them when they are synced.

The tables are created with `fsync_after_insert`: when an insert returns, its rows survive power loss. A crash between
insert and delete repeats the insert with the same token, which the store then ignores. A store that takes nothing is
asked again after a pause; a segment that it refuses while it takes others is in the end set aside.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from collector.journal import Journal
from collector.measures import INSERT_BOUNDS, Histogram
from collector.segment import read_segment
from store.telemetry import TelemetryStore

log = logging.getLogger(__name__)

MOST_REFUSALS = 8


@dataclass(frozen=True)
class Patience:
    """Seconds between two tries: the first pause, doubled after each failure up to the longest."""

    first_seconds: float = 0.5
    longest_seconds: float = 30.0

    def after(self, failures: int) -> float:
        """The pause after this many failures in a row."""
        return min(self.first_seconds * 2.0 ** min(failures - 1, 30), self.longest_seconds)


PATIENCE = Patience()


@dataclass
class WriterCounts:
    """What this writer did since it started."""

    segments: int = 0
    rows: int = 0
    failed_inserts: int = 0
    quarantined: int = 0
    set_aside: int = 0
    last_error: str | None = None
    insert_seconds: Histogram = field(default_factory=lambda: Histogram(INSERT_BOUNDS))


@dataclass
class _Suspect:
    """A segment that failed while others went through: how often, and when it is tried again (monotonic seconds)."""

    failures: int = 0
    retry_at: float = 0.0


class Writer:
    """One thread that empties one journal into one table.

    Args:
        on_return: called when the store takes rows again after it did not.
        beside: the table of rows that others need: they go before them.
        parted: tells rows that others need from these, in a segment that was written when they were one.
        on_lost: called when rows may not come into the store, or later than others.
    """

    def __init__(
        self,
        journal: Journal,
        store: TelemetryStore,
        table: str,
        patience: Patience = PATIENCE,
        on_return: Callable[[], None] = lambda: None,
        beside: str = "",
        parted: Callable[[pa.Table], tuple[pa.Table, pa.Table | None]] = lambda rows: (rows, None),
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.counts = WriterCounts()
        self._journal = journal
        self._store = store
        self._table = table
        self._patience = patience
        self._on_return = on_return
        self._beside = beside
        self._parted = parted
        self._on_lost = on_lost
        self._bell = threading.Condition()
        self._sealed = True  # what an earlier run left
        self._returned = False
        self._stop_at: float | None = None
        self._suspects: dict[str, _Suspect] = {}
        self._is_away = False
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"writer-{table}", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier run left in the journal."""
        self._thread.start()

    def wake(self) -> None:
        """A segment was sealed."""
        with self._bell:
            self._sealed = True
            self._bell.notify()

    def store_returned(self) -> None:
        """Another writer found that the store takes rows again: do not wait for the end of a pause."""
        with self._bell:
            self._returned = self._is_away
            self._bell.notify()

    def stop(self, within_seconds: float) -> None:
        """Begin nothing after that time and then stop; what is not in the store stays in the journal. See `join`."""
        with self._bell:
            self._stop_at = time.monotonic() + within_seconds
            self._bell.notify()

    def join(self, within_seconds: float | None = None) -> None:
        """Wait until it has stopped; given a time, no longer than that for an insert that hangs."""
        self._thread.join(within_seconds)
        if self._thread.is_alive():
            log.warning("stopping: an insert into %s hangs; its segment waits for the next start", self._table)

    def health(self) -> dict[str, Any]:
        """What it did since it started."""
        counts = self.counts
        return {
            "rows_total": counts.rows,
            "segments_total": counts.segments,
            "failed_inserts_total": counts.failed_inserts,
            "quarantined_total": counts.quarantined,
            "set_aside_total": counts.set_aside,
            "insert_seconds": counts.insert_seconds.report(),
            "last_error": counts.last_error,
        }

    @property
    def alive(self) -> bool:
        """Whether the thread still works."""
        return self._thread.is_alive()

    def _run(self) -> None:
        pause: float | None = None
        while True:
            stopping = self._wait(pause)
            try:
                self._drain()
                if self._is_away:
                    self._is_away = False
                    self._on_return()
                self._failures, pause = 0, self._next_suspect()
            except Exception as error:  # noqa: BLE001  any failure of the store leaves the segment and is tried again
                self._failures += 1
                pause = self._patience.after(self._failures)
                log.warning("insert into %s failed, next try in %.1f s: %s", self._table, pause, _told(error))
            if stopping:
                return

    def _wait(self, pause: float | None) -> bool:
        """Sleep until there is something to do, or for `pause` seconds; whether to stop."""

        def is_due() -> bool:
            return self._stop_at is not None or self._returned or (self._sealed and not self._is_away)

        with self._bell:
            self._bell.wait_for(is_due, pause)
            self._sealed = self._returned = False
            return self._stop_at is not None

    def _drain(self) -> None:
        """Try every sealed segment that is due.

        Raises:
            Exception: what the store raised, when it took nothing. With a second segment refused that was not refused
                before, it counts as away.
        """
        moved = strangers = 0
        failed: list[tuple[Path, Exception]] = []
        for segment in self._in_turn():
            suspect = self._suspects.get(segment.stem)
            now = time.monotonic()
            if self._stop_at is not None and now > self._stop_at:
                log.warning("stopping: %s segments of %s wait for the next start", self._waiting(), self._table)
                break
            if suspect is not None and suspect.retry_at > now:
                continue
            try:
                self._move(segment)
                moved += 1
            except Exception as error:  # noqa: BLE001  whatever it is, the segment stays
                self.counts.failed_inserts += 1
                self.counts.last_error = _told(error)
                failed.append((segment, error))
                strangers += suspect is None
                if strangers > 1 and not moved:
                    self._is_away = True
                    break
        if failed and not moved:
            raise failed[-1][1]
        for segment, refusal in failed:
            self._suspect(segment, refusal)

    def _in_turn(self) -> list[Path]:
        """Sealed segments, oldest first; after a failure another one goes before them each time, so that a few bad ones
        are not taken for a store that is away."""
        segments = list(self._journal.sealed())
        if segments and self._failures:
            segments.insert(0, segments.pop(self._failures % len(segments)))
        return segments

    def _move(self, segment: Path) -> None:
        found = read_segment(segment, self._journal.schema)
        if found.rows is not None:
            began = time.perf_counter()
            rows, needed = self._parted(found.rows)
            needed = needed if found.beside is None else found.beside
            if needed is not None:
                self._store.insert(self._beside, needed, token=segment.stem)
            self._store.insert(self._table, rows, token=segment.stem)
            self.counts.insert_seconds.observe(time.perf_counter() - began)
        if found.damage is None:
            self._journal.discard(segment)
        else:
            place = self._journal.quarantine(segment)
            self.counts.quarantined += 1
            self._on_lost()
            log.error("%s; what could be read is stored, the file is set aside as %s", found.damage, place)
        self._suspects.pop(segment.stem, None)
        self.counts.rows += 0 if found.rows is None else found.rows.num_rows
        self.counts.segments += 1
        self.counts.last_error = found.damage

    def _suspect(self, segment: Path, error: Exception) -> None:
        """The store takes other segments, so this failure is one of the segment."""
        self._on_lost()
        suspect = self._suspects.setdefault(segment.stem, _Suspect())
        suspect.failures += 1
        suspect.retry_at = time.monotonic() + self._patience.after(suspect.failures)
        if suspect.failures < MOST_REFUSALS:
            log.warning("%s of %s was refused, others were not: %s", segment.name, self._table, _told(error))
            return
        place = self._journal.quarantine(segment)
        del self._suspects[segment.stem]
        self.counts.set_aside += 1
        self.counts.last_error = f"set aside after {MOST_REFUSALS} refusals: {_told(error)}"
        log.error("%s of %s is set aside as %s: %s", segment.name, self._table, place, _told(error))

    def _next_suspect(self) -> float | None:
        """Seconds until a suspect is due; None when there is none."""
        due = min((suspect.retry_at for suspect in self._suspects.values()), default=None)
        return None if due is None else max(0.0, due - time.monotonic())

    def _waiting(self) -> int:
        return self._journal.state().segments


def _told(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
