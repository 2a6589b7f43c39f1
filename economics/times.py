"""Times as the rooms of the ledger share them: whole minutes, and UTC times as ClickHouse reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

MINUTE = timedelta(minutes=1)


def floor_minute(time: datetime) -> datetime:
    """The start of the minute that holds `time`."""
    return time.replace(second=0, microsecond=0)


def ceil_minute(time: datetime) -> datetime:
    """The first minute that starts at or after `time`."""
    floor = floor_minute(time)
    return floor if floor == time else floor + MINUTE


def sql_time(time: datetime) -> str:
    """A UTC time as ClickHouse reads it, to the microsecond."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def sql_minute(time: datetime) -> str:
    """A UTC time as ClickHouse reads it, to the second."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
