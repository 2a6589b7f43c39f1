"""What the tests of faults share: a small disk that can fill up and become read-only, a store that can be away or slow,
requests of every signal that can be counted, and a server's memory."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from collector.exports import Export
from store.telemetry import TelemetryStore
from tests.collector.otlp_calls import LOGS, METRICS, TRACES, request_of
from tests.peers import missing
from tests.servers import ServeProcess

TABLES = {TRACES: "spans", METRICS: "metric_points", LOGS: "logs"}
MEBIBYTE = 2**20
_BALLAST = "ballast"


@dataclass(frozen=True)
class SmallDisk:
    """A file system of a few megabytes of its own."""

    folder: Path

    def fill(self) -> None:
        """Leave not a byte."""
        with (self.folder / _BALLAST).open("ab", buffering=0) as ballast:
            size = MEBIBYTE
            while size:
                try:
                    ballast.write(b"\0" * size)
                except OSError:
                    size //= 2

    def free(self) -> None:
        """Give back what `fill` took."""
        (self.folder / _BALLAST).unlink()

    def read_only(self) -> bool:
        """Take nothing any more; False while a file is open for writing."""
        return self._remount("ro")

    def writable(self) -> None:
        """Take everything again."""
        assert self._remount("rw")

    def _remount(self, way: str) -> bool:
        return subprocess.run(["mount", "-o", f"remount,{way}", self.folder], capture_output=True).returncode == 0


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[SmallDisk]:
    """Mount a file system at `folder`; skip the test where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    size = f"size={mebibytes}m"
    if (
        shutil.which("mount") is None
        or subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder]).returncode
    ):
        missing("a small file system", "mounting one needs root on Linux")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@dataclass
class Weather:
    """What befalls a store: while `away` every insert fails; while `slow` every insert waits. `tries` counts both."""

    away: bool = False
    tries: int = 0
    open: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.open.set()


class FaultyStore(TelemetryStore):
    """A real store behind weather; it shares the engine of the other."""

    def __init__(self, store: TelemetryStore, weather: Weather) -> None:
        self.__dict__ |= store.__dict__
        self.weather = weather

    def insert(self, table: str, rows: pa.Table, token: str | None = None) -> None:
        self.weather.tries += 1
        self.weather.open.wait()
        if self.weather.away:
            raise ConnectionError("the store is away")
        super().insert(table, rows, token)


def bodies(name: str, count: int, good: int = 2) -> list[tuple[Export, bytes]]:
    """`count` different requests of each signal, each of `good` items."""
    return [
        (export, request_of(export, f"{name}-{number}", good).SerializeToString())
        for number in range(count)
        for export in TABLES
    ]


def told(table: str) -> str:
    """What says everything of the rows of a table: points are told with what their series say."""
    return "metrics" if table == "metric_points" else table


def stored_services(store: TelemetryStore, table: str) -> dict[str, int]:
    """Rows by service."""
    found = store.rows(f"SELECT service, count() AS n FROM {told(table)} GROUP BY service")
    return {row["service"]: int(row["n"]) for row in found}


def resident_bytes(server: ServeProcess) -> int:
    """The memory that the server holds now."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{server.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024
