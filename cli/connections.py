"""Limits on HTTP connections before there is a request: how many, how long a head may take, and how large it may be.

uvicorn has none of these of its own; without them, connections that never finish a head stay open for ever. One that
breaks a limit is closed without an answer, as there is no request yet that could be answered in its own encoding. One
that speaks no HTTP is answered as OTLP has it, in JSON unless its head said before that it sends protobuf.

A request may be answered before its body is there, and its connection be ended. To close it at once would reset it, and
the sender, which still sends, would lose the answer: so what comes is read and dropped for a moment (RFC 9112, 9.6).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from collector.answers import RefusalError, refusal

MOST_CONNECTIONS: Final = 1024
HEAD_SECONDS: Final = 60.0
KEEP_ALIVE_SECONDS: Final = 65  # more than the pause between the exports of most senders
MOST_HEAD_BYTES: Final = 64 * 2**10
LINGER_SECONDS: Final = 2.0


class _LingeringTransport:
    """A transport that its connection closes, in its own time."""

    def __init__(self, transport: asyncio.Transport, connection: LimitedConnection) -> None:
        self._transport = transport
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Close at once, or when a sender that is answered has stopped to send."""
        if not self._connection.lingers(self._transport):
            self._transport.close()

    def is_closing(self) -> bool:
        """Whether nothing more is answered."""
        return self._connection.is_lingering or self._transport.is_closing()


class LimitedConnection(HttpToolsProtocol):
    """One connection to a receiver."""

    most_connections = MOST_CONNECTIONS
    head_seconds = HEAD_SECONDS
    linger_seconds = LINGER_SECONDS

    is_lingering = False
    _deadline: asyncio.TimerHandle | None = None
    _in_head = True
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless there are too many."""
        super().connection_made(_LingeringTransport(transport, self))  # type: ignore[arg-type]
        if len(self.connections) > self.most_connections:
            transport.abort()
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._head_is_there()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; `_in_head` says afterwards whether what came belongs to a head that is not complete."""
        if self.is_lingering:
            return
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES and not self.transport.is_closing():
                self.transport.abort()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """The head of a request is whole."""
        self._head_is_there()
        super().on_headers_complete()

    def lingers(self, transport: asyncio.Transport) -> bool:
        """Whether the connection stays open for a moment, since its sender was answered and has not sent all."""
        cycle: Any = self.cycle
        if self.is_lingering or cycle is None or not (cycle.response_complete and cycle.more_body):
            return self.is_lingering
        self.is_lingering = True
        self.flow.resume_reading()
        with suppress(OSError):  # of a sender that is gone
            if transport.can_write_eof():
                transport.write_eof()
        self._deadline = self.loop.call_later(self.linger_seconds, transport.close)
        return True

    def _await_head(self) -> None:
        self._head_is_there()
        self._in_head = True
        self._deadline = self.loop.call_later(self.head_seconds, self.transport.abort)

    def _head_is_there(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class OtlpConnection(LimitedConnection):
    """One connection to the OTLP receiver."""

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP with a Status, and end the connection."""
        named = next((value for name, value in self.headers or () if name == b"content-type"), b"")
        media_type = named.decode("latin-1").split(";")[0].strip().lower()
        answer = refusal(RefusalError(400, "http", msg), media_type)
        head = [f"HTTP/1.1 {answer.status_code} Bad Request".encode(), b"connection: close"]
        head += [name + b": " + value for name, value in answer.raw_headers]
        self.transport.write(b"\r\n".join([*head, b"", bytes(answer.body)]))
        self.transport.close()
