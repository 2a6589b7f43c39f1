"""Measures what the SDK costs its host, beside the plain OpenTelemetry SDK and, if asked, its peers.

`python -m benchmarks.sdk` needs no network; `--install` and `--peers` install into environments of their own under
`build/`. Each part can be run alone with `--only`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.sdk import cost, faults, install, report, startup, targets
from benchmarks.sdk.crew import Entry, Interpreters, bytes_taken, crew, entries, sink
from benchmarks.sdk.results import Results, new_results
from benchmarks.sdk.sink import Behaviour

PARTS = ("cost", "duration", "start", "memory", "faults")
QUICK_PARTS = ("cost", "duration", "start", "faults")


def main() -> None:
    """Measure, print, and write what is asked for; with `--check`, exit with 1 when a target was missed."""
    options = _options()
    results = new_results(_asked_for(options))
    print(results.machine, flush=True)
    ways = [entry for entry in entries() if options.peers or not entry.peer]
    made = install.make(ways) if options.install or options.peers else {}
    results.installed = {name: install.measure(interpreter) for name, interpreter in made.items()}
    if made:
        results.verdicts += targets.of_install(results.installed)
    _measure(results, ways, Interpreters(made), options)

    for table in (*report.tables(results, ways), report.how_table(ways)):
        print("\n" + table.as_text())
    if options.json:
        Path(options.json).write_text(json.dumps(results.as_json(), indent=2) + "\n")
    if options.page:
        report.write_page(Path(options.page), results, ways)
    if options.check and not all(verdict.kept for verdict in results.verdicts):
        sys.exit(1)


def _measure(results: Results, ways: Sequence[Entry], interpreters: Interpreters, options: argparse.Namespace) -> None:
    print(f"measuring {', '.join(sorted(options.parts))} of {', '.join(entry.name for entry in ways)}", file=sys.stderr)
    with sink(Behaviour.ACCEPT) as endpoint:
        if {"cost", "duration"} & options.parts:
            _measure_calls(results, ways, interpreters, options, endpoint)
        if "start" in options.parts:
            results.startup_ms = startup.measure(ways, interpreters, endpoint, 1 if options.quick else 9)
            results.verdicts += targets.of_startup(results.startup_ms)
    compared = [entry for entry in ways if entry.name in {"plain", "andon"}]
    if "memory" in options.parts:
        results.memory = faults.memory(compared, interpreters)
    if "faults" in options.parts:
        calls, settle_seconds = (200, 0.3) if options.quick else (6000, faults.SETTLE_SECONDS)
        results.latencies = faults.latencies(compared, interpreters, calls, settle_seconds)


def _measure_calls(
    results: Results, ways: Sequence[Entry], interpreters: Interpreters, options: argparse.Namespace, endpoint: str
) -> None:
    results.stubbed = not options.with_export
    with crew(ways, interpreters, endpoint, stubbed=results.stubbed) as workers:
        if "cost" in options.parts:
            rounds = 3 if options.quick else 15
            results.costs = cost.measure(workers, rounds=rounds, stubbed=results.stubbed)
            results.verdicts += targets.of_costs(results.costs)
        if "duration" in options.parts and results.stubbed:  # the stub is what reads the durations
            results.durations_ms = cost.durations(workers)
    if not results.stubbed and not bytes_taken(endpoint):
        sys.exit("nothing was exported: the figures are not of what they say")


def _asked_for(options: argparse.Namespace) -> list[str]:
    """Return the options that change what is measured, as one would write them."""
    switches = [
        f"--{name.replace('_', '-')}" for name in ("quick", "peers", "install", "with_export") if getattr(options, name)
    ]
    return [*switches, *(f"--only {part}" for part in options.only or ())]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sdk", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of a few seconds; figures mean little")
    parser.add_argument("--peers", action="store_true", help="beside the peers too, installed at run time")
    parser.add_argument("--install", action="store_true", help="in fresh environments, and measure their size")
    parser.add_argument("--with-export", action="store_true", help="let the exporters encode and send, on loopback")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part alone; may be repeated")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target was missed")
    parser.add_argument("--json", metavar="FILE", help="write the results to this file")
    parser.add_argument("--page", metavar="FILE", help="write the tables into this Markdown page")
    options = parser.parse_args()
    options.parts = set(options.only or (QUICK_PARTS if options.quick else PARTS))
    return options


if __name__ == "__main__":
    main()
