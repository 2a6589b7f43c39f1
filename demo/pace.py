"""When the next request arrives: random arrivals at a steady rate, from a token bucket.

Pure but for the random numbers; whoever asks waits until the moment that is returned.
"""

from __future__ import annotations

from random import Random

CATCH_UP_SECONDS = 1.0
"""How much lateness is made up for; after a longer pause the rate goes on as if nothing had been missed."""


class Pace:
    """Arrivals as a Poisson process."""

    def __init__(self, per_second: float, rng: Random) -> None:
        """Start a pace of `per_second` arrivals on average; above 0."""
        self._per_second = per_second
        self._rng = rng
        self._due: float | None = None

    def next_arrival(self, now: float) -> float:
        """Return when the next request is due, seconds on the clock that `now` is read from; may lie in the past."""
        earliest = now - CATCH_UP_SECONDS
        self._due = now if self._due is None else max(self._due, earliest)
        arrival = self._due
        self._due += self._rng.expovariate(self._per_second)
        return arrival
