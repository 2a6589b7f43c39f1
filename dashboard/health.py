"""Is the process alive, can it serve, and what has it counted: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from dashboard.board import Board
from store.collectors import Collector, CollectorState, read_collectors

router = APIRouter(tags=["health"])

_BY_REASON = "_by_reason"


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
            raise RuntimeError("a thread of the collector has ended; restart this process")
        findings = [_held_back(one) for one in read_collectors(board.control) if one.holds_rows_back]
    except Exception as error:  # noqa: BLE001  whatever is wrong with a store, the answer is: not ready
        return JSONResponse(
            {"status": "not ready", "reason": (str(error) or type(error).__name__).splitlines()[0][:200]}, 503
        )
    # What another process holds back makes nobody else unready, but it must not go unseen.
    return JSONResponse({"status": "ok", **({"findings": findings} if findings else {})})


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(board: BoardParameter) -> PlainTextResponse:
    """Our own counters in the Prometheus text format."""
    found = board.health() | _collectors(board)
    return PlainTextResponse("\n".join(exposed(found)) + "\n", media_type="text/plain; version=0.0.4")


def _collectors(board: Board) -> dict[str, Any]:
    """How many collectors there are in each state; nothing while the control store does not say."""
    try:
        found = read_collectors(board.control)
    except SQLAlchemyError:
        return {}
    states = Counter(one.state for one in found)
    counts = {f"{state.value}": states[state] for state in CollectorState}
    return {"collectors": {**counts, "holding_rows_back": sum(one.holds_rows_back for one in found)}}


def _held_back(one: Collector) -> str:
    return (
        f"collector {one.instance} on {one.host} is {one.state.value} since {one.seen_at:%Y-%m-%d %H:%M:%S} UTC "
        "and holds acknowledged rows in its journal; start it again on its data directory"
    )


def exposed(health: dict[str, Any]) -> Iterator[str]:
    """Every number of `health` as a line of the Prometheus text format; what is counted by reason has it as a label."""
    for name, value in _flat(health):
        yield f"andon_{name} {value}"


def _flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, dict) and name.endswith(_BY_REASON):
            # A reason is a sentence, which no metric's name can hold.
            for reason, count in value.items():
                yield f"{prefix}{name}{{reason={json.dumps(reason)}}}", float(count)
        elif isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}_")
        elif isinstance(value, bool | int | float):
            yield f"{prefix}{name}", float(value)
