"""A burst: requests as fast as the server acknowledges them, then the wait until everything is in the store."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ingest.load import Load
from benchmarks.ingest.sending import send
from benchmarks.server import serving

_WARM_UP = 10**6


@dataclass(frozen=True)
class Burst:
    """One round: seconds of wall and CPU, bytes, milliseconds."""

    items: int
    acknowledged_seconds: float
    queryable_seconds: float
    server_cpu_seconds: float
    peak_bytes: int
    disk_bytes_per_item: float
    p50_ms: float
    p99_ms: float


def run_burst(load: Load, transport: str, requests: int, senders: int) -> Burst:
    """One server of its own, one load."""
    with tempfile.TemporaryDirectory(prefix="andon-bench-") as folder, serving(Path(folder) / "data") as server:
        bodies = [load.body(seed) for seed in range(requests)]
        send(server.addresses, load, transport, [load.body(_WARM_UP)], 1)
        cpu, began = server.cpu_seconds(), time.perf_counter()
        sent = send(server.addresses, load, transport, bodies, senders)
        rows = (requests + 1) * load.items
        server.wait_for_rows(load.table, rows)
        queryable = time.perf_counter() - began
        spent, peak = server.cpu_seconds() - cpu, server.peak_bytes()
        disk = server.table_bytes(load.table) / rows
    return Burst(
        items=requests * load.items,
        acknowledged_seconds=sent.seconds,
        queryable_seconds=queryable,
        server_cpu_seconds=spent,
        peak_bytes=peak,
        disk_bytes_per_item=disk,
        p50_ms=sent.quantile_ms(0.5),
        p99_ms=sent.quantile_ms(0.99),
    )


def parse_floor(load: Load, requests: int) -> float:
    """CPU seconds per 100 000 items that the official C parser takes for the same bytes, storing nothing."""
    bodies = [load.body(seed) for seed in range(min(requests, 40))]
    began = time.process_time()
    for body in bodies:
        load.message.FromString(body)
    return (time.process_time() - began) / (len(bodies) * load.items) * 100_000
