"""What the kept tables hold on disk: partitions, rows by project, oldest and newest row, bytes.

Read from the tables themselves and from the engine's own account of its parts; nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from store.kept import FIRST_DAY, KeptTable, Partition, span_of
from store.telemetry import TelemetryStore

# Parts that are merged away or dropped stay on disk for a while, detached ones until somebody removes them.
_BYTES = """
SELECT table, sum(bytes) AS bytes, sum(waste) AS waste FROM (
    SELECT table, bytes_on_disk AS bytes, if(active, 0, bytes_on_disk) AS waste
    FROM system.parts WHERE database = currentDatabase()
    UNION ALL
    SELECT table, ifNull(bytes_on_disk, 0) AS bytes, ifNull(bytes_on_disk, 0) AS waste
    FROM system.detached_parts WHERE database = currentDatabase()
) GROUP BY table
"""

_PARTITIONS = """
SELECT partition_id, sum(rows) AS rows FROM system.parts
WHERE database = currentDatabase() AND table = :name AND active GROUP BY partition_id
"""


@dataclass(frozen=True)
class OnDisk:
    """Bytes of one table on disk; `waste_bytes` of them are no longer read and wait for the engine to remove them."""

    bytes: int = 0
    waste_bytes: int = 0


@dataclass(frozen=True)
class Held:
    """What one project holds of one table; '' where the table knows no projects."""

    project: str
    rows: int
    oldest: datetime
    newest: datetime


def bytes_on_disk(store: TelemetryStore) -> dict[str, OnDisk]:
    """Bytes by table, with what the engine has dropped or set aside and not yet removed."""
    return {row["table"]: OnDisk(row["bytes"], row["waste"]) for row in store.rows(_BYTES)}


def partitions(store: TelemetryStore, table: KeptTable, before: datetime | None = None) -> list[Partition]:
    """Partitions that hold rows, with their projects.

    Args:
        before: only those that end by then; only these are looked into.
    """
    spans = {row["partition_id"]: span_of(row["partition_id"]) for row in store.rows(_PARTITIONS, name=table.name)}
    chosen = {name: span for name, span in spans.items() if span and (before is None or span[1] <= before)}
    if not chosen:
        return []
    rows: dict[str, dict[str, int]] = {}
    for row in store.rows(
        f"SELECT _partition_id AS id, {_project(table)} AS owner, count() AS n FROM {table.name} "
        "WHERE _partition_id IN (:ids) GROUP BY id, owner",
        ids=sorted(chosen),
    ):
        rows.setdefault(row["id"], {})[row["owner"]] = row["n"]
    return [Partition(name, *chosen[name], held) for name, held in sorted(rows.items())]


def held(store: TelemetryStore, table: KeptTable) -> Sequence[Held]:
    """Rows, oldest and newest by project."""
    rows = store.rows(
        f"SELECT {_project(table)} AS owner, count() AS n, min({table.time}) AS oldest, max({table.time}) AS newest "
        f"FROM {table.name} WHERE {table.time} >= toDateTime(:first, 'UTC') GROUP BY owner ORDER BY owner",
        first=FIRST_DAY.strftime("%Y-%m-%d %H:%M:%S"),
    )
    return [Held(row["owner"], row["n"], row["oldest"], row["newest"]) for row in rows]


def _project(table: KeptTable) -> str:
    return "toString(project)" if table.by_project else "''"
