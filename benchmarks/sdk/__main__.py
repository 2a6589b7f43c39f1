"""Measures what the SDK costs its host, beside the plain OpenTelemetry SDK and, if asked, its peers.

`python -m benchmarks.sdk` needs no network; `--install` and `--peers` install into environments of their own under
`build/`. Each part can be run alone with `--only`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.sdk import cost, faults, install, report, startup, targets
from benchmarks.sdk.crew import Interpreters, bytes_taken, crew, entries, sink
from benchmarks.sdk.sink import Behaviour

PARTS = ("cost", "duration", "start", "memory", "faults")


def main() -> None:
    """Measure, print, and write what `--json` names; with `--check`, exit with 1 when a target was missed."""
    options = _options()
    results = report.new_results(sys.argv[1:])
    print(results.machine, flush=True)
    ways = [entry for entry in entries() if options.peers or not entry.peer]
    titles = {entry.name: entry.title for entry in ways}
    with_environments = options.install or options.peers
    made = install.make(ways) if with_environments else {}
    interpreters = Interpreters(made)
    if with_environments:
        results.installed = {name: install.measure(interpreter) for name, interpreter in made.items()}
        report.print_installed(results.installed, titles)
        results.verdicts += targets.of_install(results.installed)

    with sink(Behaviour.ACCEPT) as endpoint:
        if {"cost", "duration"} & options.parts:
            stubbed = not options.with_export
            with crew(ways, interpreters, endpoint, stubbed=stubbed) as workers:
                if "cost" in options.parts:
                    results.costs = cost.measure(workers, rounds=3 if options.quick else 15, stubbed=stubbed)
                    end = "exporter stubbed" if stubbed else "exported to a process on loopback"
                    report.print_costs(results.costs, titles, end)
                    results.verdicts += targets.of_costs(results.costs)
                if "duration" in options.parts and stubbed:
                    results.durations_ms = cost.durations(workers)
                    report.print_durations(results.durations_ms, titles)
            if not stubbed and not bytes_taken(endpoint):
                sys.exit("nothing was exported: the figures are not of what they say")
        if "start" in options.parts:
            results.startup_ms = startup.measure(ways, interpreters, endpoint, 1 if options.quick else 9)
            report.print_startup(results.startup_ms, titles)
            results.verdicts += targets.of_startup(results.startup_ms)

    compared = [entry for entry in ways if entry.name in {"plain", "andon"}]
    if "memory" in options.parts:
        results.memory = faults.memory(compared, interpreters)
        report.print_memory(results.memory, titles)
    if "faults" in options.parts:
        results.latencies = faults.latencies(
            compared, interpreters, *((200, 0.3) if options.quick else (6000, faults.SETTLE_SECONDS))
        )
        report.print_latencies(results.latencies, titles)

    report.print_how(ways)
    report.print_verdicts(results.verdicts)
    if options.json:
        Path(options.json).write_text(json.dumps(results.as_json(), indent=2) + "\n")
    if options.check and not all(verdict.kept for verdict in results.verdicts):
        sys.exit(1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sdk", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smoke run of a few seconds; figures mean little")
    parser.add_argument("--peers", action="store_true", help="beside the peers too, installed at run time")
    parser.add_argument("--install", action="store_true", help="in fresh environments, and measure their size")
    parser.add_argument("--with-export", action="store_true", help="let the exporters encode and send, on loopback")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part alone; may be repeated")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a target was missed")
    parser.add_argument("--json", metavar="FILE", help="write the results to this file")
    options = parser.parse_args()
    quick_parts = ("cost", "duration", "start", "faults")
    options.parts = set(options.only or (quick_parts if options.quick else PARTS))
    return options


if __name__ == "__main__":
    main()
