"""Moves sealed journal segments into the store, each in one idempotent insert, and deletes them when they are synced.

The tables are created with `fsync_after_insert`: when an insert returns, its rows survive power loss. A crash between
insert and delete repeats the insert with the same token, which the store then ignores.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.journal import Journal
from collector.measures import INSERT_BOUNDS, Histogram
from collector.segment import read_segment
from store.telemetry import TelemetryStore

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0


@dataclass
class WriterCounts:
    """What this writer did since it started."""

    segments: int = 0
    rows: int = 0
    failed_inserts: int = 0
    quarantined: int = 0
    last_error: str | None = None
    insert_seconds: Histogram = field(default_factory=lambda: Histogram(INSERT_BOUNDS))


class Writer:
    """One thread that empties one journal into one table."""

    def __init__(self, journal: Journal, store: TelemetryStore, table: str) -> None:
        self.counts = WriterCounts()
        self._journal = journal
        self._store = store
        self._table = table
        self._work = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"writer-{table}", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier run left in the journal."""
        self._work.set()
        self._thread.start()

    def wake(self) -> None:
        """A segment was sealed."""
        self._work.set()

    def stop(self) -> None:
        """Write what is sealed, then stop; what the store does not take stays in the journal."""
        self._stopping.set()
        self._work.set()
        self._thread.join()

    def health(self) -> dict[str, Any]:
        """What it did since it started."""
        counts = self.counts
        return {
            "rows_total": counts.rows,
            "segments_total": counts.segments,
            "failed_inserts_total": counts.failed_inserts,
            "quarantined_total": counts.quarantined,
            "insert_seconds": counts.insert_seconds.report(),
            "last_error": counts.last_error,
        }

    def drain_once(self) -> None:
        """Move every sealed segment now.

        Raises:
            Exception: what the store raised; the segment stays.
        """
        for segment in self._journal.sealed():
            self._move(segment)

    @property
    def alive(self) -> bool:
        """Whether the thread still works."""
        return self._thread.is_alive()

    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            self._work.wait()
            self._work.clear()
            stopping = self._stopping.is_set()
            try:
                self.drain_once()
                pause = FIRST_PAUSE_SECONDS
            except Exception as error:  # noqa: BLE001  any failure of the store leaves the segment and is tried again
                self.counts.failed_inserts += 1
                self.counts.last_error = (str(error) or type(error).__name__).splitlines()[0][:300]
                log.warning("insert into %s failed, next try in %.1f s: %s", self._table, pause, self.counts.last_error)
                if not stopping:
                    self._stopping.wait(pause)
                    pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
                    self._work.set()
            if stopping:
                return

    def _move(self, segment: Path) -> None:
        found = read_segment(segment, self._journal.schema)
        if found.rows is not None:
            began = time.perf_counter()
            self._store.insert(self._table, found.rows, token=segment.stem)
            self.counts.insert_seconds.observe(time.perf_counter() - began)
            self.counts.rows += found.rows.num_rows
        if found.damage is None:
            segment.unlink()
        else:
            place = self._journal.quarantine(segment)
            self.counts.quarantined += 1
            log.error("%s; what could be read is stored, the file is set aside as %s", found.damage, place)
        self.counts.segments += 1
        self.counts.last_error = found.damage
