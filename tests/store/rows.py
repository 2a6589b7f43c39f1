"""Rows for tests of what is kept, put where and when a test says."""

from __future__ import annotations

from datetime import datetime

from store.telemetry import TelemetryStore

_TIMES = {"spans": "end_time", "metric_points": "time", "metric_series": "day", "logs": "time", "observations": "time"}


def add_rows(store: TelemetryStore, table: str, at: datetime, project: str = "default", rows: int = 1) -> None:
    """Put `rows` rows of a project at a time."""
    store.execute(
        f"INSERT INTO {table} (project, {_TIMES[table]}) SELECT :project, toDateTime64(:at, 9, 'UTC') "
        f"FROM numbers({rows})",
        project=project,
        at=at.strftime("%Y-%m-%d %H:%M:%S"),
    )


def days_of(store: TelemetryStore, table: str, project: str = "default") -> list[str]:
    """The days (UTC) of which a project still has rows."""
    rows = store.rows(
        f"SELECT DISTINCT toString(toDate({_TIMES[table]})) AS day FROM {table} WHERE project = :project ORDER BY day",
        project=project,
    )
    return [row["day"] for row in rows]
