"""Scraping as part of the collector: from a real server to a real store, beside targets that misbehave."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from collector.intake import Intake
from dashboard.metrics import exposition
from settings import CollectorSettings, ScrapeTarget, Settings
from store.telemetry import TelemetryStore
from tests.collector.exporter import Exporter
from tests.collector.test_metrics_stored import PROTOBUF, body_of, five_kinds
from tests.servers import wait_until

VLLM = (Path(__file__).parent / "data" / "vllm_0.32.0_metrics.prom").read_text()


def running(folder: Path, telemetry: TelemetryStore, *targets: ScrapeTarget) -> Intake:
    intake = Intake(Settings(data_dir=folder, collector=CollectorSettings(scrape=targets)), telemetry)
    intake.start()
    return intake


def target(name: str, url: str, **settings: Any) -> ScrapeTarget:
    return ScrapeTarget(name=name, url=url, **({"interval_seconds": 0.5} | settings))


def health_of(intake: Intake, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        health for key, health in intake.health()["scrape"]["by_target"].items() if key.startswith(f"{name} ")
    )
    return found


def test_what_a_real_vllm_shows_stands_in_the_store(tmp_path: Path, telemetry: TelemetryStore) -> None:
    with Exporter(VLLM) as exporter:
        labels = {"deployment.environment.name": "lab"}
        intake = running(tmp_path, telemetry, target("vllm", exporter.url, labels=labels, accelerator_pool="h100"))
        wait_until(lambda: health_of(intake, "vllm")["rows_total"] > 74, "the target is scraped")
        intake.stop()
    rows = telemetry.rows(
        "SELECT metric, kind, value, count, sum, bucket_counts, bucket_bounds, start_time, service, environment, "
        "accelerator_pool, attributes FROM metrics "
        "WHERE time = (SELECT min(time) FROM metric_points WHERE metric = 'up' AND value = 1)"
    )
    stored = {(row["metric"], *sorted(row["attributes"].items())): row for row in rows}
    assert len(rows) == 74 + 3
    engine = (("engine", "0"), ("model_name", "tiny"))
    tokens = stored["vllm:prompt_tokens_total", *engine]
    assert (tokens["kind"], tokens["value"]) == ("sum", 7197.0)
    assert tokens["start_time"].timestamp() == 1795370883.842489
    assert (tokens["service"], tokens["environment"], tokens["accelerator_pool"]) == ("vllm", "lab", "h100")
    prompts = stored["vllm:request_prompt_tokens", *engine]
    assert (prompts["kind"], prompts["count"], prompts["sum"]) == ("histogram", 42, 7197.0)
    assert prompts["bucket_bounds"] == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    assert prompts["bucket_counts"] == [0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0]
    assert stored["vllm:num_requests_running", *engine]["kind"] == "gauge"
    assert (stored["up",]["value"], stored["scrape_samples_scraped",]["value"]) == (1.0, 425.0)


def test_a_hostile_target_hurts_neither_its_neighbour_nor_the_receivers(
    tmp_path: Path, telemetry: TelemetryStore
) -> None:
    gone = threading.Event()

    def never_end(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while not gone.is_set():
            handler.wfile.write(b'a{b="' + b"x" * 2**16)

    def hang(_: BaseHTTPRequestHandler) -> None:
        gone.wait()

    with Exporter() as endless, Exporter() as hanging, Exporter("a 1\n") as good:
        endless.handle, hanging.handle = never_end, hang
        intake = running(
            tmp_path,
            telemetry,
            target("endless", endless.url, max_body_bytes=10**6),
            target("hanging", hanging.url, interval_seconds=0.2),
            target("good", good.url),
        )
        wait_until(lambda: "too_large" in health_of(intake, "endless")["failures_total"], "endless is cut off")
        wait_until(lambda: "timeout" in health_of(intake, "hanging")["failures_total"], "hanging is given up")
        before = health_of(intake, "good")["scrapes_total"]
        wait_until(lambda: health_of(intake, "good")["scrapes_total"] > before + 2, "the good one goes on")
        with TestClient(intake.receiver.app(), "http://localhost") as client:
            assert client.post("/v1/metrics", content=body_of(*five_kinds()), headers=PROTOBUF).status_code == 200
        assert health_of(intake, "good")["failures_total"] == {}
        assert intake.alive
        gone.set()
        intake.stop()


def test_a_target_that_comes_back_is_found_up_again(tmp_path: Path, telemetry: TelemetryStore) -> None:
    with Exporter("a 1\n") as exporter:
        show, exporter.handle = exporter.handle, lambda handler: handler.send_error(503)
        intake = running(tmp_path, telemetry, target("engine", exporter.url))
        wait_until(lambda: health_of(intake, "engine")["failures_in_row"] > 1, "it fails")
        assert health_of(intake, "engine")["last_error"] == "the target answered 503"
        exporter.handle = show
        wait_until(lambda: health_of(intake, "engine")["up"] is True, "it is up")
        intake.stop()


def test_metrics_tell_of_each_target_with_its_failures_and_refusals_by_reason(
    tmp_path: Path, telemetry: TelemetryStore
) -> None:
    with Exporter("a 1\nb one\n") as exporter:
        gone = Exporter()
        with gone:
            pass
        intake = running(tmp_path, telemetry, target("good", exporter.url), target("gone", gone.url))
        wait_until(lambda: health_of(intake, "good")["rows_total"] > 0, "the good one is scraped")
        wait_until(lambda: health_of(intake, "gone")["scrapes_total"] > 0, "the other is tried")
        lines = dict(line.rsplit(" ", 1) for line in exposition({"collector": intake.health()}))
        intake.stop()
    good, bad = f'target="good 127.0.0.1:{exporter.port}"', f'target="gone 127.0.0.1:{gone.port}"'
    assert lines["andon_collector_scrape_targets"] == "2"
    assert lines[f"andon_collector_scrape_up{{{good}}}"] == "1"
    assert lines[f"andon_collector_scrape_up{{{bad}}}"] == "0"
    assert lines[f"andon_collector_scrape_samples{{{good}}}"] == "1"
    assert float(lines[f"andon_collector_scrape_last_success_age_seconds{{{good}}}"]) >= 0
    assert f"andon_collector_scrape_last_success_age_seconds{{{bad}}}" not in lines
    reason = 'reason="the value or time is not a number"'
    assert float(lines[f"andon_collector_scrape_refused_total{{{good},{reason}}}"]) >= 1
    assert float(lines[f'andon_collector_scrape_failures_total{{{bad},reason="connect"}}']) >= 1


def test_without_targets_nothing_runs(tmp_path: Path, telemetry: TelemetryStore) -> None:
    intake = running(tmp_path, telemetry)
    assert intake.alive
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("scrape")]
    assert intake.health()["scrape"] == {"targets": 0, "targets_up": 0, "by_target": {}}
    intake.stop()
