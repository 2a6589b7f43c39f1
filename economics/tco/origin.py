"""Where a value comes from, and how old that is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

STALE_DAYS = 90


@dataclass(frozen=True)
class Origin:
    """A source. `as_of` is as precise as it is: a day, a month or a year; "" when undated."""

    source: str
    as_of: str
    confidence: str
    note: str = ""

    def age_days(self, now: datetime) -> int | None:
        """Days since `as_of`, counted from the first day of a month or year; None when undated."""
        parts = self.as_of.split("-")
        if not all(part.isdecimal() for part in parts[:3]) or not parts[0]:
            return None
        year, month, day = (*(int(part) for part in parts[:3]), 1, 1)[:3]
        return (now.date() - date(year, month, day)).days
