"""`python -m benchmarks.ingest`: a real server, real OTLP over loopback, until everything sent is in the store.

Bursts: spans (or, with `--signal metrics`, points) per second acknowledged (durable) and in the store, CPU seconds of
the whole server per 100 000, bytes on disk of each, resident memory, latency; and in the same run the physical floor,
parsing the same bytes with the official protobuf classes (C), without storing anything. Then, of spans, latency at half
the target's rate and at 1 000 a second. With `--minutes 5` the target's rate for five minutes instead of bursts.
Peers' figures on the same spans, and each target with `met` or `missed`, come last.
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.ingest.burst import parse_floor, run_burst
from benchmarks.ingest.load import LOADS
from benchmarks.ingest.paced import Pace, run_paces
from benchmarks.ingest.report import (
    FULL_RATE,
    HALF_RATE,
    SLOW_RATE,
    print_bursts,
    print_paces,
    print_peers,
    promises,
)
from benchmarks.ingest.sending import TRANSPORTS
from benchmarks.promises import print_promises
from benchmarks.server import machine

# A little more than the target, as the last request is acknowledged a little after it was due.
_RATE = FULL_RATE + FULL_RATE // 50
_PACED_SECONDS = 30.0
_QUICK_SECONDS = 3.0


def main() -> int:
    """Measure and print; returns 0, or 1 when a target was missed, which a quick run is forgiven."""
    given = _arguments()
    load, is_traces = LOADS[given.signal], given.signal == "traces"
    requests, rounds = (60, 1) if given.quick else (given.requests, given.rounds)
    rounds = 0 if given.minutes and is_traces else rounds
    print(f"machine: {machine()}")
    print(f"load: requests of {load.described} over {given.transport}")
    if rounds:
        print(f"bursts: {requests} requests, {given.senders} connections")
    bursts = [run_burst(load, given.transport, requests, given.senders) for _ in range(rounds)]
    if bursts:
        print_bursts(bursts, load, parse_floor(load, requests))
    run = run_paces(load, given.transport, _paces(given)) if is_traces else None
    if run is not None:
        print_paces(run)
    print_peers(load)
    met = print_promises(promises(load, bursts, run))
    return 0 if met or given.quick else 1


def _paces(given: argparse.Namespace) -> list[Pace]:
    seconds = _QUICK_SECONDS if given.quick else _PACED_SECONDS
    paces = [Pace(HALF_RATE, seconds, 16), Pace(SLOW_RATE, seconds, 4)]
    if given.minutes:
        paces.insert(0, Pace(given.rate, given.minutes * 60, 32))
    return paces


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--signal", choices=LOADS, default="traces", help="what is sent [traces]")
    parser.add_argument("--transport", choices=TRANSPORTS, default="http", help="how it is sent [http]")
    parser.add_argument("--requests", type=int, default=400, help="requests of 512 items in a round [400]")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the median counts [5]")
    parser.add_argument("--senders", type=int, default=4, help="connections that send at once in a round [4]")
    parser.add_argument("--minutes", type=float, default=0, help="send spans at --rate for so long, without bursts")
    parser.add_argument("--rate", type=int, default=_RATE, help=f"spans a second of --minutes [{_RATE}]")
    parser.add_argument("--quick", action="store_true", help="one short round and short paces")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
