"""Andon's own metrics: valid for Prometheus, each documented, and none forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector.measures import Histogram
from dashboard.metrics import METRICS, Kind, document, exposition, found
from economics.rollups import rollups
from tests.servers import ServeProcess

# Beside its metric each of these says the same in other words, or is text.
SHOWN_AS_JSON_ONLY = {"process.uptime_seconds", "now"}


def parsed(lines: Iterator[str]) -> dict[str, list[Any]]:
    """Samples by family, as Prometheus reads them."""
    return {family.name: family.samples for family in text_string_to_metric_families("\n".join(lines) + "\n")}


def leaves(report: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Paths of the numbers of a report."""
    for key, value in report.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{key}.")
        elif isinstance(value, int | float):
            yield f"{path}{key}"


def test_the_page_about_metrics_is_made_from_the_list() -> None:
    assert Path("docs/metrics.md").read_text("utf-8") == document(), "run: python -m dashboard.metrics --write"


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_say_what_prometheus_expects(metric: Any) -> None:
    assert re.fullmatch(r"(andon|process)(_[a-z]+)+", metric.name)
    assert (metric.kind is Kind.COUNTER) == metric.name.endswith("_total")
    assert metric.help == metric.help.strip()
    assert not metric.help.endswith(".")


def test_no_metric_is_listed_twice() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert len({metric.path for metric in METRICS}) == len(METRICS)


def test_what_is_counted_by_table_and_reason_has_them_as_labels() -> None:
    reason = 'a "bad"\nspan \\ of 8 bytes'
    report = {"collector": {"accepted": {"spans": 5, "logs": 0}, "refused_items": {reason: 2}}}
    families = parsed(exposition(report))
    assert {s.labels["table"]: s.value for s in families["andon_collector_accepted_rows"]} == {"spans": 5, "logs": 0}
    assert [(s.labels, s.value) for s in families["andon_collector_refused_items"]] == [({"reason": reason}, 2)]


def test_what_is_unknown_is_left_out() -> None:
    assert list(exposition({"fold": {"lag_seconds": None}, "collector": {}})) == []


def test_each_fold_is_told_by_its_roll_up() -> None:
    families = parsed(exposition({"fold": {"usage_1m": {"lag_seconds": 70.0}, "engine_1m": {"lag_seconds": None}}}))
    assert [(s.labels, s.value) for s in families["andon_fold_lag_seconds"]] == [({"rollup": "usage_1m"}, 70)]


def test_a_histogram_has_buckets_that_add_up() -> None:
    histogram = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 2.0):
        histogram.observe(seconds)
    report = {"collector": {"writer": {"spans": {"insert_seconds": histogram.report()}}}}
    samples = parsed(exposition(report))["andon_writer_insert_seconds"]
    assert [(s.name.removeprefix("andon_writer_insert_seconds"), s.labels.get("le"), s.value) for s in samples] == [
        ("_bucket", "0.1", 2),
        ("_bucket", "1", 3),
        ("_bucket", "+Inf", 4),
        ("_sum", None, 2.65),
        ("_count", None, 4),
    ]


def test_versions_are_labels_and_a_state_is_0_or_1() -> None:
    report = {"build": {"python": "3.11", "andon": "0.1"}, "collector": {"alive": True}}
    families = parsed(exposition(report))
    assert [(s.labels, s.value) for s in families["andon_build_info"]] == [({"python": "3.11", "andon": "0.1"}, 1)]
    assert families["andon_collector_alive"][0].value == 1


def test_every_number_of_a_running_server_is_a_metric_and_every_metric_is_fed(tmp_path: Path) -> None:
    with ServeProcess(tmp_path / "data") as server:
        report = server.get("/api/v1/health")
        patterns = [re.sub(r"\\{[a-z]+\\}", "[^.]+", re.escape(metric.path)) for metric in METRICS]
        known = re.compile("|".join(f"(?:{pattern})(?:\\.(?:count|sum|buckets\\..*))?" for pattern in patterns))
        assert {path for path in leaves(report) if not known.fullmatch(path)} <= SHOWN_AS_JSON_ONLY
        unfed = {metric.path for metric in METRICS if not list(found(report, metric))}
        unscraped = {path for path in unfed if path.startswith("collector.scrape.by_target.")}
        assert unfed - unscraped == {"collector.refused_items.{reason}", "collector.refused_requests.{reason}"}
        assert report["fold"].keys() == {rollup.grain.table for rollup in rollups().values()}
        assert server.metric("process_resident_memory_bytes") > 50 * 2**20
        assert server.metric("process_cpu_seconds_total") > 0
        assert server.metric("andon_build_info") == 1
        assert report["process"]["uptime_seconds"] > 0
