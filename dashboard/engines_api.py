"""`/api/v1/engines`: what engines, gateways and accelerators report, by the quantities of `docs/engines.md`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from dashboard.api import WindowJson
from dashboard.health import BoardParameter
from dashboard.parameters import ParameterError, parse_span
from economics.answers import Window
from economics.catalogue import catalogue
from economics.engine_numbers import By, EngineNumber, numbers
from economics.engine_rollup import EngineRollUp
from economics.engines import Misfit, misfits, read_engines
from economics.horizon import in_whole_minutes, read_horizon
from economics.report import SETTLE

router = APIRouter(prefix="/api/v1", tags=["api"])

_NOTHING = (
    "no metrics of engines or accelerators that Andon understands arrived: run andon agent on each host with GPUs, and "
    "name the engines (vLLM, SGLang, DCGM and others, docs/engines.md) in [[collector.scrape]] of andon.toml, or let "
    "an OpenTelemetry Collector scrape them and send to Andon's OTLP port"
)


@dataclass(frozen=True)
class EnginesJson:
    """Numbers of each vantage, never added over vantages; `misfits` were sent as what cannot be used. `advice` says
    what to do when there is nothing."""

    now: datetime
    window: WindowJson
    by: str | None
    catalogue_version: int
    numbers: tuple[EngineNumber, ...]
    misfits: tuple[Misfit, ...]
    advice: str | None


@router.get("/engines")
def engines(
    board: BoardParameter,
    window: Annotated[str, Query(description="length of the window, such as 5m or 1h")] = "15m",
    by: Annotated[By | None, Query(description="one number per value of this")] = None,
    quantity: Annotated[list[str] | None, Query(description="only these quantities")] = None,
) -> EnginesJson:
    """Tokens, latencies, load, energy and utilisation as engines and accelerators themselves report them."""
    now, known = board.now(), catalogue()
    for name in quantity or ():
        if name not in known.quantities:
            raise ParameterError("quantity", name, "write an id of docs/engines.md, such as tokens.output")
    end = now - SETTLE
    asked = Window(end - timedelta(seconds=parse_span("window", window).total_seconds()), end)
    shown = in_whole_minutes(asked, read_horizon(board.telemetry, EngineRollUp(known)))
    rows = read_engines(board.telemetry, known, shown.start, shown.end, quantity)
    found = numbers(rows, known, by)
    return EnginesJson(
        now=now,
        window=WindowJson.of(shown),
        by=by,
        catalogue_version=known.version,
        numbers=found,
        misfits=misfits(board.telemetry, known, shown.start, shown.end),
        advice=None if found or quantity else _NOTHING,
    )
