"""`python -m benchmarks.query`: how fast a real server answers over 10 million spans of 30 days, quiet and while it
takes 10 000 spans a second; and what the store itself takes for questions about single spans.

The history is made in the engine, then folded by the server as if it had come in. Times are the 95th percentile of a
question asked over and over, HTTP and JSON included; CPU is that of the whole server, its own background work included.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from benchmarks.ingest.load import LOADS
from benchmarks.ingest.sending import send_paced
from benchmarks.promises import Promise, print_promises
from benchmarks.query.history import make_spans, trace_id
from benchmarks.server import Server, machine, serving
from settings import load_settings
from store.control import ControlStore
from store.migrate import migrate
from store.telemetry import TelemetryStore

# What the API is asked, and how long a 95th percentile may be, in ms.
ASKED = {
    "headline, 5 minutes": ("/api/v1/summary?window=5m", 50),
    "series, 15 minutes by 15 s": ("/api/v1/throughput?from=now-15m&to=now-5s&step=15s", 50),
    "series, 6 hours by 5 min": ("/api/v1/throughput?from=now-6h&to=now-5s&step=5m", 50),
    "series, 30 days by 12 h": ("/api/v1/throughput?from=now-30d&to=now-5s&step=12h", 50),
    "series, 30 days by 12 h, by model": ("/api/v1/throughput?from=now-30d&to=now-5s&step=12h&by=model", 50),
}
_SECONDS = "(toUnixTimestamp64Nano(end_time) - toUnixTimestamp64Nano(start_time)) / 1e9"
# What the store is asked.
STORED = {
    "trace by id": ("SELECT * FROM spans WHERE trace_id = unhex('{trace}')", 30),
    "attribute search over a day": (
        "SELECT trace_id, span_id FROM spans WHERE end_time >= now64(9) - 2 * 86400 AND end_time < now64(9) - 86400 "
        "AND attributes['user.id'] = 'user-77' ORDER BY end_time DESC LIMIT 100",
        500,
    ),
    "aggregate of all spans": (
        f"SELECT request_model, count(), sum(output_tokens), quantilesTDigest(0.5, 0.95)({_SECONDS}) "
        "FROM spans GROUP BY request_model",
        1500,
    ),
}
INGEST_PER_SECOND = 10_000
SLOWER = 3


@dataclass(frozen=True)
class Timed:
    """95th percentile and median of one question, in ms, and CPU of each time it was asked."""

    p95_ms: float
    p50_ms: float
    cpu_ms: float


def timed(ask: Callable[[], object], cpu_seconds: Callable[[], float], times: int) -> Timed:
    """Ask over and over."""
    ask()
    taken, cpu = [], cpu_seconds()
    for _ in range(times):
        began = time.perf_counter()
        ask()
        taken.append(1000 * (time.perf_counter() - began))
    taken.sort()
    spent = 1000 * (cpu_seconds() - cpu) / times
    return Timed(taken[min(times - 1, int(0.95 * times))], taken[times // 2], spent)


def prepare(data: Path, spans: int, days: float) -> None:
    """A data folder with the history, not folded."""
    settings = load_settings(None, environ={"ANDON_DATA_DIR": str(data)})
    data.mkdir(parents=True, exist_ok=True)
    telemetry = TelemetryStore(settings.resolved_telemetry_url())
    control = ControlStore(settings.resolved_control_url())
    try:
        migrate(telemetry, control)
        now = datetime.now(UTC)
        make_spans(telemetry, now - timedelta(days=days), now, spans)
    finally:
        telemetry.close()
        control.close()


def wait_until_folded(server: Server) -> float:
    """Seconds until nothing old waits to be folded."""
    began = time.perf_counter()
    while True:
        lines = httpx.get(f"{server.url}/metrics", timeout=120).text.splitlines()
        waiting = [float(line.split()[-1]) for line in lines if line.startswith("andon_fold_waiting_minutes{")]
        lag = [line for line in lines if line.startswith('andon_fold_lag_seconds{rollup="usage_1m"}')]
        if lag and float(lag[0].split()[-1]) < 180 and max(waiting) < 20:
            return time.perf_counter() - began
        time.sleep(1)


@contextmanager
def ingesting(server: Server, seconds: float) -> Iterator[None]:
    """Spans come at an even pace while the block runs; it begins when they have come for `seconds`."""
    load = LOADS["traces"]
    stopped = threading.Event()

    def send() -> None:
        seed = 0
        while not stopped.is_set():
            send_paced(server.addresses, load, "http", range(seed, seed + 20), INGEST_PER_SECOND / load.items, 2)
            seed += 20

    thread = threading.Thread(target=send)
    thread.start()
    try:
        time.sleep(seconds)
        yield
    finally:
        stopped.set()
        thread.join()


def ask_api(server: Server, times: int) -> dict[str, Timed]:
    """Every question to the API."""
    with httpx.Client(timeout=300) as client:
        return {
            name: timed(
                lambda path=path: client.get(server.url + path).raise_for_status(),  # type: ignore[misc]
                server.cpu_seconds,
                times,
            )
            for name, (path, _) in ASKED.items()
        }


def ask_store(data: Path, spans: int, times: int) -> dict[str, Timed]:
    """Every question to the store, in this process."""
    settings = load_settings(None, environ={"ANDON_DATA_DIR": str(data)})
    telemetry = TelemetryStore(settings.resolved_telemetry_url())
    trace = trace_id(spans // 16)
    try:
        return {
            name: timed(lambda sql=sql: telemetry.rows(sql.format(trace=trace)), time.process_time, times)  # type: ignore[misc]
            for name, (sql, _) in STORED.items()
        }
    finally:
        telemetry.close()


def print_timed(title: str, answers: dict[str, Timed]) -> None:
    """A line for each question."""
    print(title)
    for name, found in answers.items():
        print(f"  {name:<36} {found.p95_ms:>8.0f} ms p95 {found.p50_ms:>8.0f} ms p50 {found.cpu_ms:>8.0f} ms CPU")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=10_000_000, help="spans of the history [10000000]")
    parser.add_argument("--days", type=float, default=30, help="days that they are spread over [30]")
    parser.add_argument("--times", type=int, default=40, help="how often each question is asked [40]")
    parser.add_argument("--quick", action="store_true", help="200 000 spans of two days, each question ten times")
    given = parser.parse_args()
    spans, days, times = (200_000, 2.0, 10) if given.quick else (given.spans, given.days, given.times)
    print(f"machine: {machine()}")
    with tempfile.TemporaryDirectory(prefix="andon-bench-") as folder:
        data = Path(folder) / "data"
        prepare(data, spans, days)
        with serving(data) as server:
            print(f"history: {spans:,} spans of {days:g} days, folded after {wait_until_folded(server):.0f} s")
            quiet = ask_api(server, times)
            print_timed("quiet", quiet)
            with ingesting(server, 5 if given.quick else 60):
                busy = ask_api(server, times)
            print_timed(f"while {INGEST_PER_SECOND:,} spans/s come in", busy)
            server.stop()
        stored = ask_store(data, spans, times)
        print_timed("of the store itself", stored)
    kept = [Promise(name, quiet[name].p95_ms, bound, "ms p95") for name, (_, bound) in ASKED.items()]
    kept += [
        Promise(f"{name}, busy", busy[name].p95_ms, SLOWER * bound, "ms p95") for name, (_, bound) in ASKED.items()
    ]
    kept += [Promise(name, stored[name].p95_ms, bound, "ms p95") for name, (_, bound) in STORED.items()]
    print_promises(kept)


if __name__ == "__main__":
    main()
