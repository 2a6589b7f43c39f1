"""Which tables are kept for how long, and what of them is past it: days and projects, without a store.

`store.footprint` says what is on disk, `store.retention` carries out what is planned here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from settings import RetentionSettings

DAY = timedelta(days=1)
# The collector refuses what is older: a partition before it holds marks, not rows.
FIRST_DAY = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class KeptTable:
    """A table with a policy.

    Attributes:
        policy: the field of `[retention]` that says how long.
        time: the column that its partitions are made of.
        by_project: whether a project may keep it for other days.
    """

    name: str
    policy: str
    time: str
    by_project: bool = True


# Minutes are forgotten before their usage: in between they are unknown, the other way round they would be zero.
# Points go before their series, without which nobody knows what they are about.
KEPT = (
    KeptTable("spans", "spans", "end_time"),
    KeptTable("metric_points", "metric_points", "time"),
    KeptTable("metric_series", "metric_points", "day"),
    KeptTable("logs", "logs", "time"),
    KeptTable("observations", "observations", "time"),
    KeptTable("folded_minutes", "rollups", "minute", by_project=False),
    KeptTable("usage_1m", "rollups", "minute", by_project=False),
    KeptTable("folded_hours", "rollups", "start", by_project=False),
    KeptTable("usage_1h", "rollups", "start", by_project=False),
    KeptTable("folded_days", "rollups", "start", by_project=False),
    KeptTable("usage_1d", "rollups", "start", by_project=False),
    KeptTable("folded_engine_minutes", "rollups", "minute", by_project=False),
    KeptTable("engine_1m", "rollups", "minute", by_project=False),
)


@dataclass(frozen=True)
class Partition:
    """One day or month of a table, [start, end) UTC, with rows by project; '' where the table knows no projects."""

    id: str
    start: datetime
    end: datetime
    rows: Mapping[str, int]


@dataclass(frozen=True)
class Removal:
    """What is past its policy in one partition: all of it, or (`projects` is not None) the rows of some projects."""

    table: str
    partition: Partition
    projects: tuple[str, ...] | None

    @property
    def rows(self) -> int:
        held = self.partition.rows
        return sum(held.values()) if self.projects is None else sum(held[project] for project in self.projects)


def span_of(partition_id: str) -> tuple[datetime, datetime] | None:
    """Start and end of a partition made by toYYYYMMDD or toYYYYMM; None for one that holds no rows of ours."""
    form = {6: "%Y%m", 8: "%Y%m%d"}.get(len(partition_id))
    if form is None or not partition_id.isdecimal():
        return None
    start = datetime.strptime(partition_id, form).replace(tzinfo=UTC)
    if start < FIRST_DAY:
        return None
    end = start + DAY if len(partition_id) == 8 else (start + 31 * DAY).replace(day=1)
    return start, end


def cutoff(now: datetime, days: int) -> datetime:
    """What ended before this is past a policy of `days`: every row is kept at least so long."""
    return now.replace(hour=0, minute=0, second=0, microsecond=0) - days * DAY


def past(partition: Partition, days: int | None, now: datetime) -> bool:
    """Whether a partition is past a policy; nothing is past one that is for ever."""
    return days is not None and partition.end <= cutoff(now, days)


def plan(table: KeptTable, partitions: Sequence[Partition], policy: RetentionSettings, now: datetime) -> list[Removal]:
    """What of a table is past its policies, the oldest first."""
    removals = []
    for partition in sorted(partitions, key=lambda each: each.start):
        held = sorted(partition.rows)
        gone = [project for project in held if past(partition, _days(table, policy, project), now)]
        if gone:
            removals.append(Removal(table.name, partition, None if gone == held else tuple(gone)))
    return removals


def next_removal(
    table: KeptTable, project: str, partitions: Sequence[Partition], policy: RetentionSettings
) -> tuple[Partition, datetime] | None:
    """The oldest partition with rows of a project, and when it is past its policy; None when it never is."""
    days = _days(table, policy, project)
    oldest = min((part for part in partitions if project in part.rows), key=lambda each: each.start, default=None)
    return None if days is None or oldest is None else (oldest, oldest.end + days * DAY)


def _days(table: KeptTable, policy: RetentionSettings, project: str) -> int | None:
    return policy.days(table.policy, project if table.by_project else None)
