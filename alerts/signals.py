"""What the rules look at: one named, labelled value at one time.

Whoever composes the process makes signals from usage, drift and checklist results; this room only compares them, so a
new quantity becomes something to alert on without a change here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

STATE_SUFFIX = ".state"


@dataclass(frozen=True)
class Signal:
    """One reading.

    Attributes:
        name: dotted name, for example `usage.tps_per_usd_h` or `checklist.state`.
        labels: what tells this reading from others of the same name.
        value: text for names that end in `.state`, a number for all others; None when there is no data.
        at: when the value was true, timezone-aware.

    Raises:
        ValueError: text under a name for numbers, a number under a name for text, or a naive time.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    value: float | str | None = None
    at: datetime = field(kw_only=True)

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"signal {self.name}: {self.at!r} has no time zone; times are UTC")
        if self.value is not None and isinstance(self.value, str) != carries_text(self.name):
            raise ValueError(
                f"signal {self.name} has the value {self.value!r}: names ending in {STATE_SUFFIX} carry text, "
                "all others numbers"
            )
        object.__setattr__(self, "labels", {_storable(key): _storable(text) for key, text in self.labels.items()})
        object.__setattr__(self, "value", _known(self.value))


SignalSource = Callable[[datetime], Sequence[Signal]]


def carries_text(name: str) -> bool:
    """Whether a signal of this name carries text (a state) rather than a number."""
    return name.endswith(STATE_SUFFIX)


def _known(value: float | str | None) -> float | str | None:
    if value is None:
        return None
    if isinstance(value, str):
        return _storable(value)
    number = float(value)
    return number if math.isfinite(number) else None


def _storable(text: str) -> str:
    # Labels come from telemetry: neither NUL nor a lone surrogate can be stored as text in every database.
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
