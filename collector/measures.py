"""What the collector measures of itself beside plain counts: how long things take, in buckets of fixed bounds."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import Any, Final

INSERT_BOUNDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Histogram:
    """Counts of observations up to each bound, and their sum. Written by one thread, read by any.

    Args:
        bounds: ascending; what is larger than the last is in the count alone.
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value; a bucket holds its bound."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def report(self) -> dict[str, Any]:
        """`count`, `sum`, and `buckets`: how many were at most each bound."""
        up_to = list(accumulate(self._counts))
        buckets = {f"{bound:g}": count for bound, count in zip(self._bounds, up_to, strict=False)}
        return {"count": up_to[-1], "sum": self._sum, "buckets": buckets}
