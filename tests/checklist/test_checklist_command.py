"""`andon checklist` as cron and CI run it: its exit codes and its words, with and without a running server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from captured_source import MONITOR_PASSWORD, Source
from click.testing import Result
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from typer.testing import CliRunner

from checklist.model import CheckResult, Evidence, Status
from checklist.status import ChecklistItem
from cli.checklist import render
from cli.main import app
from cli.stores import running_server
from dashboard.api import ChecklistJson
from store.control import ControlStore
from tests.servers import ServeProcess, wait_until

CONFIG = """
[[pools]]
name = "lab"
accelerator = "H100-SXM"
count = 1
usd_per_hour = {usd_per_hour}
serves.models = ["tiny"]

[checklist]
poll_seconds = 1

[[checklist.cdc]]
name = "shop"
url = "{url}"

[checklist.tco]
egress_usd_per_gb = "0.09"
egress_bytes_per_output_token = "6.6"
baseline_provider = "openai"
baseline_model = "gpt-4o-mini"

[checklist.observability]
expected_pipelines = ["rag"]
silent_warn_seconds = 3600
silent_fail_seconds = 7200
"""


def andon(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("ANDON_")}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "checklist", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


def one_million_tokens() -> bytes:
    """One finished call of pipeline `rag`: a million tokens in, a million out."""
    end = time.time_ns()
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name, span.kind = bytes([1] * 16), bytes([2] * 8), "generate", 1
    span.start_time_unix_nano, span.end_time_unix_nano = end - 10**9, end
    for key, value in (
        ("andon.pipeline", "rag"),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.request.model", "tiny"),
    ):
        span.attributes.append(KeyValue(key=key, value=AnyValue(string_value=value)))
    for key in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
        span.attributes.append(KeyValue(key=key, value=AnyValue(int_value=10**6)))
    return request.SerializeToString()


@pytest.fixture
def config(tmp_path: Path, source: Source) -> Iterator[Path]:
    """A configuration in which everything is well: a consumed slot, a cheap pool, an expected pipeline."""
    source.create_slot()
    source.consume()
    path = tmp_path / "andon.toml"
    path.write_text(CONFIG.format(usd_per_hour="0.01", url=source.url()))
    yield path


@pytest.mark.postgres
def test_the_exit_code_is_the_worst_state_with_and_without_a_server(
    config: Path, source: Source, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    arguments = ("--data-dir", str(data_dir), "--config", str(config))
    with ServeProcess(data_dir, config) as server:
        answer = httpx.post(
            f"{server.otlp_url}/v1/traces",
            content=one_million_tokens(),
            headers={"content-type": "application/x-protobuf"},
            timeout=60,
        )
        assert answer.status_code == 200
        wait_until(lambda: server.get("/api/v1/checklist")["worst"] == "OK", "all is well")
        asked = andon(*arguments, "--json")
        assert (asked.returncode, json.loads(asked.stdout)["exit_code"]) == (0, 0)
        assert server.stop() == 0

    alone = andon(*arguments)
    assert alone.returncode == 0
    assert "OK      Change data capture (cdc): 1 slot is consumed and safe on shop" in alone.stdout
    assert "\x1b" not in alone.stdout

    costly = tmp_path / "costly.toml"
    costly.write_text(config.read_text().replace('"0.09"', '"0.09"\ntarget_ratio = "1e9"'))
    warned = andon("--data-dir", str(data_dir), "--config", str(costly))
    assert warned.returncode == 1
    assert "it saves, but not 1E+9:1" in warned.stdout

    broken = tmp_path / "broken.toml"
    broken.write_text(CONFIG.format(usd_per_hour="0.01", url="postgresql://u:s3cret@127.0.0.1:1/x"))
    failed = andon("--data-dir", str(data_dir), "--config", str(broken))
    assert failed.returncode == 2
    assert "s3cret" not in failed.stdout + failed.stderr
    assert failed.stdout.rstrip().endswith("worst: FAIL")
    assert MONITOR_PASSWORD not in asked.stdout + alone.stdout + warned.stdout


def test_a_fresh_installation_is_unknown_and_says_what_to_do(tmp_path: Path) -> None:
    found = andon("--data-dir", str(tmp_path / "data"))
    assert found.returncode == 3
    assert "worst: UNKNOWN" in found.stdout
    for remedy in ("[[checklist.cdc]]", "Set checklist.tco.egress_usd_per_gb.", "@andon.pipeline"):
        assert remedy in found.stdout
    assert found.stderr == ""


def test_settings_that_cannot_be_used_are_unknown_and_not_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "andon.toml"
    path.write_text("[checklist]\npoll_seconds = -1\n")
    found = CliRunner().invoke(app, ["checklist", "--data-dir", str(tmp_path / "data"), "--config", str(path)])
    assert (found.exit_code, found.stdout) == (3, "")
    assert "checklist.poll_seconds" in found.stderr


def accept(slot: str, data_dir: Path) -> Result:
    return CliRunner().invoke(app, ["checklist", "--data-dir", str(data_dir), "--accept-slot", slot])


@pytest.mark.parametrize(
    ("given", "said"), [("shop", "give SOURCE/SLOT"), ("shop/nothing", "no slot of that name was seen")]
)
def test_accepting_what_was_never_seen_is_refused(given: str, said: str, tmp_path: Path) -> None:
    found = accept(given, tmp_path)
    assert found.exit_code == 3
    assert said in found.stderr


@pytest.mark.postgres
def test_an_accepted_slot_is_green_at_the_next_look(source: Source, control: ControlStore, tmp_path: Path) -> None:
    source.create_slot()
    source.create_slot("retired")
    source.look()
    source.execute("SELECT pg_drop_replication_slot('retired')")

    def gone() -> list[Status | None]:
        return [row.status for row in source.look().evidence if "retired" in row.label]

    assert [gone(), gone()] == [[Status.WARN], [Status.FAIL]]
    # The fixture's control store is the one of a data directory.
    assert accept("shop/retired", tmp_path).exit_code == 0
    assert gone() == []


def test_a_server_that_is_gone_is_not_believed(tmp_path: Path) -> None:
    assert running_server(tmp_path) is None
    for text in ("", "[]", '{"pid": 1}', '{"pid": 1, "url": "http://127.0.0.1:1"}', '{"url": "nonsense"}'):
        (tmp_path / "server.json").write_text(text)
        assert running_server(tmp_path) is None


def example() -> ChecklistJson:
    now = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
    row = Evidence("shop / orders: consumer", "no consumer for 5 min", Status.FAIL, remedy="Restart the connector.")
    fine = Evidence("shop: database", "PostgreSQL 18.4", Status.OK)
    result = CheckResult("cdc", "Change data capture", Status.FAIL, "no consumer", (fine, row), row.remedy, now)
    item = ChecklistItem(
        result.name, result.title, result.status, result.summary, result.evidence, result.remedy, now,
        now - timedelta(minutes=5), 4.0, stale=False,
    )  # fmt: skip
    return ChecklistJson(now, Status.FAIL, 2, (item,))


def test_the_words_on_a_terminal() -> None:
    assert list(render(example(), coloured=False)) == [
        "FAIL    Change data capture (cdc): no consumer",
        "        looked 4 s ago, since 2026-03-01 02:55:00 UTC",
        "        OK      shop: database: PostgreSQL 18.4",
        "        FAIL    shop / orders: consumer: no consumer for 5 min",
        "                -> Restart the connector.",
        "worst: FAIL",
    ]


def test_colour_only_repeats_the_word() -> None:
    assert next(iter(render(example(), coloured=True))).startswith("\x1b[31mFAIL   \x1b[0m Change data capture")
