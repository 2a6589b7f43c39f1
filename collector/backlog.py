"""Which segments of a journal wait for the store, how large they are and since when; counted, not looked up on disk.

The journal tells what it writes and seals, the writer what the store has taken; the health page and the disk budget
ask.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from collector.clock import Clock
from collector.segment import STARTED_DIGITS


@dataclass(frozen=True)
class JournalState:
    """What the journal holds, for the health page: bytes and number of the segments that wait, age of the oldest in
    seconds, and number and bytes of the files in quarantine."""

    bytes: int
    segments: int
    oldest_age_seconds: float | None
    quarantined: int = 0
    quarantined_bytes: int = 0


@dataclass
class _Waiting:
    bytes: int
    since: int  # on the steady clock: a wall clock that is set does not change an age


class Backlog:
    """Segments by their names without the ending, so that sealing changes nothing. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, _Waiting] = {}
        self._bytes = 0
        self._quarantined = 0
        self._quarantined_bytes = 0

    @property
    def all_bytes(self) -> int:
        """Bytes of all segments, those in quarantine too."""
        return self._bytes + self._quarantined_bytes

    def found(self, segment: Path) -> int:
        """Count a segment of an earlier run; its age is that of its name, where its name tells one.

        Returns:
            When it was begun, UTC nanoseconds; 0 where its name does not tell.
        """
        name = segment.name.split("-")[0]
        started = int(name) if name.isdecimal() and len(name) == STARTED_DIGITS else 0
        age = self._clock.age_of(started) if started else 0
        with self._lock:
            size = _size(segment)
            self._waiting[segment.stem] = _Waiting(size, self._clock.steady() - age)
            self._bytes += size
        return started

    def grown(self, segment: Path, size: int) -> None:
        """The segment that is being written now has `size` bytes."""
        with self._lock:
            entry = self._waiting.setdefault(segment.stem, _Waiting(0, self._clock.steady()))
            self._bytes += size - entry.bytes
            entry.bytes = size

    def gone(self, segment: Path) -> None:
        """A segment waits no longer."""
        with self._lock:
            entry = self._waiting.pop(segment.stem, None)
            self._bytes -= 0 if entry is None else entry.bytes

    def quarantine_holds(self, files: Iterable[Path]) -> None:
        """These are in quarantine now."""
        sizes = [_size(file) for file in files]
        with self._lock:
            self._quarantined, self._quarantined_bytes = len(sizes), sum(sizes)

    def state(self) -> JournalState:
        """What waits now."""
        with self._lock:
            since = min((entry.since for entry in self._waiting.values()), default=None)
            age = None if since is None else max(0.0, (self._clock.steady() - since) / 1e9)
            return JournalState(self._bytes, len(self._waiting), age, self._quarantined, self._quarantined_bytes)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
