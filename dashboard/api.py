"""The JSON API under `/api/v1`. Fields carry the quantity ids that `docs/quantities.md` defines."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query

from alerts.status import Alert, ChannelStatus, Event, channel_status, current_alerts, recent_events
from checklist.model import Status
from checklist.status import ChecklistItem, read_checklist
from dashboard.health import BoardParameter
from dashboard.parameters import check_points, parse_span, parse_time
from drift.baseline import BaselineRefusedError
from drift.capture import capture
from drift.status import BaselineStatus, MonitorStatus, baseline_status, read_status
from economics.answers import PoolLine, Quantities, Row, Series, Summary, Unpriced, Window

router = APIRouter(prefix="/api/v1", tags=["api"])


@dataclass(frozen=True)
class WindowJson:
    """Wall time of an answer, UTC."""

    start: datetime
    end: datetime
    seconds: float

    @classmethod
    def of(cls, window: Window) -> WindowJson:
        return cls(window.start, window.end, window.seconds)


@dataclass(frozen=True, kw_only=True)
class SummaryJson(Quantities):
    """The headline with what it rests on, and the tables; `coverage` is the share of tokens whose cost is known."""

    now: datetime
    window: WindowJson
    token_kind: str
    vantage: tuple[str, ...]
    basis: tuple[str, ...]
    basis_text: str
    coverage: float | None
    qualifier: str
    models: tuple[Row, ...]
    pipelines: tuple[Row, ...]
    pools: tuple[PoolLine, ...]
    unpriced: tuple[Unpriced, ...]


@dataclass(frozen=True)
class ThroughputJson:
    """Series of tokens per second and per dollar."""

    window: WindowJson
    step_seconds: float
    by: str | None
    token_kind: str
    basis_text: str
    series: tuple[Series, ...]


ProjectParameter = Annotated[str | None, Query(description="only what was sent to this project [default: all]")]
By = Literal["model", "pipeline", "stage", "provider", "service", "project"]


@router.get("/summary")
def summary(
    board: BoardParameter,
    window: Annotated[str | None, Query(description="length of the window, such as 5m or 1h")] = None,
    project: ProjectParameter = None,
) -> SummaryJson:
    """Tokens per second per dollar over the last minutes, by model and pipeline."""
    now = board.now()
    seconds = parse_span("window", window).total_seconds() if window else board.settings.window_seconds
    answer = board.reports.summary(board.reports.live_window(now, seconds), project)
    coverage = answer.quantities.cost_coverage
    return SummaryJson(
        **vars(answer.quantities),
        now=now,
        window=WindowJson.of(answer.window),
        token_kind=answer.token_kind,
        vantage=answer.vantage,
        basis=answer.basis,
        basis_text=answer.basis_text,
        coverage=coverage,
        qualifier=qualifier(answer),
        models=answer.models,
        pipelines=answer.pipelines,
        pools=answer.pools,
        unpriced=answer.unpriced,
    )


@router.get("/throughput")
def throughput(
    board: BoardParameter,
    start: Annotated[str, Query(alias="from", description="ISO 8601, Unix seconds, or now-15m")] = "now-15m",
    end: Annotated[str, Query(alias="to", description="as from")] = "now",
    step: Annotated[str, Query(description="length of a bucket, such as 10s or 1m")] = "10s",
    by: Annotated[By | None, Query(description="one series per value of this")] = None,
    project: ProjectParameter = None,
) -> ThroughputJson:
    """Tokens per second and per dollar over time. Null is a gap: nothing is known about that bucket."""
    now = board.now()
    window = Window(parse_time("from", start, now), parse_time("to", end, now))
    length = parse_span("step", step)
    check_points(window.start, window.end, length)
    series = board.reports.throughput(window, length, by, project)
    return ThroughputJson(
        window=WindowJson.of(window),
        step_seconds=length.total_seconds(),
        by=by,
        token_kind="output",  # noqa: S106
        basis_text=board.reports.basis_text(),
        series=series,
    )


def qualifier(answer: Summary) -> str:
    """The line under the headline: what kind of tokens, seen from where, at what cost, over what, how completely."""
    found, seen = answer.quantities, " and ".join(answer.vantage)
    parts = [f"{answer.token_kind} tokens", f"seen by {seen}" if seen else "no calls seen"]
    parts.append(answer.basis_text or "no cost known: add [[pools]] to andon.toml, or name the provider on the spans")
    parts.append(f"last {_length(answer.window.seconds)}")
    covered = found.cost_coverage
    parts.append("coverage unknown" if covered is None else f"cost known for {100 * covered:.3g} % of tokens")
    if found.calls_without_usage:
        parts.append(f"{found.calls_without_usage} of {found.calls} calls report no tokens")
    return " · ".join(parts)


def _length(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.3g} h"
    return f"{seconds / 60:.3g} min" if seconds >= 120 else f"{seconds:.0f} s"


@dataclass(frozen=True)
class DriftJson:
    """Every configured drift monitor as it stands."""

    now: datetime
    monitors: list[MonitorStatus]


@dataclass(frozen=True)
class ChecklistJson:
    """The 3AM checklist as it stands; `worst` is the state of highest concern."""

    now: datetime
    worst: Status
    exit_code: int
    checks: tuple[ChecklistItem, ...]


@dataclass(frozen=True)
class AlertsJson:
    """What fires now, what happened lately and who was told, and how the channels do."""

    now: datetime
    instances: list[Alert]
    events: list[Event]
    channels: list[ChannelStatus]


@router.get("/drift")
def drift(board: BoardParameter) -> DriftJson:
    """State, evidence and effect of every drift monitor."""
    return DriftJson(board.now(), read_status(board.control, board.settings.drift.monitors))


@router.post("/drift/{monitor}/baseline")
def capture_baseline(
    board: BoardParameter,
    monitor: str,
    start: Annotated[str | None, Query(alias="from", description="ISO 8601, Unix seconds, or now-7d")] = None,
    end: Annotated[str | None, Query(alias="to", description="as from")] = None,
) -> BaselineStatus:
    """Capture the next baseline of a monitor from stored data; 409 while there is not enough, or it is refused."""
    known = {each.name: each for each in board.settings.drift.monitors}
    if monitor not in known:
        raise HTTPException(404, f"no drift monitor is named {monitor!r}; there are {', '.join(known) or 'none'}")
    now = board.now()
    first = None if start is None else parse_time("from", start, now)
    last = None if end is None else parse_time("to", end, now)
    try:
        return baseline_status(capture(board.telemetry, board.control, known[monitor], now, first, last))
    except BaselineRefusedError as refused:
        raise HTTPException(409, str(refused)) from None


@router.get("/checklist")
def checklist(board: BoardParameter) -> ChecklistJson:
    """Every check with its evidence, age and remedy."""
    now = board.now()
    found = read_checklist(board.control, board.settings, now)
    return ChecklistJson(now, found.status, found.exit_code, found.checks)


@router.get("/alerts")
def alerts(
    board: BoardParameter, limit: Annotated[int, Query(ge=1, le=500, description="how many events")] = 50
) -> AlertsJson:
    """Alerts that fire or were resolved lately, the last events, and the channels."""
    now = board.now()
    return AlertsJson(
        now, current_alerts(board.control, now), recent_events(board.control, limit), channel_status(board.control)
    )
