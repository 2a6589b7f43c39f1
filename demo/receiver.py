"""A small receiver for the demo's webhooks, as a team would write one: check the signature, then read.

Listens on a free loopback port; what it received goes to a callback, one readable line each goes to the terminal. The
signature is checked with the reference implementation of the Standard Webhooks specification.
"""

from __future__ import annotations

import binascii
import json
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

PATH = "/webhook"
MAX_BODY_BYTES = 20_000
READ_SECONDS = 5.0


@dataclass(frozen=True)
class Received:
    """One message whose signature was right; `message_id` is the same in every retry of it."""

    message_id: str
    type: str
    data: Mapping[str, Any]

    @property
    def line(self) -> str:
        """The message in one line, without control characters."""
        labels = self.data.get("labels")
        told = " ".join(str(text) for text in labels.values()) if isinstance(labels, Mapping) else ""
        words = (self.data.get("rule"), told, self.data.get("value"), self.data.get("summary"))
        text = " ".join(str(word) for word in words if word not in (None, ""))
        line = f"webhook: {self.type} {text} (signature ok)"
        return "".join(character if character.isprintable() else " " for character in line)


def print_line(received: Received) -> None:
    """Print one message."""
    sys.stdout.write(received.line + "\n")
    sys.stdout.flush()


class WebhookReceiver:
    """Receives signed webhooks on a free loopback port while it is open (a context manager).

    A message with a bad or missing signature is answered 401 and reported to nobody; a repeated one is answered 204
    and reported once.
    """

    def __init__(self, secret: str, tell: Callable[[Received], None] = print_line) -> None:
        """Listen, from now on; answer after `start`.

        Args:
            secret: Standard Webhooks secret, `whsec_...`.
            tell: called with each message, on the receiver's threads.
        """
        self._webhook = Webhook(secret)
        self._tell = tell
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        receiver = self

        class Handler(_Handler):
            def take(self, body: bytes, headers: Mapping[str, str]) -> HTTPStatus:
                return receiver.take(body, headers)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where messages are posted to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{PATH}"

    def start(self) -> None:
        """Answer in the background; a second call changes nothing."""
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._server.serve_forever, name="demo webhooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()

    def __enter__(self) -> WebhookReceiver:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def take(self, body: bytes, headers: Mapping[str, str]) -> HTTPStatus:
        """Judge one request and tell about it if it is genuine; return what to answer."""
        try:
            # The library raises ValueError for a body or signature that is no text or not of the right shape.
            self._webhook.verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError, binascii.Error):
            return HTTPStatus.UNAUTHORIZED
        try:
            message = json.loads(body)
            received = Received(headers["webhook-id"], str(message["type"]), dict(message["data"]))
        except (ValueError, TypeError, KeyError):
            return HTTPStatus.BAD_REQUEST
        with self._lock:
            repeated = received.message_id in self._seen
            self._seen.add(received.message_id)
        if not repeated:
            self._tell(received)
        return HTTPStatus.NO_CONTENT


class _Handler(BaseHTTPRequestHandler):
    timeout = READ_SECONDS

    def take(self, body: bytes, headers: Mapping[str, str]) -> HTTPStatus:
        raise NotImplementedError

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if self.path != PATH:
            status = HTTPStatus.NOT_FOUND
        elif not length.isdecimal():
            status = HTTPStatus.LENGTH_REQUIRED
        elif int(length) > MAX_BODY_BYTES:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        else:
            body = self.rfile.read(int(length))
            status = self.take(body, {name.lower(): value for name, value in self.headers.items()})
        self.send_response(status)
        if status is not HTTPStatus.NO_CONTENT:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives
        """Say nothing: the messages speak for themselves."""
