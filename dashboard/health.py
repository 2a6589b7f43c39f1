"""Is the process alive, can it serve, and what has it counted: `/healthz`, `/readyz`, `/metrics`, `/api/v1/health`."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from dashboard.board import Board
from dashboard.metrics import exposition
from dashboard.process import build_report, process_report
from store.collectors import Collector, CollectorState, read_collectors

router = APIRouter(tags=["health"])

TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8"


def the_board(request: Request) -> Board:
    """The board that the application was made with."""
    board: Board = request.app.state.board
    return board


BoardParameter = Annotated[Board, Depends(the_board)]


@router.get("/healthz")
def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def ready(board: BoardParameter) -> Response:
    """Both stores answer a real query."""
    try:
        board.telemetry.rows("SELECT count() AS n FROM folded_minutes")
        with board.control.read() as session:
            session.connection().exec_driver_sql("SELECT 1")
        if not board.health().get("collector", {}).get("alive", True):
            raise RuntimeError("a thread of the collector no longer works; restart this process")
        findings = [_held_back(one) for one in read_collectors(board.control) if one.holds_rows_back]
    except Exception as error:  # noqa: BLE001  whatever is wrong with a store, the answer is: not ready
        return JSONResponse(
            {"status": "not ready", "reason": (str(error) or type(error).__name__).splitlines()[0][:200]}, 503
        )
    # What another process holds back makes nobody else unready, but it must not go unseen.
    return JSONResponse({"status": "ok", **({"findings": findings} if findings else {})})


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(board: BoardParameter) -> PlainTextResponse:
    """Our own counters in the Prometheus text format; `docs/metrics.md` lists them."""
    return PlainTextResponse("\n".join(exposition(_whole_report(board))) + "\n", media_type=TEXT_FORMAT)


def _collectors(board: Board) -> dict[str, Any]:
    """How many collectors there are in each state; nothing while the control store does not say."""
    try:
        found = read_collectors(board.control)
    except SQLAlchemyError:
        return {}
    states = Counter(one.state for one in found)
    counts = {state.value: states[state] for state in CollectorState}
    return {"collectors": {"by_state": counts, "holding_rows_back": sum(one.holds_rows_back for one in found)}}


def _held_back(one: Collector) -> str:
    return (
        f"collector {one.instance} on {one.host} is {one.state.value} since {one.seen_at:%Y-%m-%d %H:%M:%S} UTC "
        "and holds acknowledged rows in its journal; start it again on its data directory"
    )


@router.get("/api/v1/health")
def health(board: BoardParameter) -> dict[str, Any]:
    """Everything that Andon knows of itself; `docs/metrics.md` says what each number means. Null is unknown."""
    return {"now": board.now(), **_whole_report(board)}


def _whole_report(board: Board) -> dict[str, Any]:
    return {**board.health(), **_collectors(board), "process": process_report(), "build": build_report()}
