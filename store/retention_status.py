"""How what is stored stands against the policies: oldest and newest row, rows, bytes, and what goes next and when.

Reads whole tables' time columns, so it is asked for by people and not by a page that refreshes itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from settings import RetentionSettings
from store.footprint import OnDisk, bytes_on_disk, held, partitions
from store.kept import KEPT, next_removal
from store.telemetry import TelemetryStore


@dataclass(frozen=True)
class Kept:
    """What one project holds of one table.

    Attributes:
        project: '' where the table knows no projects.
        days: the policy; None is for ever.
        bytes: on disk, the table's shared out by rows when several projects hold some.
        next_partition: the day (or month) that goes next, as 20261124 (or 202611); None when nothing ever does.
        next_at: when it is past the policy.
    """

    table: str
    project: str
    days: int | None
    rows: int
    oldest: datetime
    newest: datetime
    bytes: int
    next_partition: str | None
    next_at: datetime | None


@dataclass(frozen=True)
class TableBytes:
    """One table on disk; `waste_bytes` of the bytes are no longer read and wait for the engine to remove them."""

    table: str
    bytes: int
    waste_bytes: int


def kept_lines(store: TelemetryStore, policy: RetentionSettings) -> list[Kept]:
    """One line for each table and project that holds rows."""
    sizes = bytes_on_disk(store)
    lines = []
    for table in KEPT:
        found = held(store, table)
        total = sum(each.rows for each in found)
        whole = sizes.get(table.name, OnDisk()).bytes
        parts = partitions(store, table)
        for each in found:
            coming = next_removal(table, each.project, parts, policy)
            lines.append(
                Kept(
                    table=table.name,
                    project=each.project,
                    days=policy.days(table.policy, each.project if table.by_project else None),
                    rows=each.rows,
                    oldest=each.oldest,
                    newest=each.newest,
                    bytes=round(whole * each.rows / total),
                    next_partition=coming[0].id if coming else None,
                    next_at=coming[1] if coming else None,
                )
            )
    return lines


def table_bytes(store: TelemetryStore) -> list[TableBytes]:
    """Every table of the store, the largest first, those without a policy among them."""
    sizes = bytes_on_disk(store)
    lines = [TableBytes(name, size.bytes, size.waste_bytes) for name, size in sizes.items()]
    return sorted(lines, key=lambda line: (-line.bytes, line.table))
