"""What a check may look at: settings, both stores, its own memory, and facts measured by other rooms.

The facts come as functions, so that a check states what it needs and whoever composes the process wires it to the
ledger, the price list and the drift monitors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Protocol

from settings import Settings
from store.control import ControlStore
from store.telemetry import TelemetryStore


@dataclass(frozen=True)
class TcoFacts:
    """What the capacity pools did and cost in one window; None is unknown.

    Calls that no pool served are on neither side of the comparison: both sides carry the same tokens.

    Attributes:
        window_from, window_to: the window, UTC.
        calls: calls that the pools served.
        calls_without_usage: those among them whose tokens nobody reported.
        input_tokens: including cached ones.
        output_tokens: including reasoning.
        capacity_usd: what the capacity pools cost in the window, used or not; None when no pool is configured.
        baseline_usd: what the same tokens would have cost at the API price of the baseline; None when it has no price.
    """

    window_from: datetime
    window_to: datetime
    calls: int
    calls_without_usage: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    capacity_usd: Decimal | None
    baseline_usd: Decimal | None


@dataclass(frozen=True)
class UnpricedModel:
    """A model whose tokens carry no price; `tokens` is input plus output in the window asked for."""

    provider: str
    model: str
    tokens: int


class MonitorState(StrEnum):
    """What a drift monitor says about its signal; NO_DATA: its windows close without a number in them."""

    LEARNING = "learning"
    STABLE = "stable"
    DRIFTING = "drifting"
    NO_DATA = "no_data"


@dataclass(frozen=True)
class MonitorFact:
    """State of one drift monitor; `last_window_end` (UTC) is the end of the last window it decided on."""

    name: str
    state: MonitorState
    last_window_end: datetime | None
    window_seconds: float


@dataclass(frozen=True)
class Facts:
    """Functions that answer with facts of the rooms below; None where a process has nothing to answer with."""

    tco: Callable[[datetime, datetime], TcoFacts] | None = None
    unpriced_models: Callable[[datetime, datetime], Sequence[UnpricedModel]] | None = None
    monitors: Callable[[datetime], Sequence[MonitorFact]] | None = None


class Memory(Protocol):
    """What one check keeps from poll to poll; values are JSON."""

    def read(self, key: str) -> dict[str, Any]:
        """The value last written under `key`; empty when there is none."""
        ...

    def write(self, key: str, value: Mapping[str, Any], now: datetime) -> None:
        """Keep `value` under `key`."""
        ...


@dataclass(frozen=True)
class CheckContext:
    """Everything a check may use while it looks."""

    settings: Settings
    telemetry: TelemetryStore
    control: ControlStore
    memory: Memory
    facts: Facts = Facts()
