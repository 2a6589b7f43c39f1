"""The collector as a part of a process: receivers, journal and writers, and the heartbeat that tells what it holds."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from cli.background import Periodic
from cli.connections import OtlpConnection
from cli.listening import Tls, address_of, http_server, listen, probe, shown_host, taken
from collector.intake import Intake
from settings import Settings
from store.collectors import BEAT, beat
from store.control import ControlStore
from store.telemetry import TelemetryStore

log = logging.getLogger(__name__)

# A collector whose heart did not beat for this long was asleep: what it missed is a gap, not silence.
LONGEST_NAP_SECONDS = 90.0


class CollectorPart:
    """An open collector. Its ports are opened at once, so that a port that is taken is told before anything is made."""

    def __init__(self, settings: Settings, parts: ExitStack) -> None:
        server, host = settings.server, settings.collector_host
        self._settings = settings
        self._tls = Tls.of(settings)
        self._listener = listen(host, server.otlp_http_port, "server.otlp_http_port")
        parts.callback(self._listener.close)
        self._grpc_address = probe(host, server.otlp_grpc_port, "server.otlp_grpc_port")

    def open(self, telemetry: TelemetryStore, control: ControlStore, loop: asyncio.Runner, parts: ExitStack) -> None:
        """Start to write what an earlier run left, and to beat.

        Raises:
            SettingsError: the gRPC port cannot be opened.
        """
        self._heart = Heart(self._settings, control)
        parts.callback(self._heart.stop)
        self._intake = Intake(self._settings, telemetry, control)
        self._heart.intake = self._intake
        self._intake.start()
        parts.callback(self._intake.stop)
        host, port = self._settings.collector_host, self._settings.server.otlp_grpc_port
        try:
            credentials = None if self._tls is None else self._tls.for_grpc()
            # gRPC is bound to the loop on which its port was opened.
            self._grpc_port = loop.run(self._intake.grpc_receiver.bind(self._grpc_address, credentials))
        except RuntimeError as error:
            raise taken(host, port, "server.otlp_grpc_port", str(error)) from None
        parts.callback(lambda: loop.run(self._intake.grpc_receiver.stop(0)))
        self._heart.start()
        parts.callback(self._heart.pause)
        self._http = http_server(self._intake.receiver.app(), OtlpConnection, self._tls)

    @property
    def addresses(self) -> dict[str, str]:
        """Where OTLP is taken."""
        host = self._settings.collector_host
        scheme = "http" if self._tls is None else "https"
        return {
            "otlp_url": address_of(host, self._listener, scheme),
            "otlp_grpc_url": f"{scheme}://{shown_host(host)}:{self._grpc_port}",
        }

    def health(self) -> dict[str, Any]:
        """Counts of the receivers, journals and writers, and of the heartbeat."""
        return {
            "collector": {"alive": self._intake.alive, **self._intake.health()},
            "background": {"heartbeat": self._heart.health()},
        }

    async def serve(self) -> None:
        """Take exports until `finish`."""
        await self._intake.grpc_receiver.serve()
        await self._http.serve(sockets=[self._listener])

    async def finish(self, seconds: float) -> None:
        """Let requests finish."""
        self._http.should_exit = True
        await self._intake.grpc_receiver.stop(seconds)


class Heart:
    """Beats in a thread of its own; a control store that is away stops no collecting."""

    def __init__(self, settings: Settings, control: ControlStore) -> None:
        self.intake: Intake | None = None
        self._instance = instance_name(settings.data_dir)
        self._control = control
        self._began = self._last = time.monotonic()
        self._periodic = Periodic("heartbeat", BEAT.total_seconds(), self.beat)

    def start(self) -> None:
        """Tell at once that it runs, then begin to beat."""
        self._began = self._last = time.monotonic()
        self._periodic.start()

    def pause(self) -> None:
        """No more beats from the thread."""
        self._periodic.stop()

    def health(self) -> dict[str, Any]:
        """Beats and failures."""
        return self._periodic.health()

    def beat(self, _now: datetime | None = None, *, stopped: bool = False) -> None:
        """Write one heartbeat."""
        woke = time.monotonic()
        if woke - self._last > LONGEST_NAP_SECONDS:
            self._began = woke
        self._last = woke
        beat(self._control, self._instance, socket.gethostname(), woke - self._began, self._waiting, stopped=stopped)

    def stop(self) -> None:
        """The last word, when the journal is closed: whether anything is left in it."""
        try:
            self.beat(stopped=True)
        except Exception as error:  # noqa: BLE001  without it the collector is taken for vanished, which errs safely
            log.warning("the last heartbeat was not written: %s", str(error).splitlines()[0])

    def _waiting(self) -> float | None:
        return None if self.intake is None else self.intake.waiting_seconds()


def instance_name(data_dir: Path) -> str:
    """The name of the collector that owns `data_dir`; a restart keeps it, as it keeps the journal."""
    place = data_dir / "instance"
    if not place.exists():
        made = place.with_suffix(".new")
        made.write_text(f"{socket.gethostname()}-{secrets.token_hex(4)}\n", encoding="utf-8")
        made.rename(place)
    return place.read_text(encoding="utf-8").strip()
