"""Results as tables: each once, rendered as text for the terminal and as Markdown for the guide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.sdk.cost import Cost
from benchmarks.sdk.crew import Entry
from benchmarks.sdk.faults import NO_FAULT, Latency, Memory
from benchmarks.sdk.install import Installed
from benchmarks.sdk.results import Results
from benchmarks.sdk.startup import LOADED
from benchmarks.sdk.subjects import JOB_SECONDS, SLOW_SHAPES
from benchmarks.sdk.targets import Verdict
from benchmarks.tables import Table

BEGIN: Final = "<!-- measured: written by python -m benchmarks.sdk --page -->"
END: Final = "<!-- end of what was measured -->"


def tables(results: Results, ways: Sequence[Entry]) -> list[Table]:
    """Return the tables of everything that was measured."""
    titles = {entry.name: entry.title for entry in ways}
    made: list[Table] = []

    def add(measured: object, make: Callable[[], Table]) -> None:
        if measured:
            made.append(make())

    add(results.installed, lambda: installed_table(results.installed, titles))
    add(results.costs, lambda: cost_table(results.costs, titles, stubbed=results.stubbed))
    add(results.durations_ms, lambda: duration_table(results.durations_ms, titles))
    add(results.startup_ms, lambda: startup_table(results.startup_ms, titles))
    add(results.memory, lambda: memory_table(results.memory, titles))
    add(results.latencies, lambda: latency_table(results.latencies, titles))
    add(results.verdicts, lambda: verdict_table(results.verdicts))
    return made


def cost_table(costs: Sequence[Cost], titles: Mapping[str, str], *, stubbed: bool) -> Table:
    """Return the cost of each call, with its ratio to plain OpenTelemetry on the calling thread's processor time."""
    plain = {cost.shape: cost.cpu_us for cost in costs if cost.way == "plain"}
    rows = (
        (
            cost.shape,
            titles[cost.way],
            f"{cost.wall_us:.2f}",
            f"{cost.cpu_us:.2f}",
            f"{cost.cpu_us / plain[cost.shape]:.2f}",
            f"{cost.process_us:.2f}",
            str(len(cost.attributes)) if cost.attributes else "-",
        )
        for cost in costs
    )
    end = "exporter stubbed" if stubbed else "exported to a process on loopback"
    return Table(
        f"Microseconds per call, {end}",
        ("shape", "way", "wall", "CPU", "CPU x plain", "all CPU", "attributes"),
        tuple(rows),
        "Medians of rounds in turns. Wall and CPU: on the calling thread. All CPU: of the whole process, until "
        "everything is exported.",
    )


def duration_table(durations: Mapping[str, Mapping[str, float | None]], titles: Mapping[str, str]) -> Table:
    """Return what each way recorded of a job whose length is known."""
    rows = (
        (titles[way], *("none" if (ms := recorded[shape]) is None else f"{ms:.1f}" for shape in SLOW_SHAPES))
        for way, recorded in durations.items()
    )
    return Table(
        f"Duration recorded of a job of {JOB_SECONDS * 1e3:.0f} ms, in milliseconds", ("way", *SLOW_SHAPES), tuple(rows)
    )


def startup_table(milliseconds: Mapping[str, float], titles: Mapping[str, str]) -> Table:
    """Return the time that each way takes to start."""
    loaded = "OpenTelemetry SDK and exporter, imported only"
    rows = (
        (titles.get(way, loaded), f"{taken:.1f}", f"{taken - milliseconds[LOADED]:+.1f}")
        for way, taken in milliseconds.items()
    )
    return Table(
        "Milliseconds to import and initialise, in a fresh interpreter", ("way", "ms", "above the first"), tuple(rows)
    )


def installed_table(installed: Mapping[str, Installed], titles: Mapping[str, str]) -> Table:
    """Return what each way brings along."""
    rows = (
        (titles[way], str(len(found.packages)), f"{found.size_bytes / 1e6:.1f}") for way, found in installed.items()
    )
    return Table("Installed into an empty environment", ("way", "packages", "MB"), tuple(rows))


def memory_table(memory: Sequence[Memory], titles: Mapping[str, str]) -> Table:
    """Return what a full queue holds."""
    rows = (
        (
            titles[held.way],
            str(held.spans),
            f"{held.allocated_bytes / 1e6:.1f}",
            f"{held.allocated_bytes / held.spans / 1e3:.2f}",
            f"{held.resident_bytes / 1e6:.1f}",
        )
        for held in memory
    )
    return Table(
        "Memory of a full queue while the collector hangs",
        ("way", "spans", "MB", "kB per span", "resident MB"),
        tuple(rows),
    )


def latency_table(latencies: Sequence[Latency], titles: Mapping[str, str]) -> Table:
    """Return what each fault does to single calls."""
    calm = {latency.way: latency.p99_us for latency in latencies if latency.collector == NO_FAULT}
    rows = (
        (
            latency.collector,
            titles[latency.way],
            f"{latency.p50_us:.1f}",
            f"{latency.p99_us:.1f}",
            f"{latency.p999_us:.1f}",
            f"{latency.max_us:.1f}",
            f"{latency.p99_us / calm[latency.way]:.2f}",
        )
        for latency in latencies
    )
    return Table(
        "Microseconds that a sync call takes its caller while the collector ...",
        ("collector", "way", "p50", "p99", "p99.9", "longest", "p99 x no fault"),
        tuple(rows),
        "One call each half millisecond, exported for real.",
    )


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """Return each target with what was measured."""
    rows = (
        (
            verdict.name,
            f"{verdict.measured:.2f}",
            f"{verdict.most:.2f}",
            verdict.unit,
            "PASS" if verdict.kept else "MISS",
        )
        for verdict in verdicts
    )
    return Table("Targets", ("target", "measured", "at most", "unit", "verdict"), tuple(rows))


def how_table(ways: Sequence[Entry]) -> Table:
    """Return how each way was set up."""
    rows = ((entry.title, ", ".join(entry.requires), entry.how) for entry in ways if entry.how)
    return Table("How each way was set up", ("way", "needs", "set up"), tuple(rows))


def write_page(page: Path, results: Results, ways: Sequence[Entry]) -> None:
    """Put the tables into a Markdown page, between the two lines that mark the place.

    Raises:
        ValueError: the page has no such place.
    """
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for the figures; mark it with the lines {BEGIN} and {END}")
    command = " ".join(("python -m benchmarks.sdk", results.options)).strip()
    head = f"`{command}`, {results.at}: {results.machine}.\n"
    sections = [head, *(table.as_markdown() for table in (*tables(results, ways), how_table(ways)))]
    page.write_text(before + BEGIN + "\n\n" + "\n".join(sections) + "\n" + END + after)
