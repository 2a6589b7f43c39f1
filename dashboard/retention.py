"""`/api/v1/retention`: what is kept, for how long, what goes next; and a run at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, HTTPException

from dashboard.board import Board
from dashboard.health import BoardParameter
from store.engine_logs import EngineLog, engine_logs
from store.errors import StoreError
from store.retention import Retention, Run
from store.retention_status import Kept, TableBytes, kept_lines, table_bytes
from store.telemetry import TelemetryStore

router = APIRouter(prefix="/api/v1", tags=["api"])


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
    """How what is stored stands against `[retention]`; `due` is what the next run removes."""

    now: datetime
    kept: list[Kept]
    bytes: list[TableBytes]
    engine_logs: list[EngineLog]
    due: RunJson
    last: RunJson | None


def read_retention(store: TelemetryStore, retention: Retention, now: datetime) -> RetentionJson:
    """The whole answer."""
    last = retention.last
    return RetentionJson(
        now=now,
        kept=kept_lines(store, retention.policy),
        bytes=table_bytes(store),
        engine_logs=engine_logs(store),
        due=RunJson.of(retention.dry_run(now)),
        last=RunJson.of(last) if last is not None else None,
    )


@router.get("/retention")
def retention(board: BoardParameter) -> RetentionJson:
    """Policy, oldest and newest row, rows and bytes by table and project; what goes next; what the last run did."""
    return read_retention(board.telemetry, _retention(board), board.now())


@router.post("/retention")
def apply_retention(board: BoardParameter) -> RunJson:
    """Remove what is past its policy now; 503 names what could not be removed."""
    try:
        return RunJson.of(_retention(board).run_once(board.now()))
    except StoreError as error:
        raise HTTPException(503, str(error)) from None


def _retention(board: Board) -> Retention:
    if board.retention is None:
        raise HTTPException(404, "this process does not look after retention; ask the one that folds")
    return board.retention
