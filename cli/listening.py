"""Opening addresses: which may be bound, one clear error when one cannot be opened, and the HTTP server on them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import uvicorn

from cli.connections import KEEP_ALIVE_SECONDS, LimitedConnection
from settings import Settings, SettingsError, is_loopback

STOP_SECONDS = 5


class QuietServer(uvicorn.Server):
    """A uvicorn server that leaves signals to its owner."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def http_server(
    app: Any, connection: type[LimitedConnection] = LimitedConnection, tls: Tls | None = None
) -> QuietServer:
    """A server for one application; give its `serve` the listener."""
    return QuietServer(
        uvicorn.Config(
            app,
            http=connection,
            ssl_certfile=None if tls is None else tls.cert,
            ssl_keyfile=None if tls is None else tls.key,
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
    if not is_loopback(host):
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
    # asyncio sets TCP_NODELAY on sockets that say they are TCP. Without it the second half of an answer waits 40 ms for
    # the other side's acknowledgement of the first.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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


def address_of(host: str, listener: socket.socket, scheme: str = "http") -> str:
    """The URL of an open listener."""
    return f"{scheme}://{shown_host(host)}:{listener.getsockname()[1]}"


def refuse_open_receivers(settings: Settings) -> None:
    """Beyond loopback nobody may send without a key.

    Raises:
        SettingsError: that would be so.
    """
    host = settings.collector_host
    if not is_loopback(host) and not settings.collector.require_key:
        raise SettingsError(
            f"collector.host = {host!r} is refused: others could send to it without a key. Set "
            "collector.require_key = true and give every sender a key (`andon keys create NAME`), or leave "
            "collector.host out to listen on loopback only"
        )


@dataclass(frozen=True)
class Tls:
    """A certificate chain and its private key, both PEM files that go together."""

    cert: Path
    key: Path

    @classmethod
    def of(cls, settings: Settings) -> Tls | None:
        """What the settings say; None for no TLS.

        Raises:
            SettingsError: the files cannot be used.
        """
        cert, key = settings.collector.tls_cert, settings.collector.tls_key
        if cert is None or key is None:
            return None
        try:
            # Without a password here, a key that needs one would make the server ask for it at the terminal.
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key, password="")
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"collector.tls_cert = {str(cert)!r} and collector.tls_key = {str(key)!r} cannot be used: {error}; "
                "name a PEM file of the certificate chain, and one of its private key without a password"
            ) from None
        return cls(cert, key)

    def for_grpc(self) -> grpc.ServerCredentials:
        """As gRPC takes it."""
        return grpc.ssl_server_credentials([(self.key.read_bytes(), self.cert.read_bytes())])
