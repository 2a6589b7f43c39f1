"""Our own metrics: one list that says what each is, from which number of the health report it is read, and its labels.

`/metrics` is written from it, and so is `docs/metrics.md` (`python -m dashboard.metrics --write`; a test checks it).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final


class Kind(StrEnum):
    """The types of the Prometheus text format that are used."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        name: as it is exposed; its unit is its last word, or the one before `_total`.
        path: steps into the health report; a step `{label}` goes into every entry, whose key is the label's value.
            A histogram is `count`, `sum` and `buckets`. `build` is text by label and has the value 1.
    """

    name: str
    kind: Kind
    path: str
    help: str

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(step[1:-1] for step in self.path.split(".") if step.startswith("{"))


_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

METRICS: Final = (
    Metric("andon_collector_alive", _G, "collector.alive", "1 while every decoding, journal and writer thread works"),
    Metric("andon_collector_requests_total", _C, "collector.requests_total", "requests that came, over HTTP and gRPC"),
    Metric(
        "andon_collector_duplicate_requests_total",
        _C,
        "collector.duplicate_requests_total",
        "requests that were sent again within ten minutes, and not stored again",
    ),
    Metric(
        "andon_collector_forgotten_requests_total",
        _C,
        "collector.forgotten_requests_total",
        "requests that would not be recognised any more although ten minutes are not over: too many came since",
    ),
    Metric(
        "andon_collector_accepted_rows_total",
        _C,
        "collector.accepted.{table}",
        "rows that are on disk and were acknowledged",
    ),
    Metric(
        "andon_collector_refused_items_total",
        _C,
        "collector.refused_items.{reason}",
        "items refused alone, within a request that was taken",
    ),
    Metric(
        "andon_collector_refused_requests_total",
        _C,
        "collector.refused_requests.{reason}",
        "requests refused as a whole",
    ),
    Metric(
        "andon_collector_decoded_requests_total", _C, "collector.decoded.requests_total", "requests that were decoded"
    ),
    Metric(
        "andon_collector_decoded_bytes_total",
        _C,
        "collector.decoded.bytes_total",
        "bytes of requests that were decoded, after decompression",
    ),
    Metric(
        "andon_collector_decoded_items_total",
        _C,
        "collector.decoded.items_total",
        "items in requests that were decoded, refused ones among them",
    ),
    Metric(
        "andon_collector_decode_seconds_total",
        _C,
        "collector.decoded.seconds_total",
        "time that decoding took, of all threads",
    ),
    Metric("andon_collector_in_flight_bytes", _G, "collector.in_flight.bytes", "bytes of requests that are held now"),
    Metric(
        "andon_collector_in_flight_limit_bytes",
        _G,
        "collector.in_flight.limit_bytes",
        "bytes of requests that may be held: collector.max_in_flight_bytes",
    ),
    Metric(
        "andon_collector_series",
        _G,
        "collector.series.today",
        "distinct series of metric points of today, in all projects, as far as they were seen since start",
    ),
    Metric(
        "andon_collector_announced_series_total",
        _C,
        "collector.series.announced_total",
        "series that were stored with what they say: once for each day, and again after a start",
    ),
    Metric(
        "andon_collector_forgotten_series_total",
        _C,
        "collector.series.forgotten_total",
        "how often all series are stored anew: they were too many to remember, or a segment was refused or damaged",
    ),
    Metric(
        "andon_collector_column_values",
        _G,
        "collector.columns.{table}.{column}.values",
        "distinct values of a guarded column today, in the project that has most",
    ),
    Metric(
        "andon_collector_column_limit_values",
        _G,
        "collector.columns.{table}.{column}.limit",
        "new values that the column may take in a day",
    ),
    Metric(
        "andon_collector_column_folded_rows_total",
        _C,
        "collector.columns.{table}.{column}.folded_total",
        "rows whose value was beyond the limit and became __other__",
    ),
    Metric(
        "andon_collector_scrape_targets",
        _G,
        "collector.scrape.targets",
        "targets that are scraped",
    ),
    Metric(
        "andon_collector_scrape_targets_up",
        _G,
        "collector.scrape.targets_up",
        "targets whose last scrape succeeded",
    ),
    Metric(
        "andon_collector_scrape_up",
        _G,
        "collector.scrape.by_target.{target}.up",
        "1 while the last scrape of the target succeeded; absent before the first",
    ),
    Metric(
        "andon_collector_scrape_last_success_age_seconds",
        _G,
        "collector.scrape.by_target.{target}.last_success_age_seconds",
        "time since the last scrape that succeeded",
    ),
    Metric(
        "andon_collector_scrape_duration_seconds",
        _G,
        "collector.scrape.by_target.{target}.duration_seconds",
        "time that the last scrape took",
    ),
    Metric(
        "andon_collector_scrape_samples",
        _G,
        "collector.scrape.by_target.{target}.samples",
        "samples of the last scrape",
    ),
    Metric(
        "andon_collector_scrape_scrapes_total",
        _C,
        "collector.scrape.by_target.{target}.scrapes_total",
        "scrapes",
    ),
    Metric(
        "andon_collector_scrape_samples_total",
        _C,
        "collector.scrape.by_target.{target}.samples_total",
        "samples that were read",
    ),
    Metric(
        "andon_collector_scrape_rows_total",
        _C,
        "collector.scrape.by_target.{target}.rows_total",
        "rows that were stored",
    ),
    Metric(
        "andon_collector_scrape_lost_rows_total",
        _C,
        "collector.scrape.by_target.{target}.lost_rows_total",
        "rows that the journal did not take",
    ),
    Metric(
        "andon_collector_scrape_ended_series_total",
        _C,
        "collector.scrape.by_target.{target}.ended_series_total",
        "series that ended, each with a gap",
    ),
    Metric(
        "andon_collector_scrape_failures_in_row",
        _G,
        "collector.scrape.by_target.{target}.failures_in_row",
        "failed scrapes since the last that succeeded",
    ),
    Metric(
        "andon_collector_scrape_failures_total",
        _C,
        "collector.scrape.by_target.{target}.failures_total.{reason}",
        "failed scrapes",
    ),
    Metric(
        "andon_collector_scrape_refused_total",
        _C,
        "collector.scrape.by_target.{target}.refused_total.{reason}",
        "lines, samples and rows that were refused",
    ),
    Metric("andon_journal_bytes", _G, "collector.journal.{table}.bytes", "bytes of the journal on disk"),
    Metric(
        "andon_journal_limit_bytes",
        _G,
        "collector.journal.{table}.limit_bytes",
        "bytes above which nothing more is taken: collector.journal_max_bytes",
    ),
    Metric("andon_journal_segments", _G, "collector.journal.{table}.segments", "segments that are not in the store"),
    Metric(
        "andon_journal_quarantined_segments",
        _G,
        "collector.journal.{table}.quarantined_segments",
        "segments in the journal's folder quarantine: look at them",
    ),
    Metric(
        "andon_journal_quarantined_bytes",
        _G,
        "collector.journal.{table}.quarantined_bytes",
        "their bytes, which count against the limit",
    ),
    Metric(
        "andon_journal_faults_total",
        _C,
        "collector.journal.{table}.faults_total",
        "unexpected failures of the journal itself; the requests at hand were told to try again",
    ),
    Metric(
        "andon_journal_oldest_segment_age_seconds",
        _G,
        "collector.journal.{table}.oldest_age_seconds",
        "age of the oldest segment that is not in the store; absent when there is none",
    ),
    Metric("andon_writer_rows_total", _C, "collector.writer.{table}.rows_total", "rows put into the store"),
    Metric("andon_writer_segments_total", _C, "collector.writer.{table}.segments_total", "segments put into the store"),
    Metric(
        "andon_writer_failed_inserts_total",
        _C,
        "collector.writer.{table}.failed_inserts_total",
        "inserts that the store did not take; each is tried again",
    ),
    Metric(
        "andon_writer_quarantined_segments_total",
        _C,
        "collector.writer.{table}.quarantined_total",
        "damaged segments that were set aside",
    ),
    Metric(
        "andon_writer_set_aside_segments_total",
        _C,
        "collector.writer.{table}.set_aside_total",
        "segments that the store refused again and again while it took others, and that were set aside",
    ),
    Metric(
        "andon_writer_insert_seconds",
        _H,
        "collector.writer.{table}.insert_seconds",
        "time of an insert, of those that the store took",
    ),
    Metric("andon_collectors", _G, "collectors.by_state.{state}", "collectors by what their heartbeats say"),
    Metric(
        "andon_collectors_holding_rows_back",
        _G,
        "collectors.holding_rows_back",
        "collectors that are away with acknowledged rows in their journals: start them again",
    ),
    Metric(
        "andon_fold_lag_seconds",
        _G,
        "fold.{rollup}.lag_seconds",
        "now less the end of the newest folded minute; absent while there is none, and of slices",
    ),
    Metric(
        "andon_fold_waiting_minutes",
        _G,
        "fold.{rollup}.waiting_minutes",
        "minutes (of `usage_5s`: slices) that hold rows and are not folded as they stand, those still open among them",
    ),
    Metric(
        "andon_fold_too_late_rows_total",
        _C,
        "fold.{rollup}.too_late_rows_total",
        "rows that came for minutes which retention has closed: the roll-up does not hold them",
    ),
    Metric(
        "andon_retention_removed_partitions_total",
        _C,
        "retention.{table}.partitions_total",
        "days or months that were dropped, whole or for some projects",
    ),
    Metric("andon_retention_removed_rows_total", _C, "retention.{table}.rows_total", "rows that were dropped"),
    Metric(
        "andon_retention_waiting_partitions",
        _G,
        "retention.{table}.waiting_partitions",
        "days past their policy that the last run left, as they are not rolled up or there were too many",
    ),
    Metric("andon_background_runs_total", _C, "background.{task}.runs_total", "runs of a background task"),
    Metric("andon_background_failures_total", _C, "background.{task}.failures_total", "runs of it that failed"),
    Metric("andon_background_leading", _G, "background.{task}.leading", "1 while this process is the one that does it"),
    Metric("andon_background_failing", _G, "background.{task}.failing", "1 when its last run failed"),
    Metric("andon_background_last_run_seconds", _G, "background.{task}.last_run_seconds", "how long its last run took"),
    Metric("andon_background_busy_seconds_total", _C, "background.{task}.busy_seconds_total", "how long its runs took"),
    Metric("andon_build_info", _G, "build", "1; the versions are its labels"),
    Metric("process_cpu_seconds_total", _C, "process.cpu_seconds_total", "user and system CPU time of the process"),
    Metric("process_resident_memory_bytes", _G, "process.resident_bytes", "memory of the process that is in RAM"),
    Metric("process_open_fds", _G, "process.open_files", "open file descriptors"),
    Metric("process_max_fds", _G, "process.open_files_limit", "how many there may be"),
    Metric("process_start_time_seconds", _G, "process.start_time_seconds", "when the process began, in Unix time"),
)


def exposition(health: Mapping[str, Any]) -> Iterator[str]:
    """The health report as lines of the Prometheus text format; what is unknown is left out, never 0."""
    for metric in METRICS:
        samples = [line for labels, value in found(health, metric) for line in _sample(metric, labels, value)]
        if samples:
            yield f"# HELP {metric.name} {_escaped(metric.help)}"
            yield f"# TYPE {metric.name} {metric.kind}"
            yield from samples


def found(health: Mapping[str, Any], metric: Metric) -> Iterator[tuple[dict[str, str], Any]]:
    """What the report holds at a metric's path, with the labels that led there."""
    places: list[tuple[dict[str, str], Any]] = [({}, health)]
    for step in metric.path.split("."):
        below = []
        for labels, place in places:
            if not isinstance(place, Mapping):
                continue
            if step.startswith("{"):
                below += [({**labels, step[1:-1]: str(key)}, value) for key, value in place.items()]
            elif step in place:
                below.append((labels, place[step]))
        places = below
    yield from places


def _sample(metric: Metric, labels: dict[str, str], value: Any) -> Iterator[str]:
    if metric.kind is Kind.HISTOGRAM:
        for bound, count in {**value["buckets"], "+Inf": value["count"]}.items():
            yield f"{metric.name}_bucket{_text({**labels, 'le': bound})} {count}"
        yield f"{metric.name}_sum{_text(labels)} {value['sum']!r}"
        yield f"{metric.name}_count{_text(labels)} {value['count']}"
    elif isinstance(value, Mapping):
        yield f"{metric.name}{_text({name: str(text) for name, text in value.items()})} 1"
    elif isinstance(value, bool | int | float):
        yield f"{metric.name}{_text(labels)} {int(value) if isinstance(value, bool) else value!r}"


def _text(labels: Mapping[str, str]) -> str:
    inner = ",".join(f'{name}="{_escaped(value, quotes=True)}"' for name, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _escaped(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


_INTRO = """\
# Metrics of Andon itself

`GET /metrics` on the dashboard's port answers in the Prometheus text format; `GET /api/v1/health` answers the same
numbers as JSON, with the last error of whatever failed. Counters count since the process started. What is unknown is
absent, never 0.

Worth an alert: `andon_collector_alive == 0`; `andon_background_failing == 1` for some minutes;
`andon_journal_oldest_segment_age_seconds > 60`, for then the store does not take rows; `andon_fold_lag_seconds > 300`;
`rate(andon_collector_column_folded_rows_total[10m]) > 0`, for then somebody puts ids where names belong.

| metric | type | labels | in the health report | meaning |
|---|---|---|---|---|
"""


def document() -> str:
    """`docs/metrics.md`."""
    lines = []
    for metric in METRICS:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | `{metric.path}` | {metric.help} |\n")
    return _INTRO + "".join(lines)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        Path("docs/metrics.md").write_text(document(), encoding="utf-8")
    else:
        sys.stdout.write(document())
