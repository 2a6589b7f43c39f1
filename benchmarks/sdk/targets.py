"""What the SDK promises of its cost, and whether a run kept it.

Pure: takes what was measured, returns verdicts. Ratios are taken between ways of the same run, on processor time of the
calling thread: what the clock adds on a busy machine is somebody else's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.sdk.cost import Cost
from benchmarks.sdk.install import Installed
from benchmarks.sdk.startup import LOADED
from benchmarks.sdk.subjects import ITEMS

MOST_TIMES_PLAIN: Final = 1.2
MOST_US_PER_ITEM: Final = 0.3
MOST_US_DISABLED: Final = 0.5
MOST_MS_TO_START: Final = 60.0
MOST_BYTES_INSTALLED: Final = 15e6
MOST_PACKAGES_MORE: Final = 2


@dataclass(frozen=True)
class Verdict:
    """One promise: what it is of, what was measured, and the most that was promised; both in `unit`."""

    name: str
    measured: float
    most: float
    unit: str

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        return self.measured <= self.most


def of_costs(costs: Sequence[Cost]) -> list[Verdict]:
    """Return the verdicts on calls.

    A stream may cost 1.2 times the plain one and 0.3 us for each item; what it costs for each item is what it is above
    1.2 times the plain one, over the items.
    """
    cpu = {(cost.way, cost.shape): cost.cpu_us for cost in costs}
    stream = f"stream of {ITEMS}"
    verdicts = [
        Verdict(f"{shape} call", cpu["andon", shape] / cpu["plain", shape], MOST_TIMES_PLAIN, "x plain")
        for shape in ("sync", "async")
    ]
    per_item = (cpu["andon", stream] - MOST_TIMES_PLAIN * cpu["plain", stream]) / ITEMS
    verdicts.append(
        Verdict(f"stream, above {MOST_TIMES_PLAIN} x plain", max(0.0, per_item), MOST_US_PER_ITEM, "us per item")
    )
    verdicts.extend(
        Verdict(
            f"{shape}, disabled, above bare",
            cpu["disabled", shape] - cpu["bare", shape],
            MOST_US_DISABLED,
            "us per call",
        )
        for shape in ("sync", "async", stream)
    )
    return verdicts


def of_startup(milliseconds: Mapping[str, float]) -> list[Verdict]:
    """Return the verdict on `import andon` and `andon.init`."""
    above = milliseconds["andon"] - milliseconds[LOADED]
    return [Verdict("import and init, above the import of OpenTelemetry", above, MOST_MS_TO_START, "ms")]


def of_install(installed: Mapping[str, Installed]) -> list[Verdict]:
    """Return the verdicts on what `andon-sdk` brings along."""
    ours, plain = installed["andon"], installed["plain"]
    return [
        Verdict("installed size", ours.size_bytes / 1e6, MOST_BYTES_INSTALLED / 1e6, "MB"),
        Verdict("packages more than OpenTelemetry", len(ours.packages) - len(plain.packages), MOST_PACKAGES_MORE, ""),
    ]
