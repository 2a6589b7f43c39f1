"""A real `andon serve` as a process, for tests that stop, kill and restart it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

DEADLINE_SECONDS = 60.0


class ServeProcess:
    """`andon serve` on free ports over one data directory; a context manager that always ends what it started."""

    def __init__(
        self, data_dir: Path, config: Path | None = None, command: tuple[str, ...] = ("serve",), otlp_port: int = 0
    ) -> None:
        self.data_dir = data_dir
        self._otlp_port = otlp_port
        self._config = config
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.otlp_url = ""
        self.otlp_grpc_url = ""

    def __enter__(self) -> ServeProcess:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def log(self) -> str:
        return (self.data_dir.parent / f"{self.data_dir.name}.log").read_text()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it answers."""
        announcement = self.data_dir / "server.json"
        announcement.unlink(missing_ok=True)
        command = [sys.executable, "-m", "cli.main", *self._command, "--data-dir", str(self.data_dir)]
        command += ["--port", "0", "--otlp-port", str(self._otlp_port), "--otlp-grpc-port", "0"]
        command += ["--config", str(self._config)] if self._config else []
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        with (self.data_dir.parent / f"{self.data_dir.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | {"PYTHONUNBUFFERED": "1"}, start_new_session=True
            )

        def answers() -> bool:
            if self._process is not None and self._process.poll() is not None:
                raise AssertionError(f"the server ended with {self._process.returncode}:\n{self.log}")
            if not announcement.exists():
                return False
            try:
                found = json.loads(announcement.read_text())
                self.url, self.otlp_url, self.otlp_grpc_url = (found[n] for n in ("url", "otlp_url", "otlp_grpc_url"))
                return httpx.get(f"{self.url}/healthz").status_code == 200
            except (json.JSONDecodeError, httpx.TransportError):
                return False

        wait_until(answers, "the server answers")

    def kill(self) -> None:
        """kill -9 the server and whatever it started."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal and go on."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop cleanly; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(timeout=DEADLINE_SECONDS)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels, as `/metrics` shows it; 0 when there is none."""
        families = text_string_to_metric_families(httpx.get(f"{self.url}/metrics", timeout=30).text)
        samples = (sample for family in families for sample in family.samples if sample.name == name)
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def get(self, path: str, **params: Any) -> Any:
        """The JSON of a GET."""
        answer = httpx.get(f"{self.url}{path}", params=params, timeout=30)
        answer.raise_for_status()
        return answer.json()


def wait_until(done: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Poll until `done()`; fail after the deadline with what was waited for."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if done():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def query_directory(data_dir: Path, sql: str) -> list[dict[str, Any]]:
    """Rows of a query on the telemetry of a stopped server, in a process of its own (one engine directory each)."""
    script = (
        "import json, sys\n"
        "from store.telemetry import TelemetryStore\n"
        "store = TelemetryStore(f'clickhousedb:///default?interface=chdb&path={sys.argv[1]}/telemetry')\n"
        "print(json.dumps(store.rows(sys.argv[2]), default=str))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(data_dir), sql], capture_output=True, text=True, check=True, timeout=120
    )
    rows: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return rows
