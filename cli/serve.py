"""Andon as one process, whole or in part: collector on 4318 and 4317, dashboard on 8300, worker in the background.

`Server` opens, runs and closes the parts in order; the commands `serve`, `demo`, `collector`, `worker` and `dashboard`
are thin shells around it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from cli.collecting import CollectorPart
from cli.listening import STOP_SECONDS, address_of, http_server, listen, refuse_open_receivers, refuse_public_bind
from cli.ownership import owned
from cli.roles import EVERYTHING, Role
from cli.stores import refuse_embedded
from cli.working import WorkerPart
from dashboard.app import create_app, create_health_app
from dashboard.board import Board
from economics.report import Reports
from settings import Settings
from store.control import ControlStore
from store.migrate import migrate
from store.telemetry import TelemetryStore


class Server:
    """The parts of Andon that `roles` names. Use as a context manager; `run()` serves until `stop()`.

    Raises (on entering):
        SettingsError: an address or rule cannot be used, or only a part is asked for with embedded stores.
        StoreError: the data directory is in use, or was written by a newer version.
    """

    def __init__(self, settings: Settings, roles: frozenset[Role] = EVERYTHING) -> None:
        refuse_public_bind(settings.server.host)
        refuse_open_receivers(settings)
        if roles != EVERYTHING:
            refuse_embedded(settings)
        self.settings = settings
        self._roles = roles
        self._parts = ExitStack()
        self._stopping: Callable[[], object] = lambda: None
        self._collector: CollectorPart | None = None
        self._worker: WorkerPart | None = None

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
        """Address of the dashboard; without one, of `/healthz`, `/readyz` and `/metrics` alone."""
        return address_of(self.settings.server.host, self._http)

    @property
    def otlp_url(self) -> str:
        """Address of the OTLP/HTTP receiver."""
        return self.addresses["otlp_url"]

    @property
    def otlp_grpc_url(self) -> str:
        """Address of the OTLP/gRPC receiver."""
        return self.addresses["otlp_grpc_url"]

    @property
    def addresses(self) -> dict[str, str]:
        """Every open address by name; `url` only where the API is."""
        own = {"url" if Role.DASHBOARD in self._roles else "health_url": self.url}
        return own | (self._collector.addresses if self._collector else {})

    def run(self, before_stop: Callable[[], object] = lambda: None) -> None:
        """Serve until SIGTERM, Ctrl-C or `stop()`, then let requests finish. Call it from the main thread.

        Args:
            before_stop: called when the end is asked for, while requests are still taken.
        """
        # What stands now stands for ever; the collector of garbage need not look at it again with every batch.
        gc.collect()
        gc.freeze()
        self._loop.run(self._serve(before_stop))

    def stop(self) -> None:
        """Ask `run()` to end; may be called from a signal handler or another thread."""
        self._stopping()

    def health(self) -> dict[str, Any]:
        """Counts of the parts."""
        parts = [part.health() for part in (self._collector, self._worker) if part]
        background = {name: told for part in parts for name, told in part["background"].items()}
        return {name: told for part in parts for name, told in part.items()} | {"background": background}

    def _open(self, parts: ExitStack) -> None:
        settings = self.settings
        if Role.COLLECTOR in self._roles:
            # Only a collector keeps anything on disk where the stores are servers.
            parts.enter_context(owned(settings.data_dir))
        self._http = listen(settings.server.host, settings.server.port, "server.port")
        parts.callback(self._http.close)
        self._collector = CollectorPart(settings, parts) if Role.COLLECTOR in self._roles else None
        self._worker = WorkerPart(settings) if Role.WORKER in self._roles else None
        telemetry = TelemetryStore(settings.resolved_telemetry_url())
        parts.callback(telemetry.close)
        control = ControlStore(settings.resolved_control_url())
        parts.callback(control.close)
        migrate(telemetry, control)
        # One event loop for everything that listens.
        self._loop = parts.enter_context(asyncio.Runner())
        if self._collector:
            self._collector.open(telemetry, control, self._loop, parts)
        if self._worker:
            own = self.url if Role.DASHBOARD in self._roles else ""
            self._worker.open(telemetry, control, settings.server.public_url or own, parts)
        retention = self._worker.retention if self._worker else None
        reports = Reports(telemetry, settings.pools)
        board = Board(settings, telemetry, control, reports, self.health, retention=retention)
        self._app = create_app(board) if Role.DASHBOARD in self._roles else create_health_app(board)
        if self._collector:
            announcement = settings.data_dir / "server.json"
            written = announcement.with_suffix(".new")
            written.write_text(json.dumps({"pid": os.getpid(), **self.addresses}))
            written.replace(announcement)
            parts.callback(lambda: announcement.unlink(missing_ok=True))

    async def _serve(self, before_stop: Callable[[], object]) -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        # No lock is taken in a signal handler: a second signal would find it held by the first, for ever.
        self._stopping = lambda: None if loop.is_closed() else loop.call_soon_threadsafe(stopped.set)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping())
        http = http_server(self._app)
        running = [asyncio.create_task(http.serve(sockets=[self._http]))]
        if self._collector:
            running.append(asyncio.create_task(self._collector.serve()))
        waiting = asyncio.create_task(stopped.wait())
        await asyncio.wait([*running, waiting], return_when=asyncio.FIRST_COMPLETED)
        stopped.set()
        await asyncio.to_thread(before_stop)
        http.should_exit = True
        finishing = [self._collector.finish(STOP_SECONDS)] if self._collector else []
        await asyncio.gather(*running, waiting, *finishing)
