"""Parts of Andon as processes of their own, for tests that stop, pause, kill and restart them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import httpx

from tests.servers import wait_until

_PORTS = {
    "collector": ("--port", "0", "--otlp-port", "0", "--otlp-grpc-port", "0"),
    "worker": ("--port", "0"),
    "dashboard": ("--port", "0"),
}


class Part:
    """`andon collector`, `andon worker` or `andon dashboard` on free ports; a context manager that ends it."""

    def __init__(self, kind: str, folder: Path, config: Path) -> None:
        self._command = [sys.executable, "-m", "cli.main", kind, "--config", str(config), *_PORTS[kind]]
        if kind == "collector":
            self._command += ["--data-dir", str(folder)]
        self._log = folder.with_name(f"{folder.name}.log")
        self._process: subprocess.Popen[bytes] | None = None
        self.urls: dict[str, str] = {}

    def __enter__(self) -> Part:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def start(self) -> None:
        """Start; `wait_ready` waits."""
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)

    def wait_ready(self) -> Part:
        """Return when it says where it listens and answers there."""

        def answers() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self.log
            self.urls = dict(re.findall(r"^(\S+) +(http://\S+)$", self.log, re.MULTILINE))
            try:
                return bool(self.urls) and self.get("/healthz").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, f"{self._command[3]} answers")
        return self

    @property
    def log(self) -> str:
        return self._log.read_text()

    def get(self, path: str, **params: str) -> httpx.Response:
        """GET from the dashboard, or from the addresses of its health."""
        base = self.urls.get("dashboard") or self.urls["health"]
        return httpx.get(f"{base}{path}", params=params, timeout=30)

    def metric(self, name: str) -> float | None:
        """One number of its `/metrics`."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics").text, re.MULTILINE)
        return float(found[1]) if found else None

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: it is there, and does nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=60)
