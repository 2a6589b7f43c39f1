"""Prints results as tables, and turns them into JSON."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.sdk.cost import Cost
from benchmarks.sdk.crew import Entry
from benchmarks.sdk.faults import NO_FAULT, Latency, Memory
from benchmarks.sdk.install import Installed
from benchmarks.sdk.startup import LOADED
from benchmarks.sdk.subjects import JOB_SECONDS, SLOW_SHAPES
from benchmarks.sdk.targets import Verdict


@dataclass
class Results:
    """Everything one run has measured; what it was not asked for is empty."""

    machine: str
    at: str
    options: str
    costs: list[Cost] = field(default_factory=list)
    durations_ms: dict[str, dict[str, float | None]] = field(default_factory=dict)
    startup_ms: dict[str, float] = field(default_factory=dict)
    installed: dict[str, Installed] = field(default_factory=dict)
    memory: list[Memory] = field(default_factory=list)
    latencies: list[Latency] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return what `--json` writes."""
        verdicts = [{**asdict(verdict), "kept": verdict.kept} for verdict in self.verdicts]
        costs = [{**asdict(cost), "process_us": cost.process_us} for cost in self.costs]
        return {**asdict(self), "costs": costs, "verdicts": verdicts}


def new_results(options: Sequence[str]) -> Results:
    """Return empty results with this machine and moment on them."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Results(machine=_machine(), at=now, options=" ".join(options))


def print_costs(costs: Sequence[Cost], titles: Mapping[str, str], end: str) -> None:
    """Print the cost of each call, with its ratio to plain OpenTelemetry on the calling thread's processor time."""
    print(f"\nmicroseconds per call, {end} (median of rounds in turns)")
    print("wall, CPU: on the calling thread; all CPU: of the whole process, until everything is exported")
    print(f"{'shape':<16}{'way':<28}{'wall':>10}{'CPU':>10}{'x plain':>9}{'all CPU':>10}{'attributes':>12}")
    plain = {cost.shape: cost.cpu_us for cost in costs if cost.way == "plain"}
    for cost in costs:
        ratio = "" if cost.way == "bare" else f"{cost.cpu_us / plain[cost.shape]:.2f}"
        attributes = len(cost.attributes) or ""
        print(
            f"{cost.shape:<16}{titles[cost.way]:<28}{cost.wall_us:10.2f}{cost.cpu_us:10.2f}{ratio:>9}"
            f"{cost.process_us:10.2f}{attributes:>12}"
        )


def print_durations(durations: Mapping[str, Mapping[str, float | None]], titles: Mapping[str, str]) -> None:
    """Print what each way recorded of a job whose length is known."""
    print(f"\nduration recorded of a job of {JOB_SECONDS * 1e3:.0f} ms, in milliseconds")
    print(f"{'way':<28}" + "".join(f"{shape:>14}" for shape in SLOW_SHAPES))
    for way, recorded in durations.items():
        cells = ("none" if (ms := recorded[shape]) is None else f"{ms:.1f}" for shape in SLOW_SHAPES)
        print(f"{titles[way]:<28}" + "".join(f"{cell:>14}" for cell in cells))


def print_startup(milliseconds: Mapping[str, float], titles: Mapping[str, str]) -> None:
    """Print the time that each way takes to start."""
    print("\nmilliseconds to import and initialise, in a fresh interpreter (median)")
    for way, taken in milliseconds.items():
        title = "OpenTelemetry SDK and OTLP/HTTP exporter, imported only" if way == LOADED else titles[way]
        print(f"{title:<58}{taken:9.1f}{taken - milliseconds[LOADED]:+9.1f}")


def print_installed(installed: Mapping[str, Installed], titles: Mapping[str, str]) -> None:
    """Print what each way brings along."""
    print("\ninstalled into an empty environment")
    print(f"{'way':<28}{'packages':>10}{'MB':>10}")
    for way, found in installed.items():
        print(f"{titles[way]:<28}{len(found.packages):10}{found.size_bytes / 1e6:10.1f}")


def print_memory(memory: Sequence[Memory], titles: Mapping[str, str]) -> None:
    """Print what a full queue holds."""
    print("\nmemory of a full queue while the collector hangs")
    print(f"{'way':<28}{'spans':>8}{'MB':>8}{'kB/span':>10}{'resident MB':>13}")
    for held in memory:
        per_span = held.allocated_bytes / held.spans / 1e3
        print(
            f"{titles[held.way]:<28}{held.spans:8}{held.allocated_bytes / 1e6:8.1f}{per_span:10.2f}"
            f"{held.resident_bytes / 1e6:13.1f}"
        )


def print_latencies(latencies: Sequence[Latency], titles: Mapping[str, str]) -> None:
    """Print what each fault does to single calls."""
    print("\nmicroseconds that a sync call took its caller, one call each 0.5 ms, while the collector ...")
    print(f"{'collector':<16}{'way':<28}{'p50':>9}{'p99':>9}{'longest':>10}{'p99 x no fault':>16}")
    calm = {latency.way: latency.p99_us for latency in latencies if latency.collector == NO_FAULT}
    for latency in latencies:
        print(
            f"{latency.collector:<16}{titles[latency.way]:<28}{latency.p50_us:9.1f}{latency.p99_us:9.1f}"
            f"{latency.max_us:10.1f}{latency.p99_us / calm[latency.way]:16.2f}"
        )


def print_verdicts(verdicts: Sequence[Verdict]) -> None:
    """Print each promise with what was measured."""
    print(f"\n{'target':<58}{'measured':>10}{'at most':>10}")
    for verdict in verdicts:
        word = "PASS" if verdict.kept else "MISS"
        print(f"{verdict.name:<58}{verdict.measured:10.2f}{verdict.most:10.2f}  {verdict.unit:<12} {word}")


def print_how(ways: Sequence[Entry]) -> None:
    """Print how each way was set up."""
    print("\nhow each way was set up")
    for entry in ways:
        if entry.how:
            print(f"{entry.title:<28}{entry.how}")


def _machine() -> str:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    load = os.getloadavg()[0]
    return (
        f"{cpu}, {os.cpu_count()} cores (load {load:.1f}), {platform.system()}, Python {platform.python_version()}, "
        f"opentelemetry-sdk {version('opentelemetry-sdk')}"
    )
