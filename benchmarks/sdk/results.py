"""Everything that one run has measured, with the machine and the moment; what `--json` writes."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.sdk.cost import Cost
from benchmarks.sdk.faults import Latency, Memory
from benchmarks.sdk.install import Installed
from benchmarks.sdk.targets import Verdict


@dataclass
class Results:
    """What a run was asked for; the rest stays empty."""

    machine: str
    at: str
    options: str
    stubbed: bool = True
    costs: list[Cost] = field(default_factory=list)
    durations_ms: dict[str, dict[str, float | None]] = field(default_factory=dict)
    startup_ms: dict[str, float] = field(default_factory=dict)
    installed: dict[str, Installed] = field(default_factory=dict)
    memory: list[Memory] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        verdicts = [{**asdict(verdict), "kept": verdict.kept} for verdict in self.verdicts]
        costs = [{**asdict(cost), "process_us": cost.process_us} for cost in self.costs]
        return {**asdict(self), "costs": costs, "verdicts": verdicts}


def new_results(options: Sequence[str]) -> Results:
    """Return empty results of this machine and moment."""
    return Results(machine=machine(), at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), options=" ".join(options))


def machine() -> str:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    return (
        f"{cpu}, {os.cpu_count()} cores (load {os.getloadavg()[0]:.1f}), {platform.system()}, "
        f"Python {platform.python_version()}, opentelemetry-sdk {version('opentelemetry-sdk')}"
    )
