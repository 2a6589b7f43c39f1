"""The engine's own `system.*_log` tables: how large they are, and a bound on how long they are kept.

The embedded engine writes none. A ClickHouse server writes them as its configuration says, without end unless it or
we set a TTL; where we may not, the reason is shown instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from store.errors import StoreError
from store.telemetry import TelemetryStore

_LOGS = """
SELECT name, ifNull(total_rows, 0) AS rows, ifNull(total_bytes, 0) AS bytes, engine_full LIKE '% TTL %' AS bounded
FROM system.tables WHERE database = 'system' AND name LIKE '%\\_log%' AND engine LIKE '%MergeTree' ORDER BY name
"""


@dataclass(frozen=True)
class EngineLog:
    """One log table of the engine; `bounded` says whether a TTL ends its rows."""

    name: str
    rows: int
    bytes: int
    bounded: bool
    oldest: datetime | None


def engine_logs(store: TelemetryStore) -> list[EngineLog]:
    """The log tables that the engine keeps on disk; none for the embedded engine, which writes none."""
    found = []
    for row in store.rows(_LOGS):
        oldest = None
        if row["rows"]:
            oldest = store.rows(f"SELECT toDateTime(min(event_date), 'UTC') AS oldest FROM system.{row['name']}")[0]
        found.append(
            EngineLog(
                row["name"], row["rows"], row["bytes"], bool(row["bounded"]), oldest["oldest"] if oldest else None
            )
        )
    return found


def bound_engine_logs(store: TelemetryStore, days: int | None) -> int:
    """Give every log table without a TTL one of `days`; returns how many got it. None leaves them as they are.

    Raises:
        StoreError: some may not be altered; names them and what their owner can do.
    """
    if days is None:
        return 0
    bounded, refused = 0, []
    for row in store.rows(_LOGS):
        if not row["bounded"]:
            try:
                store.execute(f"ALTER TABLE system.{row['name']} MODIFY TTL event_date + INTERVAL {int(days)} DAY")
                bounded += 1
            except Exception as error:  # noqa: BLE001  a right that is missing for one is missing for most
                refused.append((row["name"], (str(error) or type(error).__name__).splitlines()[0][:200]))
    if refused:
        names = ", ".join(f"system.{name}" for name, _ in refused)
        raise StoreError(
            f"{names} grow without end and may not be bounded from here ({refused[0][1]}): "
            "grant ALTER TTL ON system.*, set <ttl> in the server's configuration, "
            'or set retention.engine_logs = "forever"'
        )
    return bounded
