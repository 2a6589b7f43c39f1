"""The webhook channel: one signed POST by the Standard Webhooks specification 1.0.0.

Takes a message from the outbox and posts it through the guard of `alerts.ssrf`; 2xx is success, all else (redirects
included) is a failure that the outbox retries.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib.metadata import version

import certifi
import httpcore

from alerts.channel import Outcome
from alerts.pinned import Deadline, PinnedBackend
from alerts.ssrf import (
    ForbiddenTargetError,
    Network,
    Resolver,
    Target,
    UnresolvedError,
    allowed_networks,
    judge,
    judge_shape,
    resolve,
)
from settings.model import SettingsError, WebhookChannelSettings

TIMEOUT_SECONDS = 15.0
MAX_RESPONSE_BYTES = 64 * 1024
MAX_RETRY_AFTER = timedelta(hours=24)
_SECRET_PREFIX = "whsec_"  # noqa: S105  the public prefix of every secret
_SECRET_BYTES = range(24, 65)
_log = logging.getLogger(__name__)


class WebhookChannel:
    """Posts to one URL."""

    def __init__(
        self,
        name: str,
        url: str,
        key: bytes,
        allow_private: tuple[Network, ...] = (),
        *,
        resolver: Resolver = resolve,
        trust: ssl.SSLContext | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.name = name
        self.target = hashlib.sha256(url.encode()).hexdigest()
        self._url = url
        self._key = key
        self._allow_private = allow_private
        self._resolver = resolver
        self._trust = trust if trust is not None else _system_trust()
        self._timeout_seconds = timeout_seconds

    @classmethod
    def from_settings(cls, settings: WebhookChannelSettings, resolver: Resolver = resolve) -> WebhookChannel:
        """Make the channel of one `[[alerts.channels]]` entry.

        A name that does not resolve now is accepted, since a start must not depend on DNS; each attempt judges again.

        Raises:
            SettingsError: the secret is not a Standard Webhooks secret, or the URL must not be posted to.
        """
        place = f"alerts.channels ({settings.name!r})"
        key = _key(settings.secret.get_secret_value(), place)
        url = str(settings.url)
        try:
            networks = allowed_networks(settings.allow_private)
            judge_shape(url, networks)
            judge(url, networks, resolver)
        except ForbiddenTargetError as error:
            raise SettingsError(f"{place}: {error}") from None
        except UnresolvedError as error:
            _log.warning("%s: %s; each delivery will look again", place, error)
        return cls(settings.name, url, key, networks, resolver=resolver)

    def send(self, message_id: str, body: str, at: datetime) -> Outcome:
        """Make one attempt; see `alerts.channel.Channel.send`."""
        try:
            target = judge(self._url, self._allow_private, self._resolver)
        except (ForbiddenTargetError, UnresolvedError) as error:
            return Outcome(error=str(error))
        try:
            return self._post(target, message_id, body.encode("utf-8"), at)
        except httpcore.TimeoutException:
            return Outcome(error=f"no answer within {self._timeout_seconds:g} s")
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            return Outcome(error=f"{type(error).__name__}: {error}"[:300])

    def _post(self, target: Target, message_id: str, body: bytes, at: datetime) -> Outcome:
        backend = PinnedBackend(target.addresses, Deadline(self._timeout_seconds))
        url = httpcore.URL(
            scheme=target.scheme.encode(), host=_wire_host(target.host), port=target.port, target=target.path.encode()
        )
        headers = [
            ("host", _host_header(target)),
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("user-agent", f"Andon/{version('andon')}"),
            ("webhook-id", message_id),
            ("webhook-timestamp", str(int(at.timestamp()))),
            ("webhook-signature", sign(self._key, message_id, at, body)),
        ]
        with (
            httpcore.ConnectionPool(ssl_context=self._trust, network_backend=backend) as pool,
            pool.stream("POST", url, headers=headers, content=body) as response,
        ):
            _read_some(response)
        return _outcome(response.status, {name.lower(): value for name, value in response.headers}, at)


def sign(key: bytes, message_id: str, at: datetime, body: bytes) -> str:
    """The `webhook-signature` of one attempt: HMAC-SHA256 over `id.timestamp.body` (Standard Webhooks 1.0.0)."""
    signed = f"{message_id}.{int(at.timestamp())}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def _key(secret: str, place: str) -> bytes:
    allowed = (
        f"it must be {_SECRET_PREFIX} followed by base64 of {_SECRET_BYTES.start} to {_SECRET_BYTES.stop - 1} bytes; "
        f"`openssl rand -base64 32` makes the part after {_SECRET_PREFIX}"
    )
    if not secret.startswith(_SECRET_PREFIX):
        raise SettingsError(f"{place}: the secret does not begin with {_SECRET_PREFIX}; {allowed}")
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError(f"{place}: the secret is not base64; {allowed}") from None
    if len(key) not in _SECRET_BYTES:
        raise SettingsError(f"{place}: the secret has {len(key)} bytes; {allowed}")
    return key


def _outcome(status: int, headers: dict[bytes, bytes], at: datetime) -> Outcome:
    if 200 <= status < 300:
        return Outcome(status)
    retry_after = _retry_after(headers.get(b"retry-after", b"").decode("latin-1"), at)
    if status == 410:
        return Outcome(status, "the receiver answered 410 Gone: it wants no more messages", gone=True)
    if 300 <= status < 400:
        return Outcome(status, f"the receiver redirected ({status}); redirects are not followed, set the final URL")
    return Outcome(status, f"the receiver answered {status}", retry_after)


def _retry_after(text: str, at: datetime) -> timedelta | None:
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), MAX_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo is not None else until.replace(tzinfo=UTC)
    return min(max(until - at, timedelta(0)), MAX_RETRY_AFTER)


def _read_some(response: httpcore.Response) -> None:
    taken = 0
    for chunk in response.iter_stream():
        taken += len(chunk)
        if taken >= MAX_RESPONSE_BYTES:
            return


def _wire_host(host: str) -> bytes:
    return (host if ":" in host else host.encode("idna").decode()).encode("ascii")


def _host_header(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else _wire_host(target.host).decode()
    return host if target.port == {"https": 443, "http": 80}[target.scheme] else f"{host}:{target.port}"


def _system_trust() -> ssl.SSLContext:
    # The system's store knows a company's own authorities (SSL_CERT_FILE), certifi the public ones where it is empty.
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
