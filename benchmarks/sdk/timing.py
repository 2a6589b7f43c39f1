"""Times subjects in turns, so that a busy moment of the machine falls on all of them alike."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.sdk.subjects import Subject


@dataclass(frozen=True)
class Cost:
    """Median microseconds of one call on the calling thread."""

    wall_us: float
    cpu_us: float


def measure(subjects: Sequence[Subject], *, rounds: int, calls: int) -> dict[Subject, Cost]:
    """Return the cost of each subject: the median over `rounds` of the mean over `calls`."""
    samples: dict[Subject, list[Cost]] = {subject: [] for subject in subjects}
    for turn in range(rounds + 1):
        for subject in subjects:
            cost = _one_round(subject, calls)
            if turn:  # the first round warms up
                samples[subject].append(cost)
    return {
        subject: Cost(
            statistics.median(cost.wall_us for cost in costs), statistics.median(cost.cpu_us for cost in costs)
        )
        for subject, costs in samples.items()
    }


def _one_round(subject: Subject, calls: int) -> Cost:
    gc.collect()
    if subject.acall is not None:
        return asyncio.run(_time_async(subject, calls))
    call = subject.call
    assert call is not None
    wall, cpu = time.perf_counter(), time.thread_time()
    for _ in range(calls):
        call()
    return _cost(wall, cpu, calls)


async def _time_async(subject: Subject, calls: int) -> Cost:
    acall = subject.acall
    assert acall is not None
    wall, cpu = time.perf_counter(), time.thread_time()
    for _ in range(calls):
        await acall()
    return _cost(wall, cpu, calls)


def _cost(wall: float, cpu: float, calls: int) -> Cost:
    return Cost((time.perf_counter() - wall) / calls * 1e6, (time.thread_time() - cpu) / calls * 1e6)
