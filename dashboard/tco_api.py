"""`POST /api/v1/tco`: the hybrid cost calculator, for a scenario or, with an empty body, for what is measured."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from dashboard.health import BoardParameter
from dashboard.parameters import ParameterError
from economics.tco.answer import TcoAnswer
from economics.tco.ask import answer_measured, answer_written, needs_store
from economics.tco.case import ScenarioError
from economics.tco.scenario import Scenario

router = APIRouter(prefix="/api/v1", tags=["api"])


@router.post("/tco")
def tco(
    board: BoardParameter,
    scenario: Annotated[Scenario | None, Body(description="as docs/tco.md says; empty: what is measured")] = None,
) -> TcoAnswer:
    """API, rented, owned or a hybrid: costs, break-even points, simulation and the verdict on the claimed ratio."""
    asked = scenario or Scenario()
    try:
        if not needs_store(asked):
            return answer_written(asked, board.now())
        return answer_measured(asked, board.telemetry, board.reports, board.settings, board.now())
    except ScenarioError as error:
        raise ParameterError(error.field, error.value, error.allowed) from None
