"""Everything in one process: collector on 4318 and 4317, dashboard on 8300, and the background work between them.

`Server` opens, runs and closes the parts in order; the commands `serve` and `demo` are thin shells around it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any

import uvicorn

from alerts.channel import load_channels
from alerts.delivery import Deliverer
from alerts.evaluator import Evaluator
from alerts.rules import load_rules
from checklist.runner import ChecklistRunner
from cli.background import Periodic
from cli.connections import KEEP_ALIVE_SECONDS, LimitedConnection
from cli.ownership import owned
from cli.wiring import Signals, checklist_facts
from collector.intake import Intake
from dashboard.app import create_app
from dashboard.board import Board, utc_now
from drift.monitor import DriftMonitors
from economics.catalogue import catalogue
from economics.engine_rollup import EngineRollUp
from economics.fold import Fold, UsageRollUp
from economics.prices import input_bands
from economics.report import Reports
from settings import Settings, SettingsError
from store.control import ControlStore
from store.migrate import migrate
from store.telemetry import TelemetryStore

log = logging.getLogger(__name__)

DELIVER_SECONDS = 1.0
STOP_SECONDS = 5


class Server:
    """All parts of Andon on one data directory. Use as a context manager; `run()` serves until `stop()`.

    Raises (on entering):
        SettingsError: an address or rule cannot be used.
        StoreError: the data directory is in use, or was written by a newer version.
    """

    def __init__(self, settings: Settings) -> None:
        refuse_public_bind(settings.server.host)
        self.settings = settings
        self._parts = ExitStack()
        self._stopping: Callable[[], object] = lambda: None
        self._periodics: list[Periodic] = []

    def __enter__(self) -> Server:
        with ExitStack() as parts:
            self._open(parts)
            self._parts = parts.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parts.close()

    @property
    def url(self) -> str:
        """Address of the dashboard."""
        return f"http://{_shown_host(self.settings.server.host)}:{self._http.getsockname()[1]}"

    @property
    def otlp_url(self) -> str:
        """Address of the OTLP/HTTP receiver."""
        return f"http://{_shown_host(self.settings.server.host)}:{self._otlp.getsockname()[1]}"

    @property
    def otlp_grpc_url(self) -> str:
        """Address of the OTLP/gRPC receiver."""
        return f"http://{_shown_host(self.settings.server.host)}:{self._grpc_port}"

    def run(self, before_stop: Callable[[], object] = lambda: None) -> None:
        """Serve until SIGTERM, Ctrl-C or `stop()`, then let requests finish. Call it from the main thread.

        Args:
            before_stop: called when the end is asked for, while requests are still taken.
        """
        self._loop.run(self._serve(before_stop))

    def stop(self) -> None:
        """Ask `run()` to end; may be called from a signal handler or another thread."""
        self._stopping()

    def health(self) -> dict[str, Any]:
        """Counts of the collector and of the background work."""
        return {
            "collector": {"alive": self._intake.alive, **self._intake.health()},
            "background": {periodic.name: periodic.health() for periodic in self._periodics},
        }

    def _open(self, parts: ExitStack) -> None:
        settings = self.settings
        parts.enter_context(owned(settings.data_dir))
        self._http = _listen(settings.server.host, settings.server.port, "server.port")
        parts.callback(self._http.close)
        self._otlp = _listen(settings.server.host, settings.server.otlp_http_port, "server.otlp_http_port")
        parts.callback(self._otlp.close)
        grpc_address = _probe(settings.server.host, settings.server.otlp_grpc_port, "server.otlp_grpc_port")
        channels = load_channels(settings.alerts.channels)
        rules = load_rules(settings.alerts, settings.checklist.poll_seconds, channels.keys())
        telemetry = TelemetryStore(settings.resolved_telemetry_url())
        parts.callback(telemetry.close)
        control = ControlStore(settings.resolved_control_url())
        parts.callback(control.close)
        migrate(telemetry, control)
        self._intake = Intake(settings, telemetry)
        self._intake.start()
        parts.callback(self._intake.stop)
        # One event loop for both receivers; gRPC is bound to the loop on which its port was opened.
        self._loop = parts.enter_context(asyncio.Runner())
        try:
            self._grpc_port = self._loop.run(self._intake.grpc_receiver.bind(grpc_address))
        except RuntimeError as error:
            server = settings.server
            raise _taken(server.host, server.otlp_grpc_port, "server.otlp_grpc_port", str(error)) from None
        parts.callback(lambda: self._loop.run(self._intake.grpc_receiver.stop(0)))
        reports = Reports(telemetry, settings.pools)
        grace, started = timedelta(seconds=settings.collector.grace_seconds), utc_now()
        fold = Fold(telemetry, UsageRollUp(input_bands()), grace, started)
        engines = Fold(telemetry, EngineRollUp(catalogue()), grace, started)
        checks = ChecklistRunner(settings, telemetry, control, facts=checklist_facts(reports, control, settings))
        evaluator = Evaluator(control, rules, Signals(reports, control, settings), dashboard_url=self.url)
        parts.callback(evaluator.release)
        self._periodics = [
            Periodic(
                "fold",
                settings.collector.fold_seconds,
                lambda now: fold.run_once(now, self._intake.waiting_since(now)),
            ),
            Periodic(
                "engines",
                settings.collector.fold_seconds,
                lambda now: engines.run_once(now, self._intake.waiting_since(now, "metric_points")),
            ),
            Periodic(
                "drift",
                settings.drift.poll_seconds,
                DriftMonitors(telemetry, control, settings.drift.monitors).run_once,
            ),
            Periodic("checklist", settings.checklist.poll_seconds, checks.run_once),
            Periodic("alerts", settings.alerts.poll_seconds, evaluator.evaluate_once),
            Periodic("deliver", DELIVER_SECONDS, Deliverer(control, channels).deliver_once),
        ]
        for periodic in self._periodics:
            periodic.start()
            parts.callback(periodic.stop)
        self._board = Board(settings, telemetry, control, reports, self.health)
        announcement = settings.data_dir / "server.json"
        addresses = {"url": self.url, "otlp_url": self.otlp_url, "otlp_grpc_url": self.otlp_grpc_url}
        announcement.write_text(json.dumps({"pid": os.getpid(), **addresses}))
        parts.callback(lambda: announcement.unlink(missing_ok=True))

    async def _serve(self, before_stop: Callable[[], object]) -> None:
        servers = [
            (_Quiet(_config(create_app(self._board))), self._http),
            (_Quiet(_config(self._intake.receiver.app())), self._otlp),
        ]
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        # No lock is taken in a signal handler: a second signal would find it held by the first, for ever.
        self._stopping = lambda: None if loop.is_closed() else loop.call_soon_threadsafe(stopped.set)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping())
        await self._intake.grpc_receiver.serve()
        running = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in servers]
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait([*running, waiting], return_when=asyncio.FIRST_COMPLETED)
        stopped.set()
        await asyncio.to_thread(before_stop)
        for server, _ in servers:
            server.should_exit = True
        await asyncio.gather(*running, waiting, self._intake.grpc_receiver.stop(STOP_SECONDS))


class _Quiet(uvicorn.Server):
    """A uvicorn server that leaves signals to its owner."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=LimitedConnection,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def refuse_public_bind(host: str) -> None:
    """Only loopback may be bound while there is no login.

    Raises:
        SettingsError: any other address.
    """
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise SettingsError(
            f"server.host = {host!r} is refused: there is no login yet, so Andon listens on loopback only "
            "(127.0.0.1, ::1 or localhost). To reach it from elsewhere, use an SSH tunnel: "
            "ssh -L 8300:127.0.0.1:8300 THIS-MACHINE"
        )


def _listen(host: str, port: int, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise _taken(host, port, setting, error.strerror) from None
    return listener


def _taken(host: str, port: int, setting: str, why: str | None) -> SettingsError:
    return SettingsError(
        f"{setting} = {port} on {host} cannot be opened: {why}; stop what uses it, or set {setting} "
        f"to another port (0 picks a free one)"
    )


def _probe(host: str, port: int, setting: str) -> str:
    """The address for a listener that opens its port itself, after the same look and the same error as `_listen`."""
    with _listen(host, port, setting) as listener:
        address = listener.getsockname()[0]
    return f"{_shown_host(address)}:{port}"


def _shown_host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
