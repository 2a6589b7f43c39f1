"""Is the process alive, can it serve, and what has it counted: `/healthz`, `/readyz`, `/metrics`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from dashboard.board import Board

router = APIRouter(tags=["health"])

_BY_REASON = "_by_reason"
_BY_TARGET = "by_target"


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
            raise RuntimeError("a thread of the collector has ended; restart andon serve")
    except Exception as error:  # noqa: BLE001  whatever is wrong with a store, the answer is: not ready
        return JSONResponse(
            {"status": "not ready", "reason": (str(error) or type(error).__name__).splitlines()[0][:200]}, 503
        )
    return JSONResponse({"status": "ok"})


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(board: BoardParameter) -> PlainTextResponse:
    """Our own counters in the Prometheus text format."""
    return PlainTextResponse("\n".join(exposed(board.health())) + "\n", media_type="text/plain; version=0.0.4")


def exposed(health: dict[str, Any]) -> Iterator[str]:
    """Every number of `health` as a line of the Prometheus text format; what is counted by reason, or told by target,
    has that as a label."""
    for name, value in _flat(health):
        yield f"andon_{name} {value}"


def _flat(values: dict[str, Any], prefix: str = "", labels: tuple[str, ...] = ()) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, dict) and name.endswith(_BY_REASON):
            # A reason is a sentence, which no metric's name can hold.
            for reason, count in value.items():
                yield _labelled(f"{prefix}{name}", (*labels, _label("reason", reason))), float(count)
        elif isinstance(value, dict) and name == _BY_TARGET:
            for target, told in value.items():
                yield from _flat(told, prefix, (*labels, _label("target", target)))
        elif isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}_", labels)
        elif isinstance(value, bool | int | float):
            yield _labelled(f"{prefix}{name}", labels), float(value)


def _label(name: str, text: str) -> str:
    return f"{name}={json.dumps(text, ensure_ascii=False)}"


def _labelled(name: str, labels: tuple[str, ...]) -> str:
    return f"{name}{{{','.join(labels)}}}" if labels else name
