"""`python -m benchmarks.ingest`: a real server, real OTLP over loopback, until everything sent is in the store.

Prints spans (or, with `--signal metrics`, points) per second acknowledged (durable) and in the store, CPU seconds of
the whole server per 100 000, bytes on disk of each, resident memory, acknowledgement latency; and in the same run the
physical floor: parsing the same bytes with the official protobuf classes (C), without storing anything.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx

from benchmarks.ingest.load import LOADS, Load
from collector.exports import EXPORTS


@dataclass(frozen=True)
class Result:
    """One round: seconds of wall and CPU, bytes and latencies."""

    items: int
    acknowledged_seconds: float
    queryable_seconds: float
    server_cpu_seconds: float
    resident_bytes: int
    disk_bytes_per_item: float
    p50_ms: float
    p99_ms: float


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def folder_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


Post = Callable[[bytes], float | None]
"""Sends a body; None when it is acknowledged, seconds to wait when it is to be sent again."""


@contextmanager
def posting_http(announced: dict[str, str], load: Load) -> Iterator[Post]:
    with httpx.Client(timeout=60) as client:

        def post(body: bytes) -> float | None:
            url = f"{announced['otlp_url']}{load.path}"
            answer = client.post(url, content=body, headers={"content-type": "application/x-protobuf"})
            assert answer.status_code in {200, 503}, answer.status_code
            return None if answer.status_code == 200 else float(answer.headers["retry-after"])

        yield post


@contextmanager
def posting_grpc(announced: dict[str, str], load: Load) -> Iterator[Post]:
    (export,) = (export for export in EXPORTS if export.path == load.path)
    address = announced["otlp_grpc_url"].removeprefix("http://")
    # A pool of its own makes it a connection of its own.
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        call = channel.unary_unary(export.method)

        def post(body: bytes) -> float | None:
            try:
                call(body, timeout=60)
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE, error.code()
                return 2.0
            return None

        yield post


TRANSPORTS = {"http": posting_http, "grpc": posting_grpc}


def send(announced: dict[str, str], load: Load, transport: str, bodies: list[bytes], senders: int) -> list[float]:
    """Send every body from `senders` connections; latencies of the acknowledgements in seconds."""
    latencies: list[float] = []
    position = iter(bodies)
    lock = threading.Lock()

    def work() -> None:
        with TRANSPORTS[transport](announced, load) as post:
            while True:
                with lock:
                    body = next(position, None)
                if body is None:
                    return
                while True:
                    began = time.perf_counter()
                    if (pause := post(body)) is None:
                        break
                    time.sleep(pause)
                latencies.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies


def run_round(load: Load, transport: str, requests: int, senders: int) -> Result:
    """One server, one load, then wait until everything is in the store."""
    with tempfile.TemporaryDirectory(prefix="andon-bench-") as folder:
        data = Path(folder) / "data"
        command = [
            sys.executable,
            "-m",
            "cli.main",
            "serve",
            "--data-dir",
            str(data),
            "--port",
            "0",
            "--otlp-port",
            "0",
            "--otlp-grpc-port",
            "0",
        ]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            announced = wait_for(data / "server.json")
            bodies = [load.body(seed) for seed in range(requests)]
            send(announced, load, transport, [load.body(10**6)], 1)
            cpu, began = cpu_seconds(process.pid), time.perf_counter()
            latencies = send(announced, load, transport, bodies, senders)
            acknowledged = time.perf_counter() - began
            expected = (requests + 1) * load.items
            while stored_rows(announced["url"], load.table) < expected:
                time.sleep(0.05)
            queryable = time.perf_counter() - began
            spent = cpu_seconds(process.pid) - cpu
            resident = resident_bytes(process.pid)
            process.terminate()
            process.wait(60)
            disk = folder_bytes(data) / expected
        finally:
            process.kill()
            process.wait()
    ordered = sorted(latencies)
    return Result(
        items=requests * load.items,
        acknowledged_seconds=acknowledged,
        queryable_seconds=queryable,
        server_cpu_seconds=spent,
        resident_bytes=resident,
        disk_bytes_per_item=disk,
        p50_ms=1000 * ordered[len(ordered) // 2],
        p99_ms=1000 * ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
    )


def stored_rows(url: str, table: str) -> int:
    """Rows that the writer has put into the store, from the server's own counters."""
    for line in httpx.get(f"{url}/metrics", timeout=30).text.splitlines():
        if line.startswith(f'andon_writer_rows_total{{table="{table}"}} '):
            return int(float(line.split()[1]))
    return 0


def wait_for(announcement: Path) -> dict[str, str]:
    """The addresses of a server, once it answers."""
    for _ in range(600):
        if announcement.exists():
            try:
                found: dict[str, str] = json.loads(announcement.read_text())
                if httpx.get(f"{found['url']}/healthz").status_code == 200:
                    return found
            except (json.JSONDecodeError, httpx.TransportError):
                pass
        time.sleep(0.1)
    raise SystemExit("the server did not start")


def parse_floor(load: Load, requests: int) -> float:
    """CPU seconds per 100 000 items that the official C parser takes for the same bytes, storing nothing."""
    bodies = [load.body(seed) for seed in range(min(requests, 40))]
    began = time.process_time()
    for body in bodies:
        load.message.FromString(body)
    return (time.process_time() - began) / (len(bodies) * load.items) * 100_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signal", choices=LOADS, default="traces", help="what is sent [traces]")
    parser.add_argument("--transport", choices=TRANSPORTS, default="http", help="how it is sent [http]")
    parser.add_argument("--requests", type=int, default=400, help="requests of 512 items in a round [400]")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts [5]")
    parser.add_argument("--senders", type=int, default=4, help="connections that send at once [4]")
    parser.add_argument("--quick", action="store_true", help="one short round")
    given = parser.parse_args()
    load = LOADS[given.signal]
    requests, rounds = (60, 1) if given.quick else (given.requests, given.rounds)
    print(
        f"machine: {cpu_model()}, {os.cpu_count()} cores shared by server and sender, "
        f"Python {platform.python_version()}"
    )
    print(f"load: {requests} requests x {load.described}, {given.senders} connections over {given.transport}")
    results = [run_round(load, given.transport, requests, given.senders) for _ in range(rounds)]

    def median(name: str) -> float:
        return statistics.median(getattr(result, name) for result in results)

    items, noun = results[0].items, load.noun
    cpu = statistics.median(r.server_cpu_seconds / r.items * 100_000 for r in results)
    floor = parse_floor(load, requests)
    print(f"acknowledged (durable)   {items / median('acknowledged_seconds'):>10,.0f} {noun}s/s")
    print(f"in the store             {items / median('queryable_seconds'):>10,.0f} {noun}s/s")
    print(f"server CPU               {cpu:>10.2f} s per 100k {noun}s")
    print(f"  official parser alone  {floor:>10.2f} s per 100k {noun}s, nothing stored: ratio {cpu / floor:.1f}")
    print(f"disk                     {median('disk_bytes_per_item'):>10.0f} bytes per {noun}, data directory whole")
    print(f"resident memory          {median('resident_bytes') / 2**20:>10.0f} MiB")
    print(f"acknowledgement          {median('p50_ms'):>10.1f} ms p50, {median('p99_ms'):.1f} ms p99 under full load")
    print(f"medians of {rounds} round(s) of {items:,} {noun}s")


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown CPU"


if __name__ == "__main__":
    main()
