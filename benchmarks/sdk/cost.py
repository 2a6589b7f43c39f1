"""What one call costs: medians of rounds that the ways take in turns, so that a busy moment falls on all of them alike.

Beside the calls, the processor time of everything else that a way does is counted, from the first round of a shape
to the moment when everything it queued has been exported.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.sdk.crew import Worker
from benchmarks.sdk.subjects import SHAPES, SLOW_SHAPES

# A round lasts about so long; a way that records makes no more calls in it than a default queue of 2048 spans takes.
ROUND_SECONDS: Final = 0.03
MOST_CALLS_RECORDING: Final = 1500
MOST_CALLS: Final = 50_000
FEWEST_CALLS: Final = 20


@dataclass(frozen=True)
class Cost:
    """One way's cost of one shape of call, in microseconds for each call.

    Attributes:
        wall_us: on the calling thread, by the clock.
        cpu_us: on the calling thread, processor time.
        background_us: processor time of all other threads, and of exporting what is left after a round.
        attributes: names of the attributes of a span that was recorded.
    """

    way: str
    shape: str
    wall_us: float
    cpu_us: float
    background_us: float
    attributes: tuple[str, ...]

    @property
    def process_us(self) -> float:
        """Processor time of the whole process."""
        return self.cpu_us + self.background_us


def measure(workers: Sequence[Worker], *, rounds: int, stubbed: bool) -> list[Cost]:
    """Return the cost of every shape for every way.

    Raises:
        RuntimeError: a way that should record made no span.
    """
    return [cost for shape in SHAPES for cost in _measure_shape(workers, shape, rounds, stubbed)]


def _measure_shape(workers: Sequence[Worker], shape: str, rounds: int, stubbed: bool) -> list[Cost]:
    calls = {worker: _calls_in_a_round(worker, shape) for worker in workers}
    samples: dict[Worker, list[dict[str, Any]]] = {worker: [] for worker in workers}
    for worker in workers:
        worker.ask("begin")
    for turn in range(rounds):
        first = turn % len(workers)
        for worker in (*workers[first:], *workers[:first]):
            samples[worker].append(worker.ask("cost", shape=shape, calls=calls[worker]))
    return [_cost(worker, shape, samples[worker], calls[worker], stubbed) for worker in workers]


def _calls_in_a_round(worker: Worker, shape: str) -> int:
    worker.ask("cost", shape=shape, calls=FEWEST_CALLS)
    wall_us: float = worker.ask("cost", shape=shape, calls=FEWEST_CALLS)["wall_us"]
    most = MOST_CALLS_RECORDING if worker.entry.records else MOST_CALLS
    return max(FEWEST_CALLS, min(most, round(ROUND_SECONDS * 1e6 / wall_us)))


def _cost(worker: Worker, shape: str, samples: list[dict[str, Any]], calls: int, stubbed: bool) -> Cost:
    ended = worker.ask("end")
    if stubbed and worker.entry.records and ended["spans"] < calls * len(samples):
        raise RuntimeError(
            f"{worker.entry.title} made {ended['spans']} spans of {calls * len(samples)} calls ({shape}); "
            "what is not recorded is not comparable"
        )
    return Cost(
        way=worker.entry.name,
        shape=shape,
        wall_us=statistics.median(sample["wall_us"] for sample in samples),
        cpu_us=statistics.median(sample["cpu_us"] for sample in samples),
        background_us=ended["background_seconds"] / (calls * len(samples)) * 1e6,
        attributes=tuple(ended["attributes"]) if worker.entry.records else (),
    )


def durations(workers: Sequence[Worker]) -> dict[str, dict[str, float | None]]:
    """Return what each recording way says a job of 20 ms lasted, in milliseconds, by shape; None: nothing recorded."""
    return {
        worker.entry.name: {shape: worker.ask("duration", shape=shape)["ms"] for shape in SLOW_SHAPES}
        for worker in workers
        if worker.entry.records
    }
