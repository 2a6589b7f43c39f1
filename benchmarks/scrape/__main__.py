"""`python -m benchmarks.scrape`: CPU milliseconds from the body of a target to its rows in the journal, on disk.

Everything is counted, threads included: reading, rows, journal. Prints the first scrape of a target, those that follow,
and those in which some series are new; and, in the same run, what `prometheus_client` takes to parse the same bytes,
without storing anything: `uv run --with prometheus-client python -m benchmarks.scrape`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from benchmarks.promises import Promise, print_promises
from benchmarks.scrape.bodies import BODIES
from benchmarks.server import cpu_model
from collector.columns import POINT_SCHEMA
from collector.journal import Journal
from collector.rows import stored_schema
from collector.scrape.answer import Format, Shown
from collector.scrape.target import Target
from settings import ScrapeTarget

TARGET_MS = 40.0
NEW_SERIES_STEP = 160  # of 3 000 series, about a twentieth is new


class Canned:
    """Answers that are there already."""

    def __init__(self) -> None:
        self.next = Shown(b"", Format.TEXT)

    async def get(self) -> Shown:
        return self.next

    async def close(self) -> None:
        pass


class Bench:
    """One target with its journal."""

    def __init__(self, journal: Journal) -> None:
        self._canned = Canned()
        self._target = Target(ScrapeTarget(name="bench", url="http://127.0.0.1/metrics"), self._canned, journal)

    def scrape(self, body: bytes, kind: Format) -> float:
        """CPU milliseconds of one scrape of `body`."""
        self._canned.next = Shown(body, kind)
        gc.collect()
        began = time.process_time()
        asyncio.run(self._target.scrape())
        took = (time.process_time() - began) * 1e3
        assert self._target.counts.last_error is None, self._target.counts.last_error
        assert not self._target.counts.refused, self._target.counts.refused
        return took

    @property
    def samples(self) -> int:
        return self._target.counts.last_samples or 0


def main() -> int:
    """Measure and print; returns 0, or 1 when a scrape takes more than the target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scrape", description=__doc__)
    parser.add_argument("--series", type=int, default=3000, help="samples of the target")
    parser.add_argument("--rounds", type=int, default=20, help="rounds; medians are printed")
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it runs")
    arguments = parser.parse_args()
    rounds = 3 if arguments.quick else arguments.rounds
    print(f"{os.cpu_count()} x {cpu_model()}, Python {platform.python_version()}, pyarrow {pa.__version__}")
    print(f"CPU ms from body to rows on disk, medians of {rounds}")
    print(f"{'target':<18} {'samples':>7} {'KiB':>5} {'first':>7} {'next':>7} {'5% new':>7} {'prometheus_client':>18}")
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, make) in enumerate(BODIES.items()):
            kind = Format.OPENMETRICS if "OpenMetrics" in name else Format.TEXT
            worst = max(worst, _report(name, make, kind, Path(folder) / str(number), arguments.series, rounds))
    promise = Promise(f"scrape of {arguments.series:,} series, the dearest", worst, TARGET_MS, "ms of CPU")
    return 0 if print_promises([promise]) or arguments.quick else 1


def _report(
    name: str, make: Callable[[int, int], bytes], kind: Format, folder: Path, series: int, rounds: int
) -> float:
    journal = Journal(folder, stored_schema(POINT_SCHEMA), seal_seconds=60, seal_bytes=2**30, max_bytes=2**32)
    Bench(journal).scrape(make(series, 0), kind)  # what is done once in a process
    first = statistics.median(Bench(journal).scrape(make(series, step), kind) for step in range(rounds))
    bench = Bench(journal)
    bench.scrape(make(series, 0), kind)
    steady = statistics.median(bench.scrape(make(series, step), kind) for step in range(1, rounds + 1))
    samples = bench.samples
    sizes = [series + NEW_SERIES_STEP * (step % 2) for step in range(rounds)]
    bench.scrape(make(series + NEW_SERIES_STEP, 0), kind)
    changing = statistics.median(bench.scrape(make(size, step), kind) for step, size in enumerate(sizes))
    journal.close()
    peer = _peer_ms(make(series, 1), kind, rounds)
    shown = "not installed" if peer is None else f"{peer:.1f} ({peer / steady:.1f} x)"
    kib = len(make(series, 1)) // 1024
    print(f"{name:<18} {samples:>7} {kib:>5} {first:>7.1f} {steady:>7.1f} {changing:>7.1f} {shown:>18}")
    return max(first, steady, changing)


def _peer_ms(body: bytes, kind: Format, rounds: int) -> float | None:
    """CPU milliseconds in which `prometheus_client` parses the same bytes; None where it is not installed."""
    try:
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
        from prometheus_client.parser import text_string_to_metric_families as text
    except ImportError:
        return None
    parse = openmetrics if kind is Format.OPENMETRICS else text
    took = []
    for _ in range(rounds):
        gc.collect()
        began = time.process_time()
        for _ in parse(body.decode()):
            pass
        took.append((time.process_time() - began) * 1e3)
    return statistics.median(took)


if __name__ == "__main__":
    sys.exit(main())
