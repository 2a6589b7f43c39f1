"""The measured side: one process for each way, which times its calls when `crew.py` tells it to.

A process of its own, so that no way pays for another's background threads or garbage. Commands and answers are JSON
lines on standard input and output; whatever a library prints goes to standard error.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final

from benchmarks.sdk import stub
from benchmarks.sdk.subjects import Subject

WARM_UP_CALLS: Final = 100
_RANKS: Final = {"p50_us": 500, "p99_us": 990, "p999_us": 999}


class Worker:
    """Answers the commands of one way; each method is a command, its arguments are the command's."""

    def __init__(self, subject: Subject, received: stub.Received) -> None:
        self._subject = subject
        self._received = received
        self._begun = (0.0, 0.0, 0)
        self._flushing_seconds = 0.0

    def begin(self) -> dict[str, Any]:
        """Start to account for what happens beside the calls."""
        flush()
        gc.collect()
        self._flushing_seconds = 0.0
        self._begun = (time.process_time(), time.thread_time(), self._received.spans)
        return {}

    def cost(self, shape: str, calls: int) -> dict[str, Any]:
        """Time one round: microseconds of one call on this thread, by the clock and of processor time.

        The garbage collector is left alone: a way pays for its own garbage, in the round in which it is collected.
        """
        if shape == "async":
            wall, cpu = asyncio.run(_time_async(self._subject.acall, calls))
        else:
            wall, cpu = _time(self._subject.call if shape == "sync" else self._drain, calls)
        self._flush()
        return {"wall_us": wall / calls * 1e6, "cpu_us": cpu / calls * 1e6}

    def end(self) -> dict[str, Any]:
        """Return the processor seconds spent beside the calls since `begin`, and what was recorded."""
        self._flush()
        process, thread, spans = self._begun
        other_threads = (time.process_time() - process) - (time.thread_time() - thread)
        return {
            "background_seconds": max(0.0, other_threads) + self._flushing_seconds,
            "spans": self._received.spans - spans,
            "attributes": self._received.attributes,
        }

    def duration(self, shape: str) -> dict[str, Any]:
        """Make one call of `JOB_SECONDS`; return the longest duration recorded, in milliseconds, or None."""
        flush()
        self._received.longest_ms = None
        if shape == "async":
            asyncio.run(_awaited(self._subject.slow_acall))
        elif shape == "stream":
            for _ in self._subject.slow_stream():
                pass
        else:
            asyncio.run(_drained(self._subject))
        flush()
        return {"ms": self._received.longest_ms}

    def latency(self, calls: int, pause_seconds: float, settle_seconds: float) -> dict[str, Any]:
        """Time calls one by one, with a pause between them; return microseconds at p50, p99, p99.9 and the longest."""
        # The first batch opens the connection; that is a part of starting.
        self._call_and_settle(WARM_UP_CALLS, settle_seconds)
        call = self._subject.call
        samples = []
        for _ in range(calls):
            started = time.perf_counter()
            call()
            samples.append((time.perf_counter() - started) * 1e6)
            time.sleep(pause_seconds)
        samples.sort()
        per_mille = {name: samples[calls * rank // 1000] for name, rank in _RANKS.items()}
        return {**per_mille, "max_us": samples[-1]}

    def memory(self, calls: int, settle_seconds: float, trace: bool) -> dict[str, Any]:
        """Fill the queue; return how many more spans are alive then, and the bytes that they and their export take.

        Args:
            settle_seconds: how long the export thread may take to get stuck.
            trace: count the bytes that Python allocates (`tracemalloc`) instead of the growth of resident memory.
        """
        import tracemalloc

        self._call_and_settle(WARM_UP_CALLS, settle_seconds)
        if trace:
            tracemalloc.start()
        spans = _living_spans()
        before = tracemalloc.get_traced_memory()[0] if trace else _resident_bytes()
        self._call_and_settle(calls, settle_seconds)
        after = tracemalloc.get_traced_memory()[0] if trace else _resident_bytes()
        return {"bytes": after - before, "spans": _living_spans() - spans}

    def _flush(self) -> None:
        # On this thread, where a processor exports on the thread that flushes; and that is work of the background.
        began = time.thread_time()
        flush()
        self._flushing_seconds += time.thread_time() - began

    def _call_and_settle(self, calls: int, settle_seconds: float) -> None:
        call = self._subject.call
        for _ in range(calls):
            call()
        time.sleep(settle_seconds)
        gc.collect()

    def _drain(self) -> None:
        for _ in self._subject.stream():
            pass


def _time(call: Callable[[], object], calls: int) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.thread_time()
    for _ in range(calls):
        call()
    return time.perf_counter() - wall, time.thread_time() - cpu


async def _time_async(acall: Callable[[], Any], calls: int) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.thread_time()
    for _ in range(calls):
        await acall()
    return time.perf_counter() - wall, time.thread_time() - cpu


async def _awaited(acall: Callable[[], Any]) -> None:
    await acall()


async def _drained(subject: Subject) -> None:
    async for _ in subject.slow_astream():
        pass


def flush() -> None:
    """Have everything exported that waits, through OpenTelemetry's API; not part of a call."""
    if "opentelemetry" not in sys.modules:
        return
    from opentelemetry import metrics, trace

    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider(), _mlflow_provider()):
        force_flush = getattr(provider, "force_flush", None)
        if force_flush is not None:
            force_flush()


def _mlflow_provider() -> object:
    # The one peer that keeps its provider to itself.
    mlflow = sys.modules.get("mlflow.tracing.provider")
    return mlflow.provider.get() if mlflow is not None else None


def _resident_bytes() -> int:
    with open("/proc/self/statm") as statm:  # noqa: PTH123 - pathlib would be imported between two readings
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _living_spans() -> int:
    from opentelemetry.sdk.trace import ReadableSpan

    return sum(type(thing) is ReadableSpan for thing in gc.get_objects())


def main(file: str, stubbed: bool) -> None:
    """Start the way and answer commands until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    way = importlib.import_module(f"benchmarks.sdk.ways.{file}")
    way.start()
    worker = Worker(way.subject(), stub.install() if stubbed else stub.Received())
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        answer = getattr(worker, command.pop("command"))(**command)
        print(json.dumps(answer), file=answers, flush=True)
