"""A real HTTP receiver on loopback, and the pieces that alert tests share."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pydantic import SecretStr, TypeAdapter

from settings.model import WebhookChannelSettings

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
START = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@dataclass
class Answer:
    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """What was posted, and how it was answered (`respond` gets the request's number, from 1)."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.respond: Callable[[int], Answer] = lambda _number: Answer()
        self.lock = threading.Lock()
        self.url = ""

    @property
    def taken(self) -> list[Received]:
        """Requests that were answered with success."""
        return [request for request in self.requests if 200 <= request.status < 300]

    def types(self) -> list[str]:
        return [request.json["type"] for request in self.taken]


@contextmanager
def running_receiver(context: Any = None) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) < length:  # the sender died in the middle: nothing was received
                self.close_connection = True
                return
            with receiver.lock:
                answer = receiver.respond(len(receiver.requests) + 1)
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.requests.append(Received(self.path, headers, body, answer.status))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    scheme = "http"
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    receiver.url = f"{scheme}://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


def webhook_settings(url: str, name: str = "ops", **more: Any) -> WebhookChannelSettings:
    values = {"name": name, "url": url, "secret": SecretStr(SECRET), "allow_private": ("127.0.0.0/8",), **more}
    return TypeAdapter(WebhookChannelSettings).validate_python(values)
