"""Seconds of the hybrid cost calculator: 720 different hours, every input uncertain, all options. Target: below 1 s.

    python -m benchmarks.economics tco

Wall time and CPU time of the whole answer and of its draws alone, best and median of some runs; the machine is named.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from economics.tco.ask import answer_written
from economics.tco.demand import written_demand
from economics.tco.facts import fact_book
from economics.tco.hybrid import base_load
from economics.tco.load import example, parse_scenario
from economics.tco.scenario import Level, Scenario
from economics.tco.simulate import simulate
from economics.tco.terms import resolve

TARGET_SECONDS = 1.0
HOURS = 720
RUNS = 7


def month_of_hours() -> tuple[Level, ...]:
    """Days and nights, no two hours alike."""
    random = np.random.default_rng(1)
    levels = []
    for hour in range(HOURS):
        daily = 1 + np.sin(2 * np.pi * (hour % 24) / 24)
        output = int(1_000_000 + 15_000_000 * daily * random.uniform(0.7, 1.3))
        levels.append(
            Level(
                hours=1, output_tokens=output, input_tokens=3 * output, cached_input_tokens=output, calls=output // 500
            )
        )
    return tuple(levels)


def scenario(draws: int, growing: bool) -> Scenario:
    """The documented example on a month of hours; `growing`: no two of its years are alike."""
    found = parse_scenario(example())
    changes = {"levels": month_of_hours(), "growth_per_year": "0.2" if growing else 0}
    demand = found.demand.model_validate({**found.demand.model_dump(), **changes})
    simulation = found.simulation.model_copy(update={"draws": draws})
    return found.model_copy(update={"demand": demand, "simulation": simulation})


def measured(run: Callable[[], object]) -> tuple[float, float, float]:
    """Best and median wall seconds, and best CPU seconds, after one run that warms up."""
    run()
    wall, cpu = [], []
    for _ in range(RUNS):
        began, worked = time.perf_counter(), time.process_time()
        run()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - worked)
    return min(wall), statistics.median(wall), min(cpu)


def main(arguments: list[str]) -> None:
    """Print one line for each case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.economics tco", description=__doc__)
    parser.add_argument("--draws", type=int, default=10_000, help="draws (10 000)")
    draws = parser.parse_args(arguments).draws
    now = datetime.now(UTC)
    cores = len(os.sched_getaffinity(0))
    print(f"{platform.machine()}, {cores} cores, Python {platform.python_version()}, numpy {np.__version__}")
    print(f"load {os.getloadavg()[0]:.1f}; {HOURS} hours, {draws} draws, 3 alternatives; best of {RUNS} runs")
    slowest = 0.0
    for growing in (False, True):
        asked = scenario(draws, growing)
        case = resolve(asked, written_demand(asked.demand.levels, ""), fact_book(), now)
        base = base_load(case)
        kind = "4 different years" if growing else "4 equal years"
        runs: tuple[tuple[str, Callable[[], object]], ...] = (
            ("draws and tornado", lambda case=case, base=base: simulate(case, ("rented", "owned", "hybrid"), base)),
            ("the whole answer", lambda asked=asked: answer_written(asked, now)),
        )
        for name, run in runs:
            best, median, cpu = measured(run)
            print(f"{kind:18} {name:18} {best:.3f} s wall (median {median:.3f}), {cpu:.3f} s CPU")
            slowest = max(slowest, best) if name == "draws and tornado" else slowest
    verdict = "below" if slowest < TARGET_SECONDS else "NOT below"
    print(f"{draws} draws: {slowest:.3f} s at worst, {verdict} the target of {TARGET_SECONDS:g} s")


if __name__ == "__main__":
    main([])
