"""Removes what is past its policy: whole days of a table, or those of single projects in it.

A guard may hold a day back (spans wait until their minutes are rolled up). Each run does a bounded amount of work; what
it leaves is there for the next. Whatever fails is told, and the other tables are still looked after.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from settings import RetentionSettings
from store.engine_logs import bound_engine_logs
from store.errors import StoreError
from store.footprint import partitions
from store.kept import KEPT, KeptTable, Removal, cutoff, plan
from store.telemetry import TelemetryStore

log = logging.getLogger(__name__)

# Dropping a partition takes some 40 ms; rows of single projects cost a rewrite of their day.
MOST_DROPS_A_RUN = 200
MOST_REWRITES_A_RUN = 20

Chore = Callable[[datetime], int]
"""Other work of a run: takes now (UTC), returns how many rows went."""


class Guard(Protocol):
    """Says whether a day of a table may go."""

    def waits_for(self, removal: Removal) -> str | None:
        """Why it must stay for now; None when it may go."""

    def going(self, removal: Removal) -> None:
        """Called just before it goes: from now on nothing may be made of what is left of the day."""


@dataclass(frozen=True)
class Waiting:
    """What is past its policy and was left, and why."""

    removal: Removal
    reason: str


@dataclass(frozen=True)
class Run:
    """What one run removed (or, when dry, would have), what it left, and what failed."""

    at: datetime
    dry: bool
    removed: tuple[Removal, ...]
    waiting: tuple[Waiting, ...]
    chores: Mapping[str, int]
    failures: tuple[str, ...]


@dataclass
class RetentionCounts:
    """Since start."""

    partitions: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)


class Retention:
    """Applies the policies of `[retention]` to one telemetry store.

    Args:
        guards: by table.
        chores: other work of the same rhythm, by the name of what it removes.
    """

    def __init__(
        self,
        store: TelemetryStore,
        policy: RetentionSettings,
        guards: Mapping[str, Guard] | None = None,
        chores: Mapping[str, Chore] | None = None,
    ) -> None:
        self._store = store
        self._guards = guards or {}
        self._chores = chores or {}
        self._one_run = threading.Lock()
        self.policy = policy
        self.counts = RetentionCounts()
        self.last: Run | None = None

    def run_once(self, now: datetime) -> Run:
        """Remove what is past its policy now.

        Raises:
            StoreError: something could not be removed; everything else was.
        """
        with self._one_run:
            run = self.last = self._run(now, dry=False)
        if run.failures:
            raise StoreError("; ".join(run.failures))
        return run

    def health(self) -> dict[str, dict[str, int]]:
        """By table: what went since start, and what waited at the last run."""
        counts = self.counts
        return {
            table.name: {
                "partitions_total": counts.partitions.get(table.name, 0),
                "rows_total": counts.rows.get(table.name, 0),
                "waiting_partitions": counts.waiting.get(table.name, 0),
            }
            for table in KEPT
        }

    def dry_run(self, now: datetime) -> Run:
        """What `run_once` would do; changes nothing."""
        return self._run(now, dry=True)

    def _run(self, now: datetime, *, dry: bool) -> Run:
        removed: list[Removal] = []
        waiting: list[Waiting] = []
        failures: list[str] = []
        chores: dict[str, int] = {}
        drops, rewrites = MOST_DROPS_A_RUN, MOST_REWRITES_A_RUN
        for table in KEPT:
            try:
                for removal in self._past(table, now):
                    whole = removal.projects is None
                    drops, rewrites = drops - whole, rewrites - (not whole)
                    if drops < 0 or rewrites < 0:
                        waiting.append(Waiting(removal, "enough for one run; the next goes on"))
                        break
                    reason = self._remove(removal, dry)
                    if reason is not None:
                        waiting.append(Waiting(removal, reason))
                        break
                    removed.append(removal)
            except Exception as error:  # noqa: BLE001  the other tables must not wait for this one
                failures.append(f"{table.name}: {_first_line(error)}")
            if not dry:
                self.counts.waiting[table.name] = sum(each.removal.table == table.name for each in waiting)
        if not dry:
            for name, chore in {**self._chores, "engine_logs": self._bound_engine_logs}.items():
                try:
                    chores[name] = chore(now)
                except Exception as error:  # noqa: BLE001  as above
                    failures.append(f"{name}: {_first_line(error)}")
        return Run(now, dry, tuple(removed), tuple(waiting), chores, tuple(failures))

    def _past(self, table: KeptTable, now: datetime) -> list[Removal]:
        projects = [None, *self.policy.projects] if table.by_project else [None]
        days = [days for project in projects if (days := self.policy.days(table.policy, project)) is not None]
        if not days:
            return []
        return plan(table, partitions(self._store, table, before=cutoff(now, min(days))), self.policy, now)

    def _remove(self, removal: Removal, dry: bool) -> str | None:
        """Remove it; why not, when it must wait."""
        guard = self._guards.get(removal.table)
        if guard and (reason := guard.waits_for(removal)):
            return reason
        if dry:
            return None
        if guard:
            guard.going(removal)
        place = f"PARTITION ID '{removal.partition.id}'"
        if removal.projects is None:
            self._store.alter(removal.table, f"DROP {place}")
        else:
            # A rewrite of the day, not a mask over it: the rows are to leave the disk.
            self._store.alter(
                removal.table,
                f"DELETE IN {place} WHERE project IN (:projects) SETTINGS mutations_sync = 1",
                projects=list(removal.projects),
            )
        counts, name = self.counts, removal.table
        counts.partitions[name] = counts.partitions.get(name, 0) + 1
        counts.rows[name] = counts.rows.get(name, 0) + removal.rows
        of = "" if removal.projects is None else f" of {', '.join(removal.projects)}"
        log.info("%s: %d rows%s of %s dropped", name, removal.rows, of, removal.partition.id)
        return None

    def _bound_engine_logs(self, _now: datetime) -> int:
        return bound_engine_logs(self._store, self.policy.engine_logs)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
