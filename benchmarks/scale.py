"""What a rate of spans needs: cores, disks, dollars. Prints the tables of `docs/scale.md`, which a test compares.

    python -m benchmarks.scale

Two figures are measured (`benchmarks.ingest`); change them here when they change. The others are assumptions, named as
such in the page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# Measured: the whole server, receiving to folded, and the spans table on disk.
CPU_SECONDS_PER_100K_SPANS = 1.8
BYTES_PER_SPAN = 100

# Assumed: replace them by yours.
BUSY = 0.5  # share of a core that is planned to be busy; the rest is for peaks, merges and a lost node
REPLICAS = 2
DAYS = 30
DAYS_ON_DISK = 3  # the younger part of them; the rest is in object storage, once
DISK_FULL = 0.7
CORES_PER_COLLECTOR = 2
CORES_PER_NODE = 32
USD_PER_CORE_HOUR = 0.045
USD_PER_DISK_GB_MONTH = 0.08
USD_PER_OBJECT_GB_MONTH = 0.023
HOURS_PER_MONTH = 730
SEAL_SECONDS = 5
DEDUPLICATION_WINDOW = 10_000

RATES = (100_000, 1_000_000, 10_000_000)


@dataclass(frozen=True)
class Need:
    """What `spans_per_second` needs. Cores are planned, not busy, ones; bytes are on disk, all replicas together."""

    spans_per_second: int

    @property
    def cores(self) -> int:
        """For collecting, and once more for each replica that stores: the measured figure is of both together."""
        return math.ceil(self.spans_per_second / 100_000 * CPU_SECONDS_PER_100K_SPANS / BUSY)

    @property
    def collectors(self) -> int:
        return max(2, math.ceil(self.cores / CORES_PER_COLLECTOR))

    @property
    def shards(self) -> int:
        return math.ceil(self.cores / CORES_PER_NODE)

    @property
    def nodes(self) -> int:
        return self.shards * REPLICAS

    @property
    def bytes_per_day(self) -> int:
        return self.spans_per_second * 86400 * BYTES_PER_SPAN

    @property
    def disk_bytes(self) -> float:
        return self.bytes_per_day * DAYS_ON_DISK * REPLICAS / DISK_FULL

    @property
    def object_bytes(self) -> float:
        return self.bytes_per_day * (DAYS - DAYS_ON_DISK)

    @property
    def usd_per_month(self) -> float:
        machines = (self.collectors * CORES_PER_COLLECTOR + self.nodes * CORES_PER_NODE) * USD_PER_CORE_HOUR
        disks = self.disk_bytes / 1e9 * USD_PER_DISK_GB_MONTH + self.object_bytes / 1e9 * USD_PER_OBJECT_GB_MONTH
        return machines * HOURS_PER_MONTH + disks

    @property
    def usd_per_million_spans(self) -> float:
        return self.usd_per_month / (self.spans_per_second * 3600 * HOURS_PER_MONTH) * 1e6

    @property
    def blocks_per_second(self) -> float:
        """Blocks that each shard is given for one table."""
        return self.collectors / SEAL_SECONDS

    @property
    def window_seconds(self) -> float:
        """How long ago a block may have been written for its repetition to be noticed."""
        return DEDUPLICATION_WINDOW / self.blocks_per_second


def table() -> str:
    """The needs of `RATES` as Markdown."""
    needs = [Need(rate) for rate in RATES]
    lines: list[tuple[str, list[str]]] = [
        ("spans/s", [f"{need.spans_per_second:,}" for need in needs]),
        ("---", ["---:"] * len(needs)),
        (f"collectors ({CORES_PER_COLLECTOR} cores)", [f"{need.collectors:,}" for need in needs]),
        (
            f"ClickHouse nodes ({CORES_PER_NODE} cores)",
            [f"{need.nodes:,} = {need.shards:,} × {REPLICAS}" for need in needs],
        ),
        ("TB/day, one copy", [f"{need.bytes_per_day / 1e12:,.1f}" for need in needs]),
        (f"disk TB, {DAYS_ON_DISK} days", [f"{need.disk_bytes / 1e12:,.0f}" for need in needs]),
        (f"object storage TB, {DAYS - DAYS_ON_DISK} days", [f"{need.object_bytes / 1e12:,.0f}" for need in needs]),
        ("$ per month", [f"{need.usd_per_month:,.0f}" for need in needs]),
        ("$ per million spans", [f"{need.usd_per_million_spans:.4f}" for need in needs]),
        ("blocks/s for a table and shard", [f"{need.blocks_per_second:.1f}" for need in needs]),
        ("repetitions noticed for", [f"{need.window_seconds / 60:,.0f} min" for need in needs]),
    ]
    return "\n".join(f"| {name} | {' | '.join(cells)} |" for name, cells in lines)


if __name__ == "__main__":
    print(table())
