"""What `andon.observe` costs: `python -m benchmarks.sdk.observe`.

A batch of 10 000 rows x 25 columns in every container: the caller's thread, the background thread and the wire beside
the form of one log record a row, measured in the same run; and the memory of a queue that is full.
"""

from __future__ import annotations

import argparse
import gzip
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import andon
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from andon import unstable
from andon.attributes import OBSERVATION_EVENT, OBSERVATIONS_EVENT
from andon.notices import losses
from andon.observations import Observation, attribute_value
from andon.outbox import Outbox
from andon.packing import packed_attributes
from andon.runtime import State, runtime
from andon.sampling import RowBudget
from andon.settings import QueueLimits
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from benchmarks.sdk.queue_memory import FILLS
from benchmarks.sdk.results import machine

ROWS = 10_000
NUMBERS = 20
TEXTS = 5
RESOURCE = Resource.create({"service.name": "benchmark"})
SCOPE = InstrumentationScope("andon", "0")


class Kept:
    """A sender that keeps what it is given until it is asked."""

    def __init__(self) -> None:
        self.items: list[Observation] = []

    def send(self, items: list[Observation], /) -> str | None:
        self.items += items
        return None

    def close(self) -> None:
        return


@dataclass(frozen=True)
class Cost:
    """Milliseconds for one batch."""

    wall: float
    cpu: float


def containers(rows: int) -> dict[str, Any]:
    """The same batch in every container, and columns of one kind only."""
    rng = np.random.default_rng(7)
    numbers = {f"n{i}": rng.standard_normal(rows) for i in range(NUMBERS)}
    texts = {f"t{i}": rng.choice(["SE", "DE", "FR", "a longer text"], rows).astype(object) for i in range(TEXTS)}
    listed = {name: column.tolist() for name, column in (numbers | texts).items()}
    choice = random.Random(7)
    mixed = {name: [choice.choice([1, 2.5, None, "x", True]) for _ in range(rows)] for name in listed}
    return {
        "lists of floats": {f"n{i}": listed[f"n{i % NUMBERS}"] for i in range(NUMBERS + TEXTS)},
        "lists": listed,
        "lists, mixed types": mixed,
        "numpy, float64 only": {f"n{i}": numbers[f"n{i % NUMBERS}"] for i in range(NUMBERS + TEXTS)},
        "numpy": numbers | texts,
        "pandas DataFrame": pd.DataFrame(listed),
        "Arrow Table": pa.table(listed),
        "polars DataFrame": pl.DataFrame(listed),
    }


def observe(features: Any) -> None:
    """The call that is measured."""
    andon.observe(model="m", features=features, segment={"region": "north"})


def caller(batches: dict[str, Any], kept: Kept, outbox: Outbox[Observation], rounds: int) -> dict[str, Cost]:
    """Median cost on the calling thread, in turns."""
    samples: dict[str, list[Cost]] = {name: [] for name in batches}
    for turn in range(rounds + 1):
        for name, batch in batches.items():
            wall, cpu = time.perf_counter(), time.thread_time()
            observe(batch)
            if turn:  # the first round warms up
                samples[name].append(Cost(1e3 * (time.perf_counter() - wall), 1e3 * (time.thread_time() - cpu)))
            assert outbox.flush(60)
            kept.items.clear()
    return {
        name: Cost(statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs))
        for name, costs in samples.items()
    }


def packed_form(observations: list[Observation]) -> bytes:
    """What the background thread does now."""
    return _body([(OBSERVATIONS_EVENT, item, packed_attributes(item)) for item in observations])


def row_form(observations: list[Observation], features: dict[str, list[Any]]) -> bytes:
    """What it would do with a log record for each row."""
    names = [f"andon.observation.feature.{name}" for name in features]
    constants = observations[0].known_constants()
    records = []
    for values in zip(*features.values(), strict=True):
        row = dict(constants)
        for name, value in zip(names, values, strict=True):
            checked = attribute_value(name, value)
            if checked is not None:
                row[name] = checked
        records.append((OBSERVATION_EVENT, observations[0], row))
    return _body(records)


def _body(records: list[tuple[str, Observation, Any]]) -> bytes:
    encoded: bytes = encode_logs(
        [
            unstable.log_record(
                attributes,
                event_name=event,
                timestamp_ns=item.timestamp_ns,
                span_context=item.span_context,
                resource=RESOURCE,
                scope=SCOPE,
            )
            for event, item, attributes in records
        ]
    ).SerializeToString()
    return encoded


def background(make: Callable[[], bytes], rounds: int) -> tuple[float, bytes]:
    """Median CPU milliseconds of making a body, and the body."""
    samples = []
    body = b""
    for _ in range(rounds):
        cpu = time.thread_time()
        body = make()
        samples.append(1e3 * (time.thread_time() - cpu))
    return statistics.median(samples), body


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sdk.observe", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of a few seconds; figures mean little")
    quick = parser.parse_args().quick
    rows, rounds = (1000, 2) if quick else (ROWS, 25)

    kept = Kept()
    limits = QueueLimits(max_items=10 * ROWS, max_batch=10 * ROWS, delay_seconds=3600)
    outbox: Outbox[Observation] = Outbox(
        "observations", limits, lambda: kept, losses, lambda item: item.count, lambda item: item.size_bytes
    )
    runtime.observations, runtime.row_budget, runtime.state = outbox, RowBudget(0), State.RUNNING
    batches = containers(rows)

    print(machine())
    print(f"\nmilliseconds on the caller's thread for {rows} rows x {NUMBERS + TEXTS} columns (median of {rounds})")
    print(f"{'container':<24}{'wall':>9}{'CPU':>9}")
    for name, cost in caller(batches, kept, outbox, rounds).items():
        print(f"{name:<24}{cost.wall:9.2f}{cost.cpu:9.2f}")

    print(f"\nbackground: CPU milliseconds for {rows} rows, and bytes a row on the wire")
    print(f"{'container':<24}{'form':<12}{'CPU':>9}{'bytes':>9}{'gzip':>9}")
    for name in ("lists", "lists, mixed types"):
        kept.items.clear()
        observe(batches[name])
        assert outbox.flush(60)
        observed, features = list(kept.items), batches[name]
        for form, make in (
            ("rows", lambda o=observed, f=features: row_form(o, f)),
            ("packed", lambda o=observed: packed_form(o)),
        ):
            cpu, body = background(make, 1 if quick else 5)
            sizes = len(body) / rows, len(gzip.compress(body, 6)) / rows
            print(f"{name:<24}{form:<12}{cpu:9.1f}{sizes[0]:9.1f}{sizes[1]:9.1f}")

    print("\nmemory of a full queue, in a fresh interpreter: MiB that it counts, tracemalloc's peak, and growth of RSS")
    print(f"{'filled with':<40}{'rows':>8}{'counted':>9}{'traced':>9}{'RSS':>9}")
    for fill in FILLS:
        found = [_child(fill, trace) for trace in ("traced", "resident")]
        rows_held, counted = found[0][0], found[0][1]
        print(f"{fill:<40}{rows_held:>8.0f}{counted:9.1f}{found[0][2]:9.1f}{found[1][2]:9.1f}")


def _child(fill: str, trace: str) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.sdk.queue_memory", fill, trace]
    return [float(part) for part in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()]


if __name__ == "__main__":
    main()
