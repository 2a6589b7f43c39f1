"""`andon serve` as its user meets it: starts, refuses clearly, survives restarts, stops cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.collector.test_decode import VLLM
from tests.servers import ServeProcess, wait_until

pytestmark = pytest.mark.long


def andon(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *words],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environ,
    )


def test_an_empty_directory_becomes_a_server_that_answers_and_stops_cleanly(tmp_path: Path) -> None:
    with ServeProcess(tmp_path / "data") as server:
        assert httpx.get(f"{server.url}/readyz").json() == {"status": "ok"}
        assert server.stop() == 0
        assert not (tmp_path / "data" / "server.json").exists()


def test_what_was_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    with ServeProcess(tmp_path / "data") as server:
        headers = {"content-type": "application/x-protobuf"}
        assert httpx.post(f"{server.otlp_url}/v1/traces", content=VLLM.read_bytes(), headers=headers).status_code == 200
        assert server.stop(signal.SIGINT) == 0
        server.start()
        wait_until(lambda: server.get("/api/v1/summary", window="3650d")["output_tokens"] == 56, "56 tokens")


def test_many_signals_at_once_end_it_as_one_does(tmp_path: Path) -> None:
    """A terminal and a wrapper such as `uv run` each pass Ctrl-C on."""
    with ServeProcess(tmp_path / "data") as server:
        for number in (signal.SIGTERM, signal.SIGINT) * 20:
            server.send_signal(number)
        assert server.stop() == 0
        assert "Traceback" not in server.log


@pytest.mark.parametrize("host", ["0.0.0.0", "10.1.2.3", "::", "example.org"])  # noqa: S104
def test_binding_beyond_loopback_is_refused_until_there_is_login(tmp_path: Path, host: str) -> None:
    done = andon("serve", "--data-dir", str(tmp_path), "--host", host)
    assert done.returncode == 2
    assert "is refused: there is no login yet" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_directory_serves_one_process(tmp_path: Path) -> None:
    with ServeProcess(tmp_path / "data"):
        done = andon(
            "serve", "--data-dir", str(tmp_path / "data"), "--port", "0", "--otlp-port", "0", "--otlp-grpc-port", "0"
        )
    assert done.returncode == 2
    assert "is in use by another Andon process" in done.stderr


@pytest.mark.parametrize(
    ("option", "setting", "address"),
    [
        ("--port", "server.port", "url"),
        ("--otlp-port", "server.otlp_http_port", "otlp_url"),
        ("--otlp-grpc-port", "server.otlp_grpc_port", "otlp_grpc_url"),
    ],
)
def test_a_port_that_is_taken_is_named_with_its_setting(
    tmp_path: Path, option: str, setting: str, address: str
) -> None:
    free = dict.fromkeys(("--port", "--otlp-port", "--otlp-grpc-port"), "0")
    with ServeProcess(tmp_path / "one") as server:
        port = getattr(server, address).rsplit(":", 1)[1]
        options = [text for pair in (free | {option: port}).items() for text in pair]
        done = andon("serve", "--data-dir", str(tmp_path / "two"), *options)
    assert done.returncode == 2
    assert f"{setting} = {port} on 127.0.0.1 cannot be opened" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        ("port = ", "is not valid TOML"),
        ("[collector]\nmax_body_bytes = -1", "collector.max_body_bytes"),
        ("[[pools]]\nname = 'x'", "pools.0.accelerator"),
        ("surprise = 1", "surprise"),
        ("[[alerts.rules]]\nname='r'\nsignal='usage.output_tps'\nop='>'\nvalue='many'", "usage.output_tps"),
        ("[[drift.monitors]]\nname='m'\nsignal='nonsense'", "nonsense"),
    ],
)
def test_settings_that_cannot_be_used_are_explained_in_one_go(tmp_path: Path, toml: str, says: str) -> None:
    config = tmp_path / "andon.toml"
    config.write_text(toml)
    done = andon(
        "serve",
        "--data-dir",
        str(tmp_path / "d"),
        "--config",
        str(config),
        "--port",
        "0",
        "--otlp-port",
        "0",
        "--otlp-grpc-port",
        "0",
    )
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("variable", ["ANDON_TELEMETRY_URL", "ANDON_CONTROL_URL"])
@pytest.mark.parametrize("url", ["foo", "clickhousedb://127.0.0.1:1/x", "postgresql://u:hunter2@127.0.0.1:1/x"])
def test_a_store_that_cannot_be_used_is_explained_without_its_password(tmp_path: Path, variable: str, url: str) -> None:
    done = andon(
        "serve",
        "--data-dir",
        str(tmp_path),
        "--port",
        "0",
        "--otlp-port",
        "0",
        "--otlp-grpc-port",
        "0",
        **{variable: url},
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stderr


def test_a_directory_with_odd_characters_holds_everything_that_is_its_own(tmp_path: Path) -> None:
    with ServeProcess(tmp_path / "a+b%41&c#d") as server:
        assert server.stop() == 0
    assert {path.name for path in tmp_path.iterdir()} == {"a+b%41&c#d", "a+b%41&c#d.log"}
    assert {"telemetry", "control.sqlite", "journal"} <= {path.name for path in server.data_dir.iterdir()}


def test_environment_variables_set_what_the_file_does_not(tmp_path: Path) -> None:
    done = andon("serve", "--data-dir", str(tmp_path), ANDON_SERVER__HOST="10.0.0.1")
    assert "server.host = '10.0.0.1' is refused" in done.stderr


def test_a_data_directory_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    import sqlite3

    with ServeProcess(tmp_path / "data") as server:
        server.stop()
        control = sqlite3.connect(tmp_path / "data" / "control.sqlite")
        control.execute("UPDATE andon_control_version SET version_num = '9999'")
        control.commit()
        control.close()
        done = andon(
            "serve", "--data-dir", str(tmp_path / "data"), "--port", "0", "--otlp-port", "0", "--otlp-grpc-port", "0"
        )
    assert done.returncode == 2
    assert "written by a newer version" in done.stderr


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("serve",),
        ("collector",),
        ("worker",),
        ("dashboard",),
        ("demo",),
        ("checklist",),
        ("drift",),
        ("drift", "baseline"),
    ],
)
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    done = andon(*command, "--help", COLUMNS="200", NO_COLOR="1")
    assert done.returncode == 0
    assert "Usage" in done.stdout
    if command and command != ("drift",):
        assert "Examples" in done.stdout
