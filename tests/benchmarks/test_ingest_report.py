"""What the ingest benchmark prints last: peers' figures, and of each target whether it was met."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.ingest.burst import Burst
from benchmarks.ingest.load import LOADS
from benchmarks.ingest.paced import Kept, Pace, PacedRun
from benchmarks.ingest.report import print_peers, promises
from benchmarks.promises import Promise, print_promises

BURST = Burst(
    items=204_800,
    acknowledged_seconds=3.0,
    queryable_seconds=4.0,
    server_cpu_seconds=4.096,
    peak_bytes=10**9,
    disk_bytes_per_item=95.0,
    p50_ms=10.0,
    p99_ms=80.0,
)
KEPT = Kept(
    pace=Pace(50_000, 300, 32),
    items=15_000_000,
    seconds=300.0,
    stored_seconds=305.0,
    cpu_seconds=300.0,
    peak_bytes=1_100_000_000,
    p50_ms=20.0,
    p99_ms=300.0,
    visible_seconds=(1.0, 4.5),
    retries=0,
)


def verdicts(*found: Promise) -> dict[str, bool]:
    return {promise.name: promise.kept for promise in found}


def test_a_bound_itself_is_met_and_the_lines_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_promises([Promise("rate", 5, 5, "s", at_least=True), Promise("size", 5, 5, "MB")])
    assert not print_promises([Promise("rate", 4.9, 5, "s", at_least=True)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines if "target " in line] == ["met", "met", "missed"]


def test_sustained_figures_go_before_those_of_bursts() -> None:
    half = dataclasses.replace(KEPT, pace=Pace(25_000, 30, 16), p99_ms=249.0)
    slow = dataclasses.replace(KEPT, pace=Pace(1_000, 30, 4), p99_ms=41.0)
    run = PacedRun((KEPT, half, slow), 119.0, 2 * 10**9)
    assert verdicts(*promises(LOADS["traces"], [], run)) == {
        "spans acknowledged, 5 min": True,
        "server CPU, 5 min": True,
        "disk, 5 min": True,
        "resident memory, 5 min": True,
        "visible in the API at that rate, slowest": True,
        "p99 of acks at 25,000 spans/s": True,
        "p99 of acks at 1,000 spans/s": False,
    }


def test_without_a_sustained_run_the_bursts_are_judged() -> None:
    found = promises(LOADS["traces"], [BURST], None)
    assert [promise.measured for promise in found] == [51_200.0, 2.0, 95.0, 1.0]
    assert all(promise.kept for promise in found)


@pytest.mark.parametrize(("signal", "peer"), [("traces", "MLflow 3.17"), ("metrics", "VictoriaMetrics")])
def test_peers_stand_beside_the_figures(signal: str, peer: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_peers(LOADS[signal])
    assert peer in capsys.readouterr().out
