"""The shapes of what economics answers: frozen, typed, ready to become JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from economics.latency import Latency


@dataclass(frozen=True)
class Window:
    """Wall time [start, end), UTC."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def seconds(self) -> float:
        return self.length.total_seconds()


@dataclass(frozen=True)
class Rates:
    """Tokens per second of wall clock, by token kind."""

    output: float | None
    input: float | None
    total: float | None


@dataclass(frozen=True)
class Quantities:
    """The quantities of a window, under the ids that `docs/quantities.md` defines. None is unknown."""

    tps_per_usd_h: float | None
    tokens_per_usd: float | None
    usd_per_mtok_blended: float | None
    usd_per_mtok_output: float | None
    usd_per_hour: float | None
    usd: Decimal | None
    tps: Rates
    tokens_total: int
    tokens_computed: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cached_share: float | None
    calls: int
    errors: int
    calls_without_usage: int
    runs: int
    run_errors: int
    cost_coverage: float | None


@dataclass(frozen=True)
class Row:
    """One line of a table: a model, a pipeline or a stage."""

    labels: dict[str, str]
    basis: tuple[str, ...]
    quantities: Quantities
    latency: Latency


@dataclass(frozen=True)
class PoolLine:
    """One capacity pool: what it costs, and what came out of it in the window."""

    name: str
    accelerator: str
    count: int
    basis: str
    usd_per_hour: Decimal
    usd: Decimal
    idle: bool
    quantities: Quantities


@dataclass(frozen=True)
class Unpriced:
    """Traffic whose cost is unknown, and why."""

    provider: str
    model: str
    service: str
    calls: int
    tokens: int
    reason: str


@dataclass(frozen=True)
class Point:
    """One bucket of a series. All values are None where nothing is known about the bucket; the newest bucket is not
    `complete`: its rates are over the part that has passed."""

    time: datetime
    complete: bool
    tps_output: float | None
    tps_input: float | None
    tps_per_usd_h: float | None
    usd_per_hour: float | None
    calls: int | None
    errors: int | None


@dataclass(frozen=True)
class Series:
    """One line of a chart: `labels` say whose; the points cover the window without holes."""

    labels: dict[str, str]
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Summary:
    """The headline and the tables under it."""

    window: Window
    quantities: Quantities
    basis: tuple[str, ...]
    basis_text: str
    vantage: tuple[str, ...]
    token_kind: str
    models: tuple[Row, ...]
    pipelines: tuple[Row, ...]
    pools: tuple[PoolLine, ...]
    unpriced: tuple[Unpriced, ...]
