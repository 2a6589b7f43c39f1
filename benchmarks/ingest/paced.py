"""Spans at a pace, for as long as asked for: whether the server keeps up, what it needs, how soon it acknowledges.

One server takes one pace after the other. While it does, a prober looks how soon an acknowledged span can be seen in
the API.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from time import perf_counter

from benchmarks.ingest.load import Load
from benchmarks.ingest.sending import send, send_paced
from benchmarks.ingest.visible import Prober
from benchmarks.server import Server, folder_bytes, serving

_WARM_UP = 10**9
_SLOWEST_PROBE_SECONDS = 60.0
_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class Pace:
    """Spans a second, for how many seconds, from how many connections."""

    per_second: int
    seconds: float
    senders: int


@dataclass(frozen=True)
class Kept:
    """What came of a pace.

    Attributes:
        seconds: from the first request to the last acknowledgement.
        stored_seconds: from the first request until all of it was in the store.
        cpu_seconds: of the server until then.
        visible_seconds: of each probe, from its acknowledgement until the API showed it.
        retries: requests that the server asked to be sent again.
    """

    pace: Pace
    items: int
    seconds: float
    stored_seconds: float
    cpu_seconds: float
    peak_bytes: int
    p50_ms: float
    p99_ms: float
    visible_seconds: tuple[float, ...]
    retries: int


@dataclass(frozen=True)
class PacedRun:
    """Every pace of one server; what a span takes in its table, and everything together on disk at the end."""

    paces: tuple[Kept, ...]
    disk_bytes_per_item: float
    folder_bytes: int


def run_paces(load: Load, transport: str, paces: Sequence[Pace]) -> PacedRun:
    """One server, one pace after the other."""
    with TemporaryDirectory(prefix="andon-bench-") as folder:
        data = Path(folder) / "data"
        with serving(data) as server:
            prober = Prober(server)
            send(server.addresses, load, transport, [load.body(_WARM_UP)], 1)
            sent, kept = load.items, []
            for pace in paces:
                kept.append(_keep(server, prober, load, transport, pace, sent))
                sent += kept[-1].items
            disk = server.table_bytes(load.table) / sent
        return PacedRun(tuple(kept), disk, folder_bytes(data))


def _keep(server: Server, prober: Prober, load: Load, transport: str, pace: Pace, sent_before: int) -> Kept:
    first = sent_before // load.items
    seeds = range(first, first + math.ceil(pace.per_second * pace.seconds / load.items))
    cpu, began, probes = server.cpu_seconds(), perf_counter(), prober.stored
    with _probing(prober) as visible:
        sent = send_paced(server.addresses, load, transport, seeds, pace.per_second / load.items, pace.senders)
    items = len(seeds) * load.items
    server.wait_for_rows(load.table, sent_before + items + prober.stored)
    stored = perf_counter() - began
    assert prober.stored > probes, "no probe was sent"
    return Kept(
        pace=pace,
        items=items,
        seconds=sent.seconds,
        stored_seconds=stored,
        cpu_seconds=server.cpu_seconds() - cpu,
        peak_bytes=server.peak_bytes(),
        p50_ms=sent.quantile_ms(0.5),
        p99_ms=sent.quantile_ms(0.99),
        visible_seconds=tuple(visible),
        retries=sent.retries,
    )


@contextmanager
def _probing(prober: Prober) -> Iterator[list[float]]:
    """Probe again and again while the block runs; the last probe is seen to its end."""
    found: list[float] = []
    done = Event()

    def probe() -> None:
        while not done.is_set():
            found.append(prober.seconds(_SLOWEST_PROBE_SECONDS))
            done.wait(_PAUSE_SECONDS)

    thread = Thread(target=probe, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()
