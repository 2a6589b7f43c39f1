"""What the dashboard reads: the open stores and the rooms' own status functions, gathered once by `andon serve`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from economics.report import Reports
from settings import Settings
from store.control import ControlStore
from store.retention import Retention
from store.telemetry import TelemetryStore


def utc_now() -> datetime:
    """Now, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Board:
    """Everything a page or an API call may ask.

    Args:
        health: counts and lags of the collector and the background work, by name; JSON-ready.
        retention: None where this process has no worker, and so removes nothing.
    """

    settings: Settings
    telemetry: TelemetryStore
    control: ControlStore
    reports: Reports
    health: Callable[[], dict[str, Any]]
    now: Callable[[], datetime] = utc_now
    retention: Retention | None = None
