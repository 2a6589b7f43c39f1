"""When a target is asked next: at even intervals, with an offset of its own, and more seldom while it fails.

Arithmetic alone, in seconds of any clock that only goes forward.
"""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import Final

LONGEST_BACKOFF_SECONDS: Final = 300.0


def offset_of(name: str, interval: float) -> float:
    """Where in the interval a target of this name is asked: the same after every start, spread over all targets."""
    drawn = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
    return drawn / 2**64 * interval


def next_scrape(now: float, offset: float, interval: float, failures: int) -> float:
    """The next time at `offset` in an interval, after `now`.

    Args:
        failures: scrapes that failed in a row, the last one included: from the second one on each doubles the number
            of intervals to wait, up to `LONGEST_BACKOFF_SECONDS`.
    """
    most = max(1, int(LONGEST_BACKOFF_SECONDS // interval))
    wait = 1 if failures < 2 else min(2 ** min(failures - 1, 30), most)
    return (math.floor((now - offset) / interval) + wait) * interval + offset
