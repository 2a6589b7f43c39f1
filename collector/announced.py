"""Which series the store has been told of: what a series says is written once for each UTC day of its points.

In memory, and bounded: what is forgotten is told again, and the store counts a series once however often it is told.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from collector.identities import DAY_NANOS
from collector.metric_request import Places
from collector.series import Hashes

MOST_SERIES: Final = 2**22
_NEAR_DAYS: Final = 1  # other days than today and its neighbours are not remembered: retention may empty them


@dataclass(frozen=True)
class Announcement:
    """The series that points need and that were not announced: a place of each among the points, ascending."""

    places: Places
    project: str
    by_day: dict[int, Hashes]
    age: int


@dataclass
class _Names:
    """A growing set of names, as sorted arrays of falling length: few, and each twice as long as the next."""

    parts: list[Hashes] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def lacks(self, names: Hashes) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of `names` are not in it."""
        lacking = np.ones(len(names), dtype=bool)
        for part in self.parts:
            places = np.minimum(np.searchsorted(part, names), len(part) - 1)
            lacking &= part[places] != names
        return lacking

    def add(self, names: Hashes) -> None:
        """Put names in that it lacks."""
        if len(names):
            self.parts.append(np.sort(names))
        while len(self.parts) > 1 and len(self.parts[-2]) < 2 * len(self.parts[-1]):
            last = self.parts.pop()
            self.parts[-1] = np.union1d(self.parts[-1], last)


class Announced:
    """The series of each project and day. Thread-safe.

    Args:
        most: series that are remembered; beyond it all are forgotten.
    """

    def __init__(self, most: int = MOST_SERIES) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], _Names] = {}
        self._today = 0
        self._age = 0
        self._announced = 0
        self._forgotten = 0

    def missing(self, project: str, points: pa.Table, now_nanos: int) -> Announcement:
        """What must be written beside points, rows of `POINT_SCHEMA`, so that none is without its series."""
        names = points.column("series").to_numpy()
        days = points.column("time").cast(pa.int64()).to_numpy() // DAY_NANOS
        places, by_day = [], {}
        with self._lock:
            self._turn(now_nanos // DAY_NANOS)
            for day in np.unique(days).tolist():
                of_day = np.flatnonzero(days == day)
                known = self._known.get((project, day))
                lacking = of_day if known is None else of_day[known.lacks(names[of_day])]
                by_day[day], first = np.unique(names[lacking], return_index=True)
                places.append(lacking[first])
            age = self._age
        return Announcement(np.sort(np.concatenate([np.zeros(0, np.int64), *places])), project, by_day, age)

    def made(self, announcement: Announcement) -> None:
        """It is on disk, with the points that need it."""
        with self._lock:
            self._announced += len(announcement.places)
            if announcement.age != self._age:
                return
            for day, names in announcement.by_day.items():
                if abs(day - self._today) <= _NEAR_DAYS:
                    known = self._known.setdefault((announcement.project, day), _Names())
                    known.add(names[known.lacks(names)])
            if sum(map(len, self._known.values())) > self._most:
                self._forget()

    def forget(self) -> None:
        """Announce everything again: what was announced may not reach the store."""
        with self._lock:
            self._forget()

    def health(self) -> dict[str, int]:
        """Distinct series of points of today (of all projects), announcements since start, and how often all were
        forgotten."""
        with self._lock:
            today = sum(len(names) for (_, day), names in self._known.items() if day == self._today)
            return {"today": today, "announced_total": self._announced, "forgotten_total": self._forgotten}

    def _forget(self) -> None:
        self._known.clear()
        self._age += 1
        self._forgotten += 1

    def _turn(self, today: int) -> None:
        if today != self._today:
            self._today = today
            self._known = {key: names for key, names in self._known.items() if abs(key[1] - today) <= _NEAR_DAYS}
