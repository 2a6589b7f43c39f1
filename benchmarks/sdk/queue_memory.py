"""Fills the queue of observations while nothing can be sent, and prints what it holds and takes.

Run by `benchmarks.sdk.observe` in a fresh interpreter for each way to fill it: rows, MiB counted, MiB measured.
"""

from __future__ import annotations

import random
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import andon
import numpy as np
from andon.notices import losses
from andon.observations import Observation
from andon.outbox import Outbox
from andon.runtime import State, runtime
from andon.sampling import RowBudget
from andon.settings import OBSERVATION_QUEUE

MIB = 2**20
COLUMNS = 25

Fill = Callable[[], None]


class Stuck:
    """A sender that never gets through."""

    def __init__(self) -> None:
        self.taken = threading.Event()

    def send(self, items: list[Observation], /) -> str | None:
        self.taken.set()
        threading.Event().wait()
        return None

    def close(self) -> None:
        return


def _single_rows() -> Fill:
    def fill() -> None:
        for _ in range(25_000):
            features = {f"n{i}": random.random() for i in range(COLUMNS)}
            andon.observe(model="m", features=features, score=random.random())

    return fill


def _long_texts() -> Fill:
    def fill() -> None:
        for n in range(25_000):
            andon.observe(model="m", features={"text": f"{n:08d}" * 500})

    return fill


def _batches(of: Callable[[], Any], calls: int) -> Fill:
    features = {f"n{i}": of() for i in range(COLUMNS)}  # the host's own, made before anything is measured

    def fill() -> None:
        for _ in range(calls):
            andon.observe(model="m", features=features)

    return fill


def _numbers(rows: int) -> Any:
    return np.random.default_rng(1).standard_normal(rows)


def _mixed() -> list[object]:
    return [random.choice([random.random(), "some text", None, 7]) for _ in range(1000)]


FILLS: dict[str, Callable[[], Fill]] = {
    f"single rows of {COLUMNS} numbers": _single_rows,
    "single rows of 4 kB of text": _long_texts,
    f"batches of 1000 x {COLUMNS} numbers": lambda: _batches(lambda: _numbers(1000), 30),
    f"batches of 1000 x {COLUMNS} mixed lists": lambda: _batches(_mixed, 30),
    f"one batch of 400 000 x {COLUMNS} numbers": lambda: _batches(lambda: _numbers(400_000), 1),
}


def main() -> None:
    """Fill and print."""
    fill, trace = sys.argv[1:]
    stuck = Stuck()
    outbox: Outbox[Observation] = Outbox(
        "observations", OBSERVATION_QUEUE, lambda: stuck, losses, lambda item: item.count, lambda item: item.size_bytes
    )
    runtime.observations, runtime.row_budget, runtime.state = outbox, RowBudget(0), State.RUNNING
    andon.observe(features={"first": 1.0})
    outbox.flush(0.0)
    stuck.taken.wait(30)  # from now on everything stays in the queue
    observe_all = FILLS[fill]()
    before = _resident()
    if trace == "traced":
        tracemalloc.start()
    observe_all()
    measured = tracemalloc.get_traced_memory()[1] if trace == "traced" else _resident() - before
    held = list(outbox._items)
    rows = sum(item.count for item in held)
    print(rows, sum(item.size_bytes for item in held) / MIB, measured / MIB)


def _resident() -> int:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


if __name__ == "__main__":
    main()
