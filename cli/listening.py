"""How the OTLP receivers may be reached: from this machine alone, or from elsewhere with keys; and with TLS."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import grpc

from settings import Settings, SettingsError, is_loopback


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
