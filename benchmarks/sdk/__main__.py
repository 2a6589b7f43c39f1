"""Prints the cost of a decorated call beside a plain OpenTelemetry span and a bare call, and the cost of starting."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import version
from pathlib import Path

from benchmarks.sdk import startup, timing
from benchmarks.sdk.subjects import ITEMS, Subject, Way, subjects

SHAPES = ("sync", "async", f"stream of {ITEMS}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sdk", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of a few seconds; figures mean little")
    quick = parser.parse_args().quick

    print(machine())
    costs = timing.measure(subjects(), rounds=3 if quick else 15, calls=200 if quick else 1500)
    print("\nmain-thread microseconds per call, exporter stubbed (median of rounds in turns)")
    print(f"{'shape':<16}{'way':<24}{'wall':>9}{'CPU':>9}{'x plain':>9}")
    for subject, cost in sorted(costs.items(), key=lambda pair: SHAPES.index(pair[0].shape)):
        plain = costs[_of(costs, subject.shape, Way.PLAIN)]
        ratio = "" if subject.way is Way.BARE else f"{cost.wall_us / plain.wall_us:9.2f}"
        print(f"{subject.shape:<16}{subject.way.value:<24}{cost.wall_us:9.2f}{cost.cpu_us:9.2f}{ratio}")

    print("\nmilliseconds to start, in a fresh interpreter (median)")
    for name, milliseconds in startup.measure(2 if quick else 9).items():
        print(f"{name:<56}{milliseconds:9.1f}")


def _of(costs: dict[Subject, timing.Cost], shape: str, way: Way) -> Subject:
    return next(subject for subject in costs if subject.shape == shape and subject.way is way)


def machine() -> str:
    """Processor, system and versions that the figures belong to."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        cpu = names[0] if names else cpu
    return (
        f"{cpu}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, "
        f"opentelemetry-sdk {version('opentelemetry-sdk')}"
    )


if __name__ == "__main__":
    main()
