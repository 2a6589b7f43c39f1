"""What was measured as lines: figures, peers beside them, and each target with whether it was met."""

from __future__ import annotations

import statistics
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.ingest.burst import Burst
from benchmarks.ingest.load import Load
from benchmarks.ingest.paced import PacedRun
from benchmarks.promises import Promise
from benchmarks.tables import Table

PEERS: Final = Path(__file__).parent.parent / "peers.toml"

FULL_RATE: Final = 50_000
HALF_RATE: Final = FULL_RATE // 2
SLOW_RATE: Final = 1_000
LEAST_POINTS_PER_SECOND: Final = 200_000
MOST_CPU_SECONDS: Final = 2.5
MOST_BYTES: Final = 120
MOST_RESIDENT_GB: Final = 1.2
MOST_VISIBLE_SECONDS: Final = 5
MOST_P99_MS: Final = {HALF_RATE: 250, SLOW_RATE: 40}


def print_bursts(bursts: Sequence[Burst], load: Load, floor: float) -> None:
    """Print the medians of rounds.

    Args:
        floor: CPU seconds per 100 000 items of the official parser alone.
    """

    def median(name: str) -> float:
        return statistics.median(getattr(burst, name) for burst in bursts)

    items, noun, cpu = bursts[0].items, load.noun, _cpu(bursts)
    print(f"acknowledged (durable)   {items / median('acknowledged_seconds'):>10,.0f} {noun}s/s")
    print(f"in the store             {items / median('queryable_seconds'):>10,.0f} {noun}s/s")
    print(f"server CPU               {cpu:>10.2f} s per 100k {noun}s")
    print(f"  official parser alone  {floor:>10.2f} s per 100k {noun}s, nothing stored: ratio {cpu / floor:.1f}")
    print(f"disk                     {median('disk_bytes_per_item'):>10.0f} bytes per {noun}, its table")
    print(f"resident memory          {median('peak_bytes') / 2**20:>10.0f} MiB at most")
    print(f"acknowledgement          {median('p50_ms'):>10.1f} ms p50, {median('p99_ms'):.1f} ms p99 under full load")
    print(f"medians of {len(bursts)} round(s) of {items:,} {noun}s")


def print_paces(run: PacedRun) -> None:
    """Print what came of each pace."""
    rows = []
    for kept in run.paces:
        visible = max(kept.visible_seconds)
        rows.append(
            (
                f"{kept.pace.per_second:,} spans/s",
                f"{kept.pace.seconds:.0f}",
                f"{kept.items / kept.seconds:,.0f}",
                f"{kept.items / kept.stored_seconds:,.0f}",
                f"{kept.cpu_seconds / kept.items * 1e5:.2f}",
                f"{kept.peak_bytes / 1e9:.2f}",
                f"{kept.p50_ms:.1f}",
                f"{kept.p99_ms:.1f}",
                f"{visible:.1f}",
                str(kept.retries),
            )
        )
    columns = (
        "pace",
        "s",
        "acked/s",
        "stored/s",
        "CPU-s/100k",
        "peak GB",
        "p50 ms",
        "p99 ms",
        "seen after s",
        "retries",
    )
    note = (
        "Latency: from when a request was due. Seen: the slowest probe, from its acknowledgement until the API told it."
    )
    print(Table("One server, paces one after the other", columns, tuple(rows), note).as_text())
    whole = run.folder_bytes / 2**20
    print(f"disk                     {run.disk_bytes_per_item:>10.0f} bytes per span, its table")
    print(f"                         {whole:>10,.0f} MiB, the data directory with logs and parts that are merged away")


def print_peers(load: Load) -> None:
    """Print what others do with the same load, see `benchmarks/peers.toml`."""
    told = tomllib.loads(PEERS.read_text())["system" if load.noun == "span" else "metrics_system"]
    fields = ("committed_per_second", "cpu_seconds_per_100k", "bytes_per_span", "resident_gb")
    rows = [
        (one["name"], *(_range(one.get(name)) for name in fields), one.get("lost", ""), one.get("note", ""))
        for one in told
    ]
    columns = ("peer", "stored/s", "CPU-s/100k", "bytes", "GB", "acknowledged, then lost", "")
    kind = "the same spans" if load.noun == "span" else "metric samples"
    print(Table(f"Peers on {kind}, on a machine of this kind (benchmarks/peers.toml)", columns, tuple(rows)).as_text())


def promises(load: Load, bursts: Sequence[Burst], run: PacedRun | None) -> list[Promise]:
    """Every target that this run has a figure for; sustained figures go before those of bursts."""
    if load.noun != "span":
        rate = bursts[0].items / statistics.median(burst.queryable_seconds for burst in bursts)
        return [Promise("points in the store", rate, LEAST_POINTS_PER_SECOND, "points/s", at_least=True)]
    full = next((kept for kept in run.paces if kept.pace.per_second >= FULL_RATE), None) if run else None
    found = []
    if full is not None and run is not None:
        length = f"{full.pace.seconds / 60:.3g} min"
        found = [
            Promise(f"spans acknowledged, {length}", full.items / full.seconds, FULL_RATE, "spans/s", at_least=True),
            Promise(f"server CPU, {length}", full.cpu_seconds / full.items * 1e5, MOST_CPU_SECONDS, "s per 100k spans"),
            Promise(f"disk, {length}", run.disk_bytes_per_item, MOST_BYTES, "bytes per span"),
            Promise(f"resident memory, {length}", full.peak_bytes / 1e9, MOST_RESIDENT_GB, "GB"),
            Promise("visible in the API at that rate, slowest", max(full.visible_seconds), MOST_VISIBLE_SECONDS, "s"),
        ]
    elif bursts:
        rate = bursts[0].items / statistics.median(burst.queryable_seconds for burst in bursts)
        disk = statistics.median(burst.disk_bytes_per_item for burst in bursts)
        peak = statistics.median(burst.peak_bytes for burst in bursts)
        found = [
            Promise("spans in the store, a burst", rate, FULL_RATE, "spans/s", at_least=True),
            Promise("server CPU, a burst", _cpu(bursts), MOST_CPU_SECONDS, "s per 100k spans"),
            Promise("disk, a burst", disk, MOST_BYTES, "bytes per span"),
            Promise("resident memory, a burst", peak / 1e9, MOST_RESIDENT_GB, "GB"),
        ]
    for kept in run.paces if run else ():
        most = MOST_P99_MS.get(kept.pace.per_second)
        if most is not None:
            found.append(Promise(f"p99 of acks at {kept.pace.per_second:,} spans/s", kept.p99_ms, most, "ms"))
    return found


def _cpu(bursts: Sequence[Burst]) -> float:
    return statistics.median(burst.server_cpu_seconds / burst.items * 1e5 for burst in bursts)


def _range(told: Any) -> str:
    if told is None:
        return "-"
    least, most = (f"{each:,.0f}" if each >= 100 else f"{each:g}" for each in told)
    return least if least == most else f"{least} to {most}"
