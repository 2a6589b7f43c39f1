"""The journal: what is acknowledged stands here, on disk, until the store holds it.

One open segment at a time takes the rows of many requests; a group of them shares one fsync. When it is old or large
enough it is sealed (renamed), and from then on the writer owns it; its name is the token that makes its insert
idempotent. A request that it has taken already is recognised and not written again.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from collector.adoption import left_open
from collector.backlog import Backlog, JournalState
from collector.clock import SYSTEM_CLOCK, Clock
from collector.frames import Mark
from collector.seen import SeenRequests
from collector.segment import OPEN, SEALED, OpenSegment, sync_folder

log = logging.getLogger(__name__)

QUARANTINE = "quarantine"
SEEN = "seen"
MOST_FAULTS = 3


class JournalFullError(RuntimeError):
    """The journal has used its disk budget: the store is away for too long. Retry later."""


@dataclass(frozen=True)
class _Append:
    """Rows that wait to be written; the future tells whether they were new."""

    rows: pa.Table
    marks: Sequence[Mark]
    beside: pa.Table | None
    done: Future[bool] = field(default_factory=Future)


class Journal:
    """A durable queue of Arrow tables of one schema, written by one thread.

    Raises:
        OSError: the folder cannot be made or read.
    """

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        *,
        seal_seconds: float,
        seal_bytes: int,
        max_bytes: int,
        on_sealed: Callable[[], None] = lambda: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.folder = folder
        self.schema = schema
        self._seal_seconds = seal_seconds
        self._seal_bytes = seal_bytes
        self._max_bytes = max_bytes
        self._on_sealed = on_sealed
        self._clock = clock
        self._waiting: queue.SimpleQueue[_Append | None] = queue.SimpleQueue()
        self._segment: OpenSegment | None = None
        self._ending: list[OpenSegment] = []
        self._newest = 0
        self._closed = False
        self._ended = False
        self.faults = 0  # of our own, as against those of the disk: the thread went on after each
        self._faults_in_row = 0
        self._backlog = Backlog(clock)
        folder.mkdir(parents=True, exist_ok=True)
        self.seen = self._adopt_left_over()
        self._thread = threading.Thread(target=self._run, name=f"journal-{folder.name}", daemon=True)
        self._thread.start()

    def append(self, rows: pa.Table, marks: Sequence[Mark] = (), beside: pa.Table | None = None) -> Future[bool]:
        """Queue `rows`; the future is done when they are on disk (fsync), or fails with OSError or JournalFullError.

        Args:
            marks: of the requests that the rows are from. When one of them is on disk already nothing is written, and
                the future tells so: it is False.
            beside: rows of another table that these need: on disk with them, and in the store before them.
        """
        item = _Append(rows, marks, beside)
        if self._closed:
            item.done.set_exception(_closed())
        else:
            self._waiting.put(item)
            if self._ended:
                self._refuse_waiting()
        return item.done

    def sealed(self) -> Iterator[Path]:
        """Sealed segments, oldest first."""
        yield from sorted(self.folder.glob(f"*{SEALED}"))

    def state(self) -> JournalState:
        """What is on disk now."""
        return self._backlog.state()

    def discard(self, segment: Path) -> None:
        """Delete a segment that the store holds."""
        segment.unlink(missing_ok=True)
        self._backlog.gone(segment)

    def quarantine(self, segment: Path) -> Path:
        """Set a segment aside that is damaged or refused, so that it blocks nothing and can be looked at."""
        place = self.folder / QUARANTINE
        place.mkdir(exist_ok=True)
        target = place / segment.name
        segment.rename(target)
        self._backlog.gone(segment)
        self._count_quarantine()
        sync_folder(self.folder)
        return target

    @property
    def alive(self) -> bool:
        """Whether the thread still works: it has not ended, and does not fail each time."""
        return self._thread.is_alive() and self._faults_in_row < MOST_FAULTS

    def close(self) -> None:
        """Write what is queued, seal the open segment and stop the thread."""
        if not self._closed:
            self._closed = True
            self._waiting.put(None)
            self._thread.join()

    def _adopt_left_over(self) -> SeenRequests:
        """Take over what an earlier run left: its segments, and which requests it had stored."""
        found = [left_open(path) for path in self.folder.glob(f"*{OPEN}")]
        seen = SeenRequests(self.folder / SEEN, [mark for one in found for mark in one.marks], clock=self._clock)
        for one in found:
            one.seal()
        for path in self.folder.glob(f"*{SEALED}"):
            self._newest = max(self._newest, self._backlog.found(path))
        self._count_quarantine()
        sync_folder(self.folder)
        return seen

    def _run(self) -> None:
        group: list[_Append | None] = []
        try:
            while None not in group:
                group = []
                try:
                    self._gather(group)
                    self._take(group)
                    self._faults_in_row = 0
                except Exception as error:
                    # A fault of ours costs the requests at hand, not the thread: their senders try again.
                    self.faults += 1
                    self._faults_in_row += 1
                    log.exception("the journal in %s failed unexpectedly and goes on", self.folder)
                    _refuse(group, error)
                    if not group:
                        time.sleep(min(self._seal_seconds, 1.0))
        finally:
            self._ended = True
            _refuse(group, _closed())
            self._refuse_waiting()

    def _take(self, group: list[_Append | None]) -> None:
        # A sender that has gone no longer waits; what it sent is not acknowledged and need not be kept.
        appends = [item for item in group if item is not None and item.done.set_running_or_notify_cancel()]
        if appends:
            self._write(appends)
        due = self._segment is not None and self._segment.is_due(self._seal_seconds, self._seal_bytes)
        if due or self._ending or None in group:
            self._seal()

    def _refuse_waiting(self) -> None:
        with suppress(queue.Empty):
            while True:
                _refuse([self._waiting.get_nowait()], _closed())

    def _gather(self, group: list[_Append | None]) -> None:
        """Put everything that waits into `group`, up to the bytes of a segment."""
        patience = self._segment.seconds_left(self._seal_seconds) if self._segment else None
        if self._ending:
            patience = self._seal_seconds if patience is None else min(patience, self._seal_seconds)
        size = 0
        with suppress(queue.Empty):
            group.append(self._waiting.get(timeout=patience))
            while (size := size + _size(group[-1])) < self._seal_bytes:
                group.append(self._waiting.get_nowait())

    def _write(self, appends: list[_Append]) -> None:
        self.seen.forget()
        fresh: list[_Append] = []
        copies: list[_Append] = []
        marks: dict[bytes, Mark] = {}
        for append in appends:
            digests = {mark.digest for mark in append.marks}
            if any(self.seen.arrival(digest) is not None for digest in digests):
                append.done.set_result(False)
            elif not marks.keys().isdisjoint(digests):
                copies.append(append)
            else:
                marks.update({mark.digest: mark for mark in append.marks})
                fresh.append(append)
        try:
            if fresh:
                self._write_down(fresh)
        except Exception as error:  # noqa: BLE001  whatever went wrong, nothing of it was acknowledged
            self._abandon()
            for append in (*fresh, *copies):
                append.done.set_exception(error)
            return
        try:
            self.seen.add(marks.values())
        finally:
            for append in fresh:
                append.done.set_result(True)
            for append in copies:
                append.done.set_result(False)

    def _write_down(self, appends: list[_Append]) -> None:
        self._refuse_beyond_budget()
        # Before the rows: a disk that fills up later must not make it forget what it has acknowledged.
        self.seen.reserve(sum(len(append.marks) for append in appends))
        if self._segment is None:
            self._newest = max(self._newest + 1, self._clock.wall())
            self._segment = OpenSegment(self.folder, self.schema, self._newest, self._clock)
        for append in appends:
            self._segment.write(append.rows, append.marks, append.beside)
        self._segment.sync()
        self._backlog.grown(self._segment.path, self._segment.size)

    def _refuse_beyond_budget(self) -> None:
        if self._backlog.all_bytes <= self._max_bytes:
            return
        self._count_quarantine()  # somebody may have cleared it
        if self._backlog.all_bytes > self._max_bytes:
            aside = self._backlog.state().quarantined_bytes
            raise JournalFullError(
                f"the journal in {self.folder} holds more than collector.journal_max_bytes = {self._max_bytes}"
                + (f", {aside} of it in {QUARANTINE}; " if aside else "; ")
                + "the telemetry store is not taking rows"
            )

    def _count_quarantine(self) -> None:
        self._backlog.quarantine_holds(self.folder.glob(f"{QUARANTINE}/*"))

    def _abandon(self) -> None:
        """After a failed write: let go of the segment; what was acknowledged of it is sealed, the rest cut off."""
        if self._segment is not None:
            self._ending.append(self._segment)
            self._segment = None
            self._seal()

    def _seal(self) -> None:
        """Hand what takes no more rows to the writer; a segment that the disk will not let go is tried again."""
        if self._segment is not None:
            self._ending.append(self._segment)
            self._segment = None
        # Before the writer may delete a segment, and the marks in it.
        self.seen.save()
        ending, self._ending = self._ending, []
        for segment in ending:
            try:
                if not segment.seal():
                    self._backlog.gone(segment.path)
            except OSError as error:
                if not self._ending:
                    log.warning("journal segment %s cannot be sealed now, tried again: %s", segment.path, error)
                self._ending.append(segment)
        self._on_sealed()


def _size(item: _Append | None) -> int:
    return 0 if item is None else item.rows.nbytes


def _refuse(group: Sequence[_Append | None], error: Exception) -> None:
    """Tell those who still wait."""
    for done in (item.done for item in group if item is not None and not item.done.done()):
        if done.running() or done.set_running_or_notify_cancel():
            done.set_exception(error)


def _closed() -> JournalFullError:
    return JournalFullError("the journal is closed: the server is stopping")
