"""`python -m benchmarks.idle`: what `andon serve` costs while nothing is sent to it and nobody looks.

Processor time of the whole process over a minute, some while after the start, and which of its threads took it.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.promises import Promise, print_promises
from benchmarks.server import machine, serving

MOST_SECONDS_PER_MINUTE = 0.6  # one per cent of a core
_SETTLE_SECONDS = 20.0
_SHOWN = 8


def main() -> int:
    """Measure and print; returns 0, or 1 when the target was missed, which a quick run is forgiven."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long to look [120]")
    parser.add_argument("--quick", action="store_true", help="ten seconds, after two")
    given = parser.parse_args()
    settle, seconds = (2.0, 10.0) if given.quick else (_SETTLE_SECONDS, given.seconds)
    print(f"machine: {machine()}")
    with tempfile.TemporaryDirectory(prefix="andon-bench-") as folder, serving(Path(folder) / "data") as server:
        started = server.cpu_seconds()
        time.sleep(settle)
        before, threads, began = server.cpu_seconds(), thread_ticks(server.process.pid), time.perf_counter()
        time.sleep(seconds)
        spent = server.cpu_seconds() - before
        took = time.perf_counter() - began
        after = thread_ticks(server.process.pid)
        resident = server.resident_bytes()
    per_minute = spent * 60 / took
    print(f"start                    {started:>10.2f} CPU-s until it answers")
    print(f"resident memory          {resident / 2**20:>10.0f} MiB")
    print(f"idle                     {per_minute:>10.2f} CPU-s per minute, {per_minute / 0.6:.1f} % of a core")
    by_thread = Counter({name: ticks - threads[name] for name, ticks in after.items()})
    for name, ticks in by_thread.most_common(_SHOWN):
        if ticks:
            print(f"  {name:<22} {ticks / os.sysconf('SC_CLK_TCK') * 60 / took:>10.2f}")
    met = print_promises([Promise("idle", per_minute, MOST_SECONDS_PER_MINUTE, "CPU-s per minute")])
    return 0 if met or given.quick else 1


def thread_ticks(pid: int) -> Counter[str]:
    """Processor time of the threads of a process by their name, in ticks; of those that still run."""
    found: Counter[str] = Counter()
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            head, fields = (task / "stat").read_text().rsplit(")", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue
        numbers = fields.split()
        found[head.split("(", 1)[1]] += int(numbers[11]) + int(numbers[12])
    return found


if __name__ == "__main__":
    sys.exit(main())
