"""`python -m benchmarks.restart`: a journal of 1 GB, as an outage leaves it, and a server that starts on it.

Prints seconds until it answers and takes an export; then, from there on, how fast the journal goes into the store, and
beside it how fast the same server, drained, takes new spans into the store. The spans are those of `benchmarks.ingest`;
the journal is filled by the collector's own decoder and journal, in a data directory that a server has set up before.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.ingest.load import LOADS, Load
from benchmarks.ingest.sending import send
from benchmarks.ingest.stamped import stamped_body
from benchmarks.promises import Promise, print_promises
from benchmarks.server import folder_bytes, machine, serving
from collector.columns import SPAN_SCHEMA
from collector.decode import decode_traces
from collector.frames import Mark
from collector.journal import Journal
from collector.rows import of_project, stored_schema
from collector.seen import request_digest
from settings import CollectorSettings
from store.keys import DEFAULT_PROJECT

MOST_SECONDS = 5.0
_OUTAGE_SECONDS = 3600
_TOGETHER = 8
_SENDERS = 4
_FRESH = 10**8


@dataclass(frozen=True)
class Result:
    """Seconds since the process was started; spans, and the CPU seconds of the server, by phase.

    Attributes:
        early: spans that were in the store when the server first took an export.
        drain_seconds, drain_cpu: from then on, until the journal is in the store.
        ingest_seconds, ingest_cpu: of `ingested` spans that were sent afterwards, until they are in the store.
    """

    answers_seconds: float
    takes_seconds: float
    early: int
    drain_seconds: float
    drain_cpu: float
    ingested: int
    ingest_seconds: float
    ingest_cpu: float
    peak_bytes: int


def fill(data: Path, size: int, load: Load) -> int:
    """Write `size` bytes of spans of an outage to the journal of a server that does not run; how many spans."""
    limits = CollectorSettings()
    journal = Journal(
        data / "journal" / load.table,
        stored_schema(SPAN_SCHEMA),
        seal_seconds=limits.seal_seconds,
        seal_bytes=limits.seal_bytes,
        max_bytes=2 * size,
    )
    spans, now = 0, time.time_ns()
    while (held := journal.state().bytes) < size:
        ended = now - int(_OUTAGE_SECONDS * 10**9 * (1 - held / size))
        first = spans // load.items
        bodies = [stamped_body(seed, ended) for seed in range(first, first + _TOGETHER)]
        rows = of_project(decode_traces(bodies, now).rows, DEFAULT_PROJECT)
        journal.append(
            rows, [Mark(request_digest(load.path, DEFAULT_PROJECT, body), ended) for body in bodies]
        ).result()
        spans += rows.num_rows
    journal.close()
    return spans


def restart(data: Path, spans: int, fresh: int, load: Load) -> Result:
    """Start a server on `data` and watch it until the journal is in the store; then send it `fresh` requests."""
    began = time.perf_counter()
    with serving(data) as server:
        answers = time.perf_counter() - began
        send(server.addresses, load, "http", [load.body(_FRESH)], 1)
        takes = time.perf_counter() - began
        early, cpu = server.stored_rows(load.table), server.cpu_seconds()
        server.wait_for_rows(load.table, spans)
        drained = time.perf_counter() - began
        drain_cpu = server.cpu_seconds() - cpu
        server.wait_for_rows(load.table, spans + load.items)

        bodies = [load.body(_FRESH + number) for number in range(1, fresh + 1)]
        cpu, sending = server.cpu_seconds(), time.perf_counter()
        send(server.addresses, load, "http", bodies, _SENDERS)
        server.wait_for_rows(load.table, spans + (1 + fresh) * load.items)
        return Result(
            answers_seconds=answers,
            takes_seconds=takes,
            early=early,
            drain_seconds=drained - takes,
            drain_cpu=drain_cpu,
            ingested=fresh * load.items,
            ingest_seconds=time.perf_counter() - sending,
            ingest_cpu=server.cpu_seconds() - cpu,
            peak_bytes=server.peak_bytes(),
        )


def main() -> int:
    """Measure and print; returns 0, or 1 when a target was missed, which a quick run is forgiven."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the journal [1000]")
    parser.add_argument(
        "--requests", type=int, default=1200, help="requests of 512 spans that are sent after it [1200]"
    )
    parser.add_argument("--quick", action="store_true", help="a journal of 64 MB, 60 requests")
    given = parser.parse_args()
    megabytes, requests = (64, 60) if given.quick else (given.megabytes, given.requests)
    load = LOADS["traces"]
    with tempfile.TemporaryDirectory(prefix="andon-bench-") as folder:
        data = Path(folder) / "data"
        with serving(data):
            pass  # sets up the stores, as any server has before an outage
        spans = fill(data, megabytes * 10**6, load)
        print(f"machine: {machine()}")
        print(
            f"journal: {folder_bytes(data / 'journal') / 1e6:,.0f} MB, {spans:,} spans, each request {load.described}"
        )
        result = restart(data, spans, requests, load)
    return 0 if _report(result, spans) or given.quick else 1


def _report(result: Result, spans: int) -> bool:
    left = spans - result.early
    # A short journal may be gone before the first export is taken.
    drain = left / result.drain_seconds if left > 0 else spans / result.takes_seconds
    ingest, ingest_cpu = result.ingested / result.ingest_seconds, result.ingest_cpu / result.ingested * 1e5
    print(f"answers after            {result.answers_seconds:>10.1f} s")
    print(f"takes exports after      {result.takes_seconds:>10.1f} s, {result.early:,} spans in the store by then")
    print(f"drained                  {result.drain_seconds:>10.1f} s later")
    print(
        f"  at                     {drain:>10,.0f} spans/s, {result.drain_cpu / max(left, 1) * 1e5:.2f} CPU-s per 100k"
    )
    print(f"then takes new ones at   {ingest:>10,.0f} spans/s, {ingest_cpu:.2f} CPU-s per 100k")
    print(f"peak resident memory     {result.peak_bytes / 2**20:>10.0f} MiB")
    return print_promises(
        [
            Promise("takes exports after the start", result.takes_seconds, MOST_SECONDS, "s"),
            Promise("drained, against new spans of the same run", drain, ingest, "spans/s", at_least=True),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
