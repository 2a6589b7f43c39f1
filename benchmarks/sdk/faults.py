"""What a collector that is away does to its host: the time that calls take, and the memory that waiting spans hold.

Real exporters against a real address on loopback: one that accepts, one where nobody listens, one that takes requests
and never answers, one that answers 503.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from benchmarks.sdk.crew import Entry, Interpreters, crew, nobody_listening, sink
from benchmarks.sdk.sink import Behaviour

NO_FAULT: Final = "accepts"
COLLECTORS: Final[dict[str, Callable[[], AbstractContextManager[str]]]] = {
    NO_FAULT: lambda: sink(Behaviour.ACCEPT),
    "is down": nobody_listening,
    "hangs": lambda: sink(Behaviour.HANG),
    "answers 503": lambda: sink(Behaviour.REFUSE),
}

PAUSE_SECONDS: Final = 0.0005
SETTLE_SECONDS: Final = 2.0  # twice the longest time that a span waits before it is sent
FILLING_CALLS: Final = 6000  # the queue takes 2048 spans and one export 512


@dataclass(frozen=True)
class Latency:
    """Microseconds that single calls took on the calling thread."""

    way: str
    collector: str
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float


def latencies(
    ways: Sequence[Entry], interpreters: Interpreters, calls: int, settle_seconds: float = SETTLE_SECONDS
) -> list[Latency]:
    """Return the latency of sync calls, made one after the other with pauses, under each collector."""
    found = []
    for name, collector in COLLECTORS.items():
        with collector() as endpoint:
            for entry in ways:  # one at a time: their pauses would be each other's busy moments
                with crew([entry], interpreters, endpoint, stubbed=False) as (worker,):
                    measured = worker.ask(
                        "latency", calls=calls, pause_seconds=PAUSE_SECONDS, settle_seconds=settle_seconds
                    )
                found.append(Latency(entry.name, name, **measured))
    return found


@dataclass(frozen=True)
class Memory:
    """What a full queue holds while the collector hangs.

    Attributes:
        spans: how many were waiting or in an export.
        allocated_bytes: what Python allocated for them and for their export.
        resident_bytes: by how much the process grew.
    """

    way: str
    spans: int
    allocated_bytes: int
    resident_bytes: int


def memory(ways: Sequence[Entry], interpreters: Interpreters, settle_seconds: float = SETTLE_SECONDS) -> list[Memory]:
    """Return what the full queue of each way holds; measured twice, since counting bytes takes memory itself."""
    found = []
    with sink(Behaviour.HANG) as endpoint:
        for entry in ways:
            answers = []
            for trace in (True, False):
                with crew([entry], interpreters, endpoint, stubbed=False) as (worker,):
                    answers.append(
                        worker.ask("memory", calls=FILLING_CALLS, settle_seconds=settle_seconds, trace=trace)
                    )
            found.append(Memory(entry.name, answers[0]["spans"], answers[0]["bytes"], answers[1]["bytes"]))
    return found
