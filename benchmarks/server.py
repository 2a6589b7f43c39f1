"""A real `andon serve` in a process of its own, and what it costs: processor time, memory, disk, rows in the store.

Everything is read from outside, from /proc and from the server's own `/metrics`, as its operator would.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

START_SECONDS = 60.0
STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Server:
    """A server that answers; `addresses` are those that it announced, by name."""

    process: subprocess.Popen[bytes]
    data: Path
    addresses: dict[str, str]

    @property
    def url(self) -> str:
        """Of the dashboard, the API and `/metrics`."""
        return self.addresses["url"]

    def cpu_seconds(self) -> float:
        """Processor time since it was started, all threads together."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_bytes(self) -> int:
        """Memory that it holds now."""
        return self._memory("VmRSS")

    def peak_bytes(self) -> int:
        """The most memory that it has held."""
        return self._memory("VmHWM")

    def stored_rows(self, table: str) -> int:
        """Rows that the writer has put into the store since start."""
        for line in httpx.get(f"{self.url}/metrics", timeout=30).text.splitlines():
            if line.startswith(f'andon_writer_rows_total{{table="{table}"}} '):
                return int(float(line.split()[1]))
        return 0

    def table_bytes(self, table: str) -> int:
        """Bytes of a table on disk, without parts that are merged away and stand there for some minutes more."""
        told = httpx.get(f"{self.url}/api/v1/retention", timeout=60).raise_for_status().json()["bytes"]
        return sum(int(one["bytes"]) - int(one["waste_bytes"]) for one in told if one["table"] == table)

    def wait_for_rows(self, table: str, rows: int) -> None:
        """Return when so many rows are in the store."""
        while self.stored_rows(table) < rows:
            time.sleep(0.1)

    def stop(self) -> None:
        """End it as its operator would, and wait."""
        self.process.terminate()
        self.process.wait(STOP_SECONDS)

    def _memory(self, name: str) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


@contextmanager
def serving(data: Path) -> Iterator[Server]:
    """A server on `data`, on ports of its own choice, once it answers; ended when the block ends."""
    ports = ("--port", "0", "--otlp-port", "0", "--otlp-grpc-port", "0")
    command = [sys.executable, "-m", "cli.main", "serve", "--data-dir", str(data), *ports]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        server = Server(process, data, _answering(process, data / "server.json"))
        yield server
        server.stop()
    finally:
        process.kill()
        process.wait()


def _answering(process: subprocess.Popen[bytes], announcement: Path) -> dict[str, str]:
    given_up = time.monotonic() + START_SECONDS
    while time.monotonic() < given_up and process.poll() is None:
        try:
            found: dict[str, str] = json.loads(announcement.read_text())
            if httpx.get(f"{found['url']}/healthz").status_code == 200:
                return found
        except (FileNotFoundError, json.JSONDecodeError, httpx.TransportError):
            pass
        time.sleep(0.02)
    raise SystemExit("the server did not start; `uv run andon serve` says why")


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder in which files may come and go."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def machine() -> str:
    """The machine that figures were taken on, in a line, and how busy others kept it in the minute before."""
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    told = (
        f"{cpu_model()}, {cores} cores shared by server and sender, Python {platform.python_version()}, load {load:.1f}"
    )
    return f"{told}: BUSY, figures of time say little" if load > cores else told


def cpu_model() -> str:
    """The name of the processor, as the kernel has it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown CPU"
