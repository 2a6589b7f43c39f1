"""`/api/v1/retention`: what is kept, for how long, what goes next; and a run at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, HTTPException

from dashboard.health import BoardParameter
from economics.horizon import guards
from economics.rollups import rollups
from settings import RetentionSettings
from store.engine_logs import EngineLog, engine_logs
from store.errors import StoreError
from store.retention import Retention, Run
from store.retention_status import Kept, TableBytes, kept_lines, table_bytes
from store.telemetry import TelemetryStore

router = APIRouter(prefix="/api/v1", tags=["api"])


WORKER_REMOVES = "the worker removes what is past its policy, once an hour; this process has none and removes nothing"


@dataclass(frozen=True)
class GoingJson:
    """What goes of one partition; `projects` null: all of it. `waits_for`: why not yet, null when it goes."""

    table: str
    partition: str
    projects: tuple[str, ...] | None
    rows: int
    waits_for: str | None


@dataclass(frozen=True)
class RunJson:
    """What a run removed, or (`dry`) would remove; `chores`: other rows that went, by what they were."""

    at: datetime
    dry: bool
    partitions: tuple[GoingJson, ...]
    chores: Mapping[str, int]
    failures: tuple[str, ...]

    @classmethod
    def of(cls, run: Run) -> RunJson:
        reasons = [(removal, None) for removal in run.removed] + [(left.removal, left.reason) for left in run.waiting]
        partitions = tuple(
            GoingJson(removal.table, removal.partition.id, removal.projects, removal.rows, reason)
            for removal, reason in reasons
        )
        return cls(run.at, run.dry, partitions, dict(run.chores), run.failures)


@dataclass(frozen=True)
class RetentionJson:
    """How what is stored stands against `[retention]`; `due` is what the next run removes.

    `last` is the last run of this process; `note` says who removes where this process does not.
    """

    now: datetime
    kept: list[Kept]
    bytes: list[TableBytes]
    engine_logs: list[EngineLog]
    due: RunJson
    last: RunJson | None
    note: str | None = None


def read_retention(
    store: TelemetryStore, policy: RetentionSettings, retention: Retention | None, now: datetime
) -> RetentionJson:
    """The whole answer; `retention` is None in a process that removes nothing."""
    looking = retention or Retention(store, policy, guards(store, rollups().values()))
    last = looking.last
    return RetentionJson(
        now=now,
        kept=kept_lines(store, policy),
        bytes=table_bytes(store),
        engine_logs=engine_logs(store),
        due=RunJson.of(looking.dry_run(now)),
        last=RunJson.of(last) if last is not None else None,
        note=WORKER_REMOVES if retention is None else None,
    )


@router.get("/retention")
def retention(board: BoardParameter) -> RetentionJson:
    """Policy, oldest and newest row, rows and bytes by table and project; what goes next; what the last run did."""
    return read_retention(board.telemetry, board.settings.retention, board.retention, board.now())


@router.post("/retention")
def apply_retention(board: BoardParameter) -> RunJson:
    """Remove what is past its policy now; 503 names what could not be, 409 says that another process does it."""
    if board.retention is None:
        raise HTTPException(409, WORKER_REMOVES)
    try:
        return RunJson.of(board.retention.run_once(board.now()))
    except StoreError as error:
        raise HTTPException(503, str(error)) from None
