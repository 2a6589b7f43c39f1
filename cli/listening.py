"""Opening addresses: which may be bound, one clear error when one cannot be opened, and the HTTP server on them."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from cli.connections import KEEP_ALIVE_SECONDS, LimitedConnection
from settings import SettingsError

STOP_SECONDS = 5


class QuietServer(uvicorn.Server):
    """A uvicorn server that leaves signals to its owner."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http_server(app: Any) -> QuietServer:
    """A server for one application; give its `serve` the listener."""
    return QuietServer(
        uvicorn.Config(
            app,
            http=LimitedConnection,
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
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


def listen(host: str, port: int, setting: str) -> socket.socket:
    """A listener on an address.

    Raises:
        SettingsError: it cannot be opened; names the setting.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise taken(host, port, setting, error.strerror) from None
    return listener


def taken(host: str, port: int, setting: str, why: str | None) -> SettingsError:
    """The error for an address that cannot be opened."""
    return SettingsError(
        f"{setting} = {port} on {host} cannot be opened: {why}; stop what uses it, or set {setting} "
        f"to another port (0 picks a free one)"
    )


def probe(host: str, port: int, setting: str) -> str:
    """The address for a listener that opens its port itself, after the same look and the same error as `listen`."""
    with listen(host, port, setting) as listener:
        address = listener.getsockname()[0]
    return f"{shown_host(address)}:{port}"


def shown_host(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def address_of(host: str, listener: socket.socket) -> str:
    """The URL of an open listener."""
    return f"http://{shown_host(host)}:{listener.getsockname()[1]}"
