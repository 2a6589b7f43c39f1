"""The requests of the last ten minutes whose rows are on disk, so that one that is sent again is not stored again.

A journal asks here before it writes and tells what it wrote. The file `seen` beside its segments holds the marks of
those that are sealed, and room for more; the marks of an open one stand in its frames, and are read from there after a
crash.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from collector.clock import SYSTEM_CLOCK, Clock
from collector.frames import MARK_BYTES, Mark
from collector.segment import sync_folder

log = logging.getLogger(__name__)

REMEMBERED_SECONDS = 600
MOST_REMEMBERED = 2**18
RESERVED = 2**12  # records written ahead, 96 KiB
_MOST_STALE_RECORDS = 2**16
_NOTHING = Mark(bytes(16), 0)


def request_digest(path: str, project: str, body: bytes) -> bytes:
    """What is the same for every copy of a request, and for no other: BLAKE2b-128 of path, project and plain body."""
    digest = hashlib.blake2b(f"{path}\0{project}\0".encode(), digest_size=16)
    digest.update(body)
    return digest.digest()


class SeenRequests:
    """Marks in the order of their arrival, in memory and in a file. One thread writes; any may ask.

    Args:
        earlier: marks that stand elsewhere on disk and are to be remembered as well.
        most: how many are remembered; beyond it the oldest are forgotten early, and counted.
    """

    def __init__(
        self, path: Path, earlier: Iterable[Mark] = (), most: int = MOST_REMEMBERED, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.forgotten_early = 0
        self._path = path
        self._most = most
        self._clock = clock
        self._arrivals: dict[bytes, int] = {}
        # How many marks, in the order of `_arrivals`, were added in which second of the steady clock.
        self._seconds: deque[list[int]] = deque()
        self._unsaved: list[Mark] = list(earlier)
        stored = self._stored()
        self._records = len(stored)
        self._room = self._file_room()
        for mark in sorted({*stored, *self._unsaved}, key=lambda mark: mark.arrived):
            self._remember(mark, self._now() - self._clock.age_of(mark.arrived) // 10**9)
        self.forget()
        self._save(rewrite=True)

    def __len__(self) -> int:
        return len(self._arrivals)

    def arrival(self, digest: bytes) -> int | None:
        """When the request came whose rows are on disk, UTC nanoseconds; None when none is known."""
        return self._arrivals.get(digest)

    def add(self, marks: Iterable[Mark]) -> None:
        """Remember requests whose rows are on disk."""
        for mark in marks:
            self._remember(mark, self._now())
            self._unsaved.append(mark)
        self.forget()

    def reserve(self, marks: int) -> None:
        """Make sure that so many more can be saved, also on a disk that fills up meanwhile.

        Raises:
            OSError: there is no room.
        """
        needed = self._records + len(self._unsaved) + marks
        if needed > self._room:
            more = max(needed - self._room, RESERVED)
            _write(self._path, 0, [_NOTHING] * more, self._room * MARK_BYTES)
            self._room += more

    def save(self) -> None:
        """Return when what was added is in the file. What cannot be written now is written with the next."""
        if self._unsaved:
            self._save(rewrite=self._records > 2 * len(self._arrivals) + _MOST_STALE_RECORDS)

    def forget(self) -> None:
        """Let go of what is older than ten minutes, and of the oldest beyond the most."""
        oldest = self._now() - REMEMBERED_SECONDS
        old = 0
        while self._seconds and self._seconds[0][0] < oldest:
            old += self._seconds.popleft()[1]
        early = surplus = max(0, len(self._arrivals) - old - self._most)
        while surplus:
            taken = min(surplus, self._seconds[0][1])
            self._seconds[0][1] -= taken
            surplus -= taken
            if not self._seconds[0][1]:
                self._seconds.popleft()
        self.forgotten_early += early
        for digest in list(islice(self._arrivals, old + early)):
            del self._arrivals[digest]

    def _now(self) -> int:
        return self._clock.steady() // 10**9

    def _remember(self, mark: Mark, second: int) -> None:
        if mark.digest in self._arrivals:
            return
        self._arrivals[mark.digest] = mark.arrived
        if self._seconds and self._seconds[-1][0] >= second:
            self._seconds[-1][1] += 1
        else:
            self._seconds.append([second, 1])

    def _stored(self) -> list[Mark]:
        try:
            return [mark for mark in Mark.unpack_all(self._path.read_bytes()) if mark != _NOTHING]
        except FileNotFoundError:
            return []
        except OSError as error:
            log.warning("%s cannot be read, repeated requests of before are not recognised: %s", self._path, error)
            return []

    def _save(self, *, rewrite: bool) -> None:
        try:
            if not (rewrite and self._rewrite()):
                self._append()
        except OSError as error:
            log.warning("%s cannot be written now, tried again with the next segment: %s", self._path, error)
        else:
            self._unsaved.clear()

    def _file_room(self) -> int:
        try:
            return self._path.stat().st_size // MARK_BYTES
        except OSError:
            return 0

    def _rewrite(self) -> bool:
        """Whether it could be done; on a full disk there is still the room that was reserved."""
        marks = [Mark(digest, arrived) for digest, arrived in self._arrivals.items()]
        fresh = self._path.with_suffix(".new")
        try:
            _write(fresh, os.O_TRUNC, marks, 0)
            fresh.rename(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            log.warning("%s cannot be written anew: %s", self._path, error)
            with suppress(OSError):
                fresh.unlink()
            return False
        self._records = self._room = len(marks)
        return True

    def _append(self) -> None:
        _write(self._path, 0, self._unsaved, self._records * MARK_BYTES)
        self._records += len(self._unsaved)
        self._room = max(self._room, self._records)


def _write(path: Path, flags: int, marks: Iterable[Mark], at: int) -> None:
    """Write marks at an offset, over what a failed attempt may have left there, and sync."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o600)
    try:
        rest = memoryview(b"".join(mark.pack() for mark in marks))
        while rest:
            written = os.pwrite(handle, rest, at)
            rest, at = rest[written:], at + written
        os.fdatasync(handle)
    finally:
        os.close(handle)
