"""The journal: what is acknowledged stands here, on disk, until the store holds it.

One open segment at a time takes the rows of many requests; a group of them shares one fsync. When it is old or large
enough it is sealed (renamed), and from then on the writer owns it; its name is the token that makes its insert
idempotent.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from collector.segment import OPEN, SEALED, OpenSegment, sync_folder

log = logging.getLogger(__name__)

QUARANTINE = "quarantine"


class JournalFullError(RuntimeError):
    """The journal has used its disk budget: the store is away for too long. Retry later."""


@dataclass(frozen=True)
class JournalState:
    """What the journal holds, for the health page: bytes on disk, segments waiting, age of the oldest in seconds."""

    bytes: int
    segments: int
    oldest_age_seconds: float | None


class Journal:
    """A durable queue of Arrow tables of one schema, written by one thread."""

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        *,
        seal_seconds: float,
        seal_bytes: int,
        max_bytes: int,
        on_sealed: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder = folder
        self.schema = schema
        self._seal_seconds = seal_seconds
        self._seal_bytes = seal_bytes
        self._max_bytes = max_bytes
        self._on_sealed = on_sealed
        self._waiting: queue.SimpleQueue[tuple[pa.Table, Future[None]] | None] = queue.SimpleQueue()
        self._segment: OpenSegment | None = None
        self._bytes = 0
        self._closed = False
        folder.mkdir(parents=True, exist_ok=True)
        self._adopt_left_over()
        self._thread = threading.Thread(target=self._run, name=f"journal-{folder.name}", daemon=True)
        self._thread.start()

    def append(self, rows: pa.Table) -> Future[None]:
        """Queue `rows`; the future is done when they are on disk (fsync), or fails with OSError or JournalFullError."""
        done: Future[None] = Future()
        if self._closed:
            done.set_exception(JournalFullError("the journal is closed: the server is stopping"))
        else:
            self._waiting.put((rows, done))
        return done

    def sealed(self) -> Iterator[Path]:
        """Sealed segments, oldest first."""
        yield from sorted(self.folder.glob(f"*{SEALED}"))

    def state(self) -> JournalState:
        """What is on disk now."""
        paths = [*self.folder.glob(f"*{SEALED}"), *self.folder.glob(f"*{OPEN}")]
        sizes = {path: _size(path) for path in paths}
        made = (path.name.split("-")[0] for path in sizes)
        oldest = min((int(nanos) for nanos in made if nanos.isdecimal()), default=None)
        age = None if oldest is None else max(0.0, (time.time_ns() - oldest) / 1e9)
        return JournalState(sum(sizes.values()), len(sizes), age)

    def quarantine(self, segment: Path) -> Path:
        """Set a damaged segment aside, so that it blocks nothing and can be looked at."""
        place = self.folder / QUARANTINE
        place.mkdir(exist_ok=True)
        target = place / segment.name
        segment.rename(target)
        sync_folder(self.folder)
        return target

    @property
    def alive(self) -> bool:
        """Whether the thread still works."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Write what is queued, seal the open segment and stop the thread."""
        if not self._closed:
            self._closed = True
            self._waiting.put(None)
            self._thread.join()

    def _adopt_left_over(self) -> None:
        for path in self.folder.glob(f"*{OPEN}"):
            path.rename(path.with_suffix(SEALED))
        sync_folder(self.folder)

    def _run(self) -> None:
        running = True
        while running:
            group = self._next_group()
            if None in group:
                running = False
            # A sender that has gone no longer waits; what it sent is not acknowledged and need not be kept.
            appends = [item for item in group if item is not None and item[1].set_running_or_notify_cancel()]
            if appends:
                self._write(appends)
            if self._segment is not None and (
                not running or self._segment.is_due(self._seal_seconds, self._seal_bytes)
            ):
                self._seal()

    def _next_group(self) -> list[tuple[pa.Table, Future[None]] | None]:
        patience = self._segment.seconds_left(self._seal_seconds) if self._segment else None
        try:
            group = [self._waiting.get(timeout=patience)]
        except queue.Empty:
            return []
        while not self._waiting.empty():
            group.append(self._waiting.get())
        return group

    def _write(self, appends: list[tuple[pa.Table, Future[None]]]) -> None:
        try:
            if self.state().bytes > self._max_bytes:
                raise JournalFullError(
                    f"the journal in {self.folder} holds more than collector.journal_max_bytes = {self._max_bytes}; "
                    "the telemetry store is not taking rows"
                )
            if self._segment is None:
                self._segment = OpenSegment(self.folder, self.schema)
            for rows, _ in appends:
                self._segment.write(rows)
            self._segment.sync()
        except Exception as error:  # noqa: BLE001  whatever went wrong, nothing of it was acknowledged
            self._abandon()
            for _, done in appends:
                done.set_exception(error)
            return
        for _, done in appends:
            done.set_result(None)

    def _abandon(self) -> None:
        """After a failed write: cut the segment back to what was acknowledged and seal that."""
        if self._segment is not None:
            try:
                self._segment.cut_back()
            except OSError:
                log.exception("journal segment %s could not be cut back after a failed write", self._segment.path)
            self._segment = None
            self._on_sealed()

    def _seal(self) -> None:
        assert self._segment is not None  # noqa: S101  the caller looked
        segment, self._segment = self._segment, None
        try:
            segment.seal()
        except OSError:
            log.exception("journal segment %s could not be sealed; it is adopted at the next start", segment.path)
        self._on_sealed()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
