"""The OTLP/HTTP receiver: admit, decode, journal, and only then answer 200.

Every refusal is counted by reason in `ReceiverCounts`; no span disappears without being acknowledged or counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from collector.answers import JSON, PROTOBUF, RefusalError, logs_accepted, refusal, traces_accepted
from collector.decode import Decoder, UndecodableError, decode_traces
from collector.journal import Journal
from collector.observations import decode_logs

log = logging.getLogger(__name__)

READ_SECONDS = 30.0
LOOPBACK_NAMES = {"127.0.0.1", "localhost", "::1", ""}


@dataclass
class ReceiverCounts:
    """Since start: what was accepted, and what was refused, by reason."""

    requests: int = 0
    accepted_spans: int = 0
    accepted_observations: int = 0
    refused_items: Counter[str] = field(default_factory=Counter)
    refused_requests: Counter[str] = field(default_factory=Counter)


class Receiver:
    """Takes OTLP requests and hands their rows to the journals.

    Args:
        spans, observations: the journals of the two signals.
        max_body_bytes: limit of a body before and after decompression; above it the answer is 413.
        max_in_flight_bytes: limit of all bodies held at once; above it the answer is 503.
    """

    def __init__(self, spans: Journal, observations: Journal, *, max_body_bytes: int, max_in_flight_bytes: int) -> None:
        self.counts = ReceiverCounts()
        self._spans = spans
        self._observations = observations
        self._max_body = max_body_bytes
        self.max_in_flight_bytes = max_in_flight_bytes
        self.in_flight_bytes = 0
        self._decoding = ThreadPoolExecutor(2, thread_name_prefix="decode")

    def app(self) -> Starlette:
        """The ASGI application to serve on port 4318."""
        return Starlette(
            routes=[
                Route("/v1/traces", self._answering(self._traces), methods=["POST"]),
                Route("/v1/logs", self._answering(self._logs), methods=["POST"]),
            ],
            exception_handlers={HTTPException: self._on_http_exception, Exception: self._on_failure},
        )

    def close(self) -> None:
        """Stop the decoding threads."""
        self._decoding.shutdown()

    async def _traces(self, request: Request) -> Response:
        accepted, refused = await self._take(request, decode_traces, self._spans)
        self.counts.accepted_spans += accepted
        return traces_accepted(refused)

    async def _logs(self, request: Request) -> Response:
        accepted, refused = await self._take(request, decode_logs, self._observations)
        self.counts.accepted_observations += accepted
        return logs_accepted(refused)

    async def _take(self, request: Request, decode: Decoder, journal: Journal) -> tuple[int, dict[str, int]]:
        """Decode and journal one request; (rows on disk, items refused by reason)."""
        _require_protobuf(request)
        held = _Held(self)
        try:
            async with asyncio.timeout(READ_SECONDS):
                body = await _read_body(request, self._max_body, held)
            loop = asyncio.get_running_loop()
            if request.headers.get("content-encoding", "").strip().lower() == "gzip":
                body = await loop.run_in_executor(self._decoding, gunzip, body, self._max_body)
                held.take(len(body))
            try:
                decoded = await loop.run_in_executor(self._decoding, decode, body, time.time_ns())
            except UndecodableError as error:
                raise RefusalError(400, "undecodable", f"the body is not OTLP protobuf: {error}") from None
            if decoded.rows.num_rows:
                try:
                    await asyncio.wrap_future(journal.append(decoded.rows))
                except (OSError, RuntimeError) as error:
                    raise RefusalError(503, "journal", f"cannot store now, retry: {error}") from None
        except TimeoutError:
            raise RefusalError(503, "slow_body", f"the body did not arrive within {READ_SECONDS:g} s; retry") from None
        finally:
            held.release()
        self.counts.refused_items.update(decoded.refused)
        return decoded.rows.num_rows, decoded.refused

    def _answering(self, handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            self.counts.requests += 1
            try:
                _require_loopback(request)
                return await handle(request)
            except RefusalError as error:
                self.counts.refused_requests[error.reason] += 1
                return refusal(error.http_status, str(error), _media_type(request))
            except ClientDisconnect:
                self.counts.refused_requests["client_disconnected"] += 1
                return Response(status_code=400)

        return answer

    async def _on_http_exception(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        self.counts.refused_requests[f"http_{status}"] += 1
        messages = {
            404: f"{request.url.path} is not served; post traces to /v1/traces and observations to /v1/logs",
            405: f"{request.method} is not allowed; use POST",
        }
        return refusal(status, messages.get(status, "the request was refused"), _media_type(request))

    async def _on_failure(self, request: Request, error: Exception) -> Response:
        # A fault of ours must not make the sender drop its batch: 503 is retried, 500 is not.
        log.error("a request failed unexpectedly", exc_info=error)
        self.counts.refused_requests["internal"] += 1
        return refusal(503, "an internal error; retry", _media_type(request))


def _require_loopback(request: Request) -> None:
    """A name that a foreign page made resolve to this machine is not one that a sender here uses."""
    if (request.url.hostname or "") not in LOOPBACK_NAMES:
        raise RefusalError(403, "host", f"host {request.url.hostname!r} is refused: Andon takes loopback only")


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def _require_protobuf(request: Request) -> None:
    media_type = _media_type(request)
    if media_type == JSON:
        raise RefusalError(415, "media_type", f"{JSON} is not taken yet; send {PROTOBUF} (the exporters' default)")
    if media_type != PROTOBUF:
        raise RefusalError(415, "media_type", f"content-type {media_type!r} is not taken; send {PROTOBUF}")


class _Held:
    """The bytes that one request holds of the receiver's budget, taken as they come."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._bytes = 0

    def take(self, count: int) -> None:
        """Hold `count` bytes more.

        Raises:
            RefusalError: 503 when the budget of all requests is spent.
        """
        self._bytes += count
        self._receiver.in_flight_bytes += count
        if self._receiver.in_flight_bytes > self._receiver.max_in_flight_bytes:
            raise RefusalError(503, "in_flight", "too many bytes in flight; retry")

    def release(self) -> None:
        """Give everything back."""
        self._receiver.in_flight_bytes -= self._bytes
        self._bytes = 0


async def _read_body(request: Request, limit: int, held: _Held) -> bytes:
    """The body as it was sent; refused as soon as it is known to be over the limit."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "", "gzip"}:
        raise RefusalError(415, "content_encoding", f"content-encoding {encoding!r} is not taken; use gzip or none")
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal():
        raise RefusalError(400, "content_length", f"content-length {declared!r} is not a number")
    if int(declared) > limit:
        raise _too_large(limit)
    chunks = bytearray()
    async for chunk in request.stream():
        held.take(len(chunk))
        chunks += chunk
        if len(chunks) > limit:
            raise _too_large(limit)
    return bytes(chunks)


def gunzip(compressed: bytes, limit: int) -> bytes:
    """Decompress every gzip member, stopping at `limit` bytes.

    Raises:
        RefusalError: 413 above the limit, 400 for anything that is not gzip or is cut short.
    """
    out = bytearray()
    rest = compressed
    while rest:
        member = zlib.decompressobj(31)
        try:
            out += member.decompress(rest, limit + 1 - len(out))
        except zlib.error as error:
            raise RefusalError(400, "gzip", f"the body is not valid gzip: {error}") from None
        if len(out) > limit:
            raise _too_large(limit)
        if not member.eof:
            raise RefusalError(400, "gzip", "the gzip body is cut short")
        rest = member.unused_data
    return bytes(out)


def _too_large(limit: int) -> RefusalError:
    return RefusalError(413, "too_large", f"the body is larger than collector.max_body_bytes = {limit}")
