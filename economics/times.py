"""Times as ClickHouse reads them."""

from __future__ import annotations

from datetime import UTC, datetime


def sql_time(time: datetime) -> str:
    """A UTC time as ClickHouse reads it, to the microsecond."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def sql_minute(time: datetime) -> str:
    """A UTC time as ClickHouse reads it, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
