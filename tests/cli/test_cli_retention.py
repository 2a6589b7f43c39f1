"""`andon retention` as its user meets it: with and without a server, as a table and as JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from cli.retention import render, size_text
from cli.upkeep import retention_of
from dashboard.retention import GoingJson, RetentionJson, RunJson
from settings import Settings
from store.control import ControlStore
from store.engine_logs import EngineLog
from store.retention_status import Kept, TableBytes
from store.telemetry import TelemetryStore
from tests.cli.test_cli_serve import andon
from tests.servers import ServeProcess, wait_until

NOW = datetime(2026, 11, 24, 14, tzinfo=UTC)
DAY = timedelta(days=1)


def test_the_table_says_policy_age_size_and_what_goes_next() -> None:
    found = RetentionJson(
        now=NOW,
        kept=[
            Kept("logs", "default", 14, 3, NOW - 9 * DAY, NOW, 2048, "20261115", datetime(2026, 11, 30, tzinfo=UTC)),
            Kept("usage_1m", "", None, 1, NOW - 9 * DAY, NOW, 100, None, None),
        ],
        bytes=[TableBytes("logs", 2048, 1024), TableBytes("usage_1m", 100, 0)],
        engine_logs=[EngineLog("query_log", 5, 10, False, None)],
        due=RunJson(NOW, True, (GoingJson("spans", "20261001", ("a",), 7, "the fold has 2 minutes to do"),), {}, ()),
        last=None,
    )
    assert list(render(found)) == [
        "table     project  keeps     oldest      newest      rows  on disk  goes next",
        "logs      default  14 d      2026-11-15  2026-11-24  3     2.0 KiB  20261115 on 2026-11-30",
        "usage_1m  -        for ever  2026-11-15  2026-11-24  1     100 B    never",
        "",
        "all tables: 2.1 KiB on disk, 1.0 KiB of it dropped and not yet removed by the engine",
        "system.query_log: 5 rows, 10 B, GROWS WITHOUT END: see retention.engine_logs",
        "spans 20261001: 7 rows of a wait: the fold has 2 minutes to do",
    ]


def test_sizes_are_read_in_powers_of_1024() -> None:
    assert [size_text(count) for count in (0, 1023, 1024, 5 * 2**30)] == ["0 B", "1023 B", "1.0 KiB", "5.0 GiB"]


def test_the_hourly_run_also_prunes_the_history_of_alerts(telemetry: TelemetryStore, control: ControlStore) -> None:
    run = retention_of(telemetry, control, Settings()).run_once(NOW)
    assert dict(run.chores) == {"replaced_rollups": 0, "old_slices": 0, "alert_events": 0, "engine_logs": 0}


def test_contradicting_options_are_refused(tmp_path: Path) -> None:
    done = andon("retention", "--apply", "--dry-run", "--data-dir", str(tmp_path))
    assert (done.returncode, done.stderr) == (
        2,
        "andon: --apply and --dry-run contradict each other; give one of them\n",
    )


def test_from_stores_that_are_servers_only_the_worker_removes(tmp_path: Path) -> None:
    config = tmp_path / "andon.toml"
    config.write_text(
        'telemetry_url = "clickhousedb://127.0.0.1:1/andon"\ncontrol_url = "postgresql://127.0.0.1:1/andon"\n'
    )
    done = andon("retention", "--apply", "--config", str(config), "--data-dir", str(tmp_path))
    assert (done.returncode, done.stderr) == (
        2,
        "andon: --apply: the stores are servers, and from them the worker removes what is past its policy, once an "
        "hour; run andon worker (or andon serve), and see with --dry-run what it will remove\n",
    )


def test_it_tells_and_does_the_same_through_a_server_and_without_one(tmp_path: Path) -> None:
    data = ("--data-dir", str(tmp_path / "data"))
    old = datetime.now(UTC) - 20 * DAY
    would_go = f"logs {old:%Y%m%d}: 1 rows would go\n"
    with ServeProcess(tmp_path / "data") as server:
        send_log(server, old, "first")
        wait_until(lambda: kept_tables(server) == {"logs"}, "the record is stored")
        assert andon("retention", "--dry-run", *data).stdout == would_go
        assert andon("retention", "--apply", *data).stdout == would_go.replace("would go", "went")
        assert kept_tables(server) == set()
        send_log(server, old, "second")  # the same again within ten minutes would not be stored
        wait_until(lambda: kept_tables(server) == {"logs"}, "the record is stored")
        assert server.stop() == 0
        applied = andon("retention", "--apply", *data)
        assert (applied.returncode, applied.stdout) == (0, would_go.replace("would go", "went")), applied.stderr
    shown = json.loads(andon("retention", "--json", *data).stdout)
    assert [line["table"] for line in shown["kept"] if line["project"]] == []
    assert shown["engine_logs"] == []


def kept_tables(server: ServeProcess) -> set[str]:
    """Tables of facts that hold rows."""
    return {line["table"] for line in server.get("/api/v1/retention")["kept"] if line["project"]}


def send_log(server: ServeProcess, at: datetime, text: str) -> None:
    record = {"timeUnixNano": str(int(at.timestamp()) * 10**9), "body": {"stringValue": text}}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    assert httpx.post(f"{server.otlp_url}/v1/logs", json=body, timeout=30).status_code == 200
