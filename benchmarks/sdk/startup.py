"""What importing and initialising costs, each time in a fresh interpreter."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from typing import Final

from benchmarks.sdk.crew import ROOT, Entry, Interpreters, clean_environment

LOADED: Final = "loaded"


def measure(ways: Sequence[Entry], interpreters: Interpreters, endpoint: str, rounds: int) -> dict[str, float]:
    """Return the median milliseconds that each way takes to start, in turns.

    Under `LOADED`: OpenTelemetry's SDK and OTLP/HTTP exporter imported, and nothing set up.

    Raises:
        RuntimeError: a way did not start.
    """
    plain = next(entry for entry in ways if entry.name == "plain")
    programs = {LOADED: (plain, "load"), **{entry.name: (entry, "start") for entry in ways if entry.records}}
    samples: dict[str, list[float]] = {name: [] for name in programs}
    for turn in range(rounds + 1):
        for name, (entry, function) in programs.items():
            milliseconds = _milliseconds(entry, function, interpreters.of(entry), endpoint)
            if turn:  # the first one compiles the byte code
                samples[name].append(milliseconds)
    return {name: statistics.median(values) for name, values in samples.items()}


def _milliseconds(entry: Entry, function: str, interpreter: str, endpoint: str) -> float:
    program = (
        f"import sys; sys.path.append({str(ROOT)!r}); import benchmarks.sdk.ways.{entry.module} as way\n"
        f"import os, time; began = time.perf_counter(); way.{function}()\n"
        "took = time.perf_counter() - began; print(); print(took * 1e3, flush=True); os._exit(0)"
    )
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [interpreter, "-c", program],
            env=clean_environment(entry, endpoint),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    if done.returncode:
        raise RuntimeError(f"{entry.title} did not start:\n{done.stderr[-2000:]}")
    return float(done.stdout.splitlines()[-1])
