"""`python -m benchmarks.restart`: a journal of 1 GB, as an outage leaves it, and a server that starts on it.

Prints seconds until it answers and takes an export, spans and CPU seconds of the drain, and peak resident memory. The
spans are those of `benchmarks.ingest`; the journal is filled by the collector's own decoder and journal.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.ingest.__main__ import cpu_model, cpu_seconds, folder_bytes, stored_rows, wait_for
from benchmarks.ingest.load import LOADS, SPANS_PER_REQUEST, Load
from collector.decode import decode_traces
from collector.frames import Mark
from collector.journal import Journal
from collector.seen import request_digest
from settings import CollectorSettings

TARGET_SECONDS = 5.0
TARGET_SPANS_PER_SECOND = 50_000


@dataclass(frozen=True)
class Result:
    """Seconds from the start of the process, spans, CPU seconds and bytes."""

    answers_seconds: float
    takes_seconds: float
    drain_seconds: float
    spans: int
    cpu_seconds: float
    peak_bytes: int


def peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def fill(data: Path, size: int, load: Load) -> int:
    """Write at least `size` bytes of spans to the journal of a server that does not run; how many spans."""
    limits = CollectorSettings()
    decoded = [decode_traces(body, time.time_ns()).rows for body in (load.body(seed) for seed in range(200))]
    journal = Journal(
        data / "journal" / load.table,
        decoded[0].schema,
        seal_seconds=limits.seal_seconds,
        seal_bytes=limits.seal_bytes,
        max_bytes=2 * size,
    )
    spans = 0
    while journal.state().bytes < size:
        # Repeated spans cost the store what others cost: it looks at segments, not at spans.
        number = spans // SPANS_PER_REQUEST
        mark = Mark(request_digest(load.path, "bench", str(number).encode()), time.time_ns())
        journal.append(decoded[number % len(decoded)], [mark]).result()
        spans += SPANS_PER_REQUEST
    journal.close()
    return spans


def restart(data: Path, spans: int, load: Load) -> Result:
    """Start a server on `data` and watch it until the journal is in the store."""
    ports = ("--port", "0", "--otlp-port", "0", "--otlp-grpc-port", "0")
    command = [sys.executable, "-m", "cli.main", "serve", "--data-dir", str(data), *ports]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        announced = wait_for(data / "server.json")
        answers = time.perf_counter() - began
        headers = {"content-type": "application/x-protobuf"}
        answer = httpx.post(
            f"{announced['otlp_url']}{load.path}", content=load.body(10**6), headers=headers, timeout=60
        )
        assert answer.status_code == 200, answer.status_code
        takes = time.perf_counter() - began
        while stored_rows(announced["url"], load.table) < spans:
            time.sleep(0.1)
        drained = time.perf_counter() - began
        return Result(answers, takes, drained, spans, cpu_seconds(process.pid), peak_bytes(process.pid))
    finally:
        process.terminate()
        process.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the journal [1000]")
    parser.add_argument("--quick", action="store_true", help="a journal of 64 MB")
    given = parser.parse_args()
    load = LOADS["traces"]
    with tempfile.TemporaryDirectory(prefix="andon-bench-") as folder:
        data = Path(folder) / "data"
        spans = fill(data, (64 if given.quick else given.megabytes) * 10**6, load)
        held = folder_bytes(data / "journal")
        print(f"machine: {cpu_model()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        print(f"journal: {held / 1e6:,.0f} MB, {spans:,} spans of {load.described.split(' of ', 1)[-1]}")
        result = restart(data, spans, load)
    rate = result.spans / result.drain_seconds
    print(f"answers after            {result.answers_seconds:>10.1f} s")
    print(f"takes exports after      {result.takes_seconds:>10.1f} s {verdict(result.takes_seconds <= TARGET_SECONDS)}")
    print(f"drained after            {result.drain_seconds:>10.1f} s, the start included")
    print(f"drained at               {rate:>10,.0f} spans/s {verdict(rate >= TARGET_SPANS_PER_SECOND)}")
    cpu = result.cpu_seconds / result.spans * 1e5
    print(f"server CPU               {cpu:>10.2f} s per 100k spans, the start included")
    print(f"peak resident memory     {result.peak_bytes / 2**20:>10.0f} MiB")


def verdict(met: bool) -> str:
    return "(target met)" if met else "(target missed)"


if __name__ == "__main__":
    main()
