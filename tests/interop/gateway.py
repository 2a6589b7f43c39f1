"""A real OpenTelemetry Collector on `otel-config.yaml` as a process, for tests that send through it and kill it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType

import httpx

from tests.interop.otelcol import ROOT, otelcol
from tests.servers import DEADLINE_SECONDS, wait_until

CONFIG = ROOT / "otel-config.yaml"
PORTS = ("GRPC", "HTTP", "HEALTH", "METRICS")


class Gateway:
    """The Collector on free ports of loopback, sending to `andon_url`; its queue and log are in `folder`."""

    def __init__(self, folder: Path, andon_url: str, **environment: str) -> None:
        self.folder = folder
        self._ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.environment = {
            "GATEWAY_ANDON_URL": andon_url,
            "GATEWAY_QUEUE_DIR": str(folder / "queue"),
            **{f"GATEWAY_{name}_PORT": str(port) for name, port in self._ports.items()},
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Gateway:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def grpc_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['GRPC']}"

    @property
    def http_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['HTTP']}"

    @property
    def log(self) -> str:
        return (self.folder / "otelcol.log").read_text()

    def start(self) -> None:
        """Start, and wait until its pipelines run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "otelcol.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(otelcol()), "--config", str(CONFIG)], stdout=log, stderr=log, env=os.environ | self.environment
            )

        def runs() -> bool:
            if self._process is not None and self._process.poll() is not None:
                raise AssertionError(f"the Collector ended with {self._process.returncode}:\n{self.log}")
            try:
                return httpx.get(f"http://127.0.0.1:{self._ports['HEALTH']}/").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(runs, "the Collector runs")

    def kill(self) -> None:
        """kill -9."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Stop cleanly; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=DEADLINE_SECONDS)

    def own_metrics(self) -> str:
        """What it shows of itself, as Prometheus text."""
        return httpx.get(f"http://127.0.0.1:{self._ports['METRICS']}/metrics").text

    def total(self, name: str) -> float:
        """One of its own metrics, added up over its series; 0 where there is none yet."""
        return sum(
            float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", self.own_metrics(), re.MULTILINE)
        )


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
