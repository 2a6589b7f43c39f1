"""How much one sender may send: a token bucket over items (spans, points, records, observed signals).

A request larger than the bucket passes when the bucket is full, and is paid for afterwards; otherwise a large batch
could never be sent at all.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from collector.answers import RefusalError

LONGEST_WAIT_SECONDS: Final = 5  # senders that are told to wait for longer drop what they hold
BURST_SECONDS: Final = 10


@dataclass(frozen=True)
class Rate:
    """Items per second, and how many at once after a pause."""

    items_per_second: float
    burst_items: float

    @classmethod
    def of(cls, items_per_second: float | None, burst_items: float | None) -> Rate | None:
        """The rate that two settings say; None where nothing is limited."""
        if items_per_second is None:
            return None
        return cls(items_per_second, burst_items or max(1.0, BURST_SECONDS * items_per_second))


class Bucket:
    """The tokens of one sender, full at first. Thread-safe.

    Args:
        clock: seconds that only rise.
    """

    def __init__(self, rate: Rate, clock: Callable[[], float]) -> None:
        self.rate = rate
        self._clock = clock
        self._level = rate.burst_items
        self._at = clock()
        self._lock = threading.Lock()

    def take(self, items: int) -> None:
        """Take what a request of `items` costs.

        Raises:
            RefusalError: 429; it says after how many seconds, 1 to 5, there may be room.
        """
        with self._lock:
            self._take(items)

    def _take(self, items: int) -> None:
        now = self._clock()
        self._level = min(self.rate.burst_items, self._level + (now - self._at) * self.rate.items_per_second)
        self._at = now
        missing = min(items, self.rate.burst_items) - self._level
        if missing > 0:
            wait = min(LONGEST_WAIT_SECONDS, max(1, math.ceil(missing / self.rate.items_per_second)))
            raise RefusalError(
                429,
                "rate_limit",
                f"more than {self.rate.items_per_second:g} items per second are sent; retry in {wait} s",
                retry_after_seconds=wait,
            )
        self._level -= items
