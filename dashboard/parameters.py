"""Query parameters as people write them: times and steps, with errors that say what is allowed."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from economics.grains import SLICES

_SPAN = re.compile(r"^(\d{1,9})(s|m|h|d)?$")
_RELATIVE = re.compile(r"^now(?:-(\d{1,9}[smhd]))?$")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, None: 1}
MOST_POINTS = 2000
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
LONGEST = timedelta(days=3660)


class ParameterError(ValueError):
    """A query parameter that cannot be used: its name, its value and what is allowed."""

    def __init__(self, field: str, value: str, allowed: str) -> None:
        super().__init__(f"{field}={value!r} cannot be used: {allowed}")
        self.field = field


def parse_time(field: str, text: str, now: datetime) -> datetime:
    """A UTC time from ISO 8601, Unix seconds, `now` or `now-15m`; that is rounded down to whole slices of usage."""
    try:
        relative = _RELATIVE.match(text)
        if relative:
            # Whole slices answer at once; half of one would have to be counted from its spans.
            time = SLICES.floor(now - parse_span(field, relative.group(1))) if relative.group(1) else now
        elif re.fullmatch(r"\d{9,11}(\.\d+)?", text):
            time = datetime.fromtimestamp(float(text), UTC)
        else:
            # A plus sign that was not escaped arrives as a space.
            time = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except ParameterError:
        raise
    except (ValueError, OverflowError):
        raise ParameterError(
            field, text, "write ISO 8601 (2026-11-23T04:00:00Z), Unix seconds, now, or now-15m"
        ) from None
    if not EARLIEST <= time <= LATEST:
        raise ParameterError(field, text, f"times lie between {EARLIEST:%Y} and {LATEST:%Y}")
    return time


def parse_span(field: str, text: str) -> timedelta:
    """A positive length of time from seconds or `10s`, `5m`, `2h`, `1d`."""
    match = _SPAN.match(text)
    if not match or int(match.group(1)) == 0:
        raise ParameterError(field, text, "write seconds, or a number with s, m, h or d, such as 10s or 5m")
    seconds = int(match.group(1)) * _UNITS[match.group(2)]
    if seconds > LONGEST.total_seconds():
        raise ParameterError(field, text, f"at most {LONGEST.days}d")
    return timedelta(seconds=seconds)


def check_points(start: datetime, end: datetime, step: timedelta) -> None:
    """Refuse an empty window, and more points than a chart can use."""
    if end <= start:
        raise ParameterError("to", end.isoformat(), f"it must be later than from={start.isoformat()}")
    points = (end - start) / step
    if points > MOST_POINTS:
        raise ParameterError(
            "step", f"{step.total_seconds():g}s", f"it makes {points:.0f} points; at most {MOST_POINTS}"
        )
