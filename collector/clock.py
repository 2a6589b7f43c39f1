"""The two clocks of the collector: that of the wall, which is stored but may jump, and the steady one, for durations.

Both count nanoseconds; tests give their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clock:
    """`wall` is UTC since 1970; `steady` never goes back and means nothing outside this process."""

    wall: Callable[[], int] = time.time_ns
    steady: Callable[[], int] = time.monotonic_ns

    def age_of(self, wall_nanos: int) -> int:
        """Nanoseconds since a stored time; 0 for one that the wall clock, set back, has yet to reach."""
        return max(0, self.wall() - wall_nanos)


SYSTEM_CLOCK = Clock()
