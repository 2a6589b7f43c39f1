"""Windows of time and what a signal did in one: the counts that every decision is made from.

Windows are aligned to the epoch, so that two processes and a replay cut time alike. Counts come from `signals` (or from
numpy in tests) and go to the detector, the effect sizes and the control store.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

QUANTILE_LEVELS: tuple[float, ...] = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Levels at which a window's own quantiles are kept, for the effect sizes: .05, .10 … .95."""


@dataclass(frozen=True)
class Window:
    """One closed window of one signal.

    `cells` counts finite numbers per cell of the baseline's bins; what is not a finite number is counted apart and
    never enters a decision. `quantiles` are the window's own at `QUANTILE_LEVELS`; empty without finite rows.
    """

    start: datetime
    end: datetime
    cells: tuple[int, ...]
    missing: int = 0
    nan: int = 0
    infinite: int = 0
    text: int = 0
    quantiles: tuple[float, ...] = ()

    @property
    def rows(self) -> int:
        """How many finite numbers the window holds."""
        return sum(self.cells)

    @property
    def not_numbers(self) -> int:
        """Rows that carry no finite number: absent, NaN, infinite or text."""
        return self.missing + self.nan + self.infinite + self.text


def merge_cells(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    """Counts of two samples taken together; an empty tuple stands for no sample yet.

    Raises:
        ValueError: the counts were taken on different bins.
    """
    if not first or not second:
        return first or second
    if len(first) != len(second):
        raise ValueError(f"counts on {len(first)} cells cannot be added to counts on {len(second)} cells")
    return tuple(a + b for a, b in zip(first, second, strict=True))


def to_microseconds(moment: datetime) -> int:
    """Microseconds since the epoch."""
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The moment that many microseconds after the epoch."""
    return _EPOCH + timedelta(microseconds=value)


def window_microseconds(window_seconds: float) -> int:
    """A window's length in whole microseconds, at least one."""
    return max(1, round(window_seconds * 1e6))


def closed_until(now: datetime, window_us: int, grace_seconds: float) -> datetime:
    """End of the newest window that has waited out its grace at `now`."""
    ready = to_microseconds(now) - round(grace_seconds * 1e6)
    return from_microseconds(ready // window_us * window_us)


def aligned(moment: datetime, window_us: int) -> datetime:
    """Start of the window that `moment` falls into."""
    return from_microseconds(to_microseconds(moment) // window_us * window_us)
