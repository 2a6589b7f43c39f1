"""The OTLP/HTTP receiver: admit, decode, journal, and only then answer 200.

Every refusal is counted by reason in `ReceiverCounts`; no span disappears without being acknowledged or counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from collector.answers import JSON, PROTOBUF, RefusalError, accepted, refusal
from collector.bodies import Budget, Share, decompression, read_body
from collector.census import TooManyElementsError
from collector.envelope import UndecodableError
from collector.exports import EXPORTS, Export
from collector.journal import Journal
from collector.otlp_json import protobuf_of
from collector.rows import Decoded

log = logging.getLogger(__name__)

READ_SECONDS = 30.0
LOOPBACK_NAMES = {"127.0.0.1", "localhost", "::1", ""}


@dataclass
class ReceiverCounts:
    """Since start: what was accepted, by table, and what was refused, by reason."""

    requests: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    refused_items: Counter[str] = field(default_factory=Counter)
    refused_requests: Counter[str] = field(default_factory=Counter)


class Receiver:
    """Takes OTLP requests and hands their rows to the journals.

    Args:
        journals: by table, for every table that an export fills.
        max_body_bytes: limit of a body before and after decompression; above it the answer is 413.
        max_in_flight_bytes: limit of all bodies held at once; above it the answer is 503.
    """

    def __init__(self, journals: Mapping[str, Journal], *, max_body_bytes: int, max_in_flight_bytes: int) -> None:
        self.counts = ReceiverCounts()
        self._journals = journals
        self._max_body = max_body_bytes
        self._budget = Budget(max_in_flight_bytes)
        self._decoding = ThreadPoolExecutor(2, thread_name_prefix="decode")

    def app(self) -> Starlette:
        """The ASGI application to serve on port 4318."""
        return Starlette(
            routes=[Route(export.path, self._answering(export), methods=["POST"]) for export in EXPORTS],
            exception_handlers={HTTPException: self._on_http_exception, Exception: self._on_failure},
        )

    def close(self) -> None:
        """Stop the decoding threads."""
        self._decoding.shutdown()

    def _answering(self, export: Export) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            self.counts.requests += 1
            try:
                _require_loopback(request)
                _require_known_encoding(request)
                refused = await self._take(request, export)
            except RefusalError as error:
                self.counts.refused_requests[error.reason] += 1
                return refusal(error.http_status, str(error), _media_type(request))
            except ClientDisconnect:
                self.counts.refused_requests["client_disconnected"] += 1
                return Response(status_code=400)
            return accepted(export.answer, export.rejected, refused, _media_type(request))

        return answer

    async def _take(self, request: Request, export: Export) -> dict[str, int]:
        """Decode and journal one request; the items that were refused, by reason."""
        share = Share(self._budget)
        try:
            decompress = decompression(request)
            async with asyncio.timeout(READ_SECONDS):
                body = await read_body(request, self._max_body, share)
            loop = asyncio.get_running_loop()
            if decompress is not None:
                body = await loop.run_in_executor(self._decoding, decompress, body, self._max_body)
                share.take(len(body))
            is_json = _media_type(request) == JSON
            decoded = await loop.run_in_executor(self._decoding, _decode, export, body, is_json)
            for table, rows in {export.table: decoded.rows, **decoded.beside}.items():
                await self._store(table, rows)
        except TimeoutError:
            raise RefusalError(503, "slow_body", f"the body did not arrive within {READ_SECONDS:g} s; retry") from None
        finally:
            share.release()
        self.counts.refused_items.update(decoded.refused)
        return decoded.refused

    async def _store(self, table: str, rows: pa.Table) -> None:
        """Return when `rows` are on disk."""
        if rows.num_rows:
            try:
                await asyncio.wrap_future(self._journals[table].append(rows))
            except (OSError, RuntimeError) as error:
                raise RefusalError(503, "journal", f"cannot store now, retry: {error}") from None
        self.counts.accepted[table] += rows.num_rows

    async def _on_http_exception(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        self.counts.refused_requests[f"http_{status}"] += 1
        paths = ", ".join(export.path for export in EXPORTS)
        messages = {
            404: f"{request.url.path} is not served; post to {paths}",
            405: f"{request.method} is not allowed; use POST",
        }
        return refusal(status, messages.get(status, "the request was refused"), _media_type(request))

    async def _on_failure(self, request: Request, error: Exception) -> Response:
        # A fault of ours must not make the sender drop its batch: 503 is retried, 500 is not.
        log.error("a request failed unexpectedly", exc_info=error)
        self.counts.refused_requests["internal"] += 1
        return refusal(503, "an internal error; retry", _media_type(request))


def _decode(export: Export, body: bytes, is_json: bool) -> Decoded:
    try:
        return export.decode(protobuf_of(body, export.request) if is_json else body, time.time_ns())
    except TooManyElementsError as error:
        raise RefusalError(413, "too_many_elements", str(error)) from None
    except UndecodableError as error:
        encoding = "JSON" if is_json else "protobuf"
        raise RefusalError(400, "undecodable", f"the body is not OTLP {encoding}: {error}") from None


def _require_loopback(request: Request) -> None:
    """A name that a foreign page made resolve to this machine is not one that a sender here uses."""
    if (request.url.hostname or "") not in LOOPBACK_NAMES:
        raise RefusalError(403, "host", f"host {request.url.hostname!r} is refused: Andon takes loopback only")


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def _require_known_encoding(request: Request) -> None:
    media_type = _media_type(request)
    if media_type not in {PROTOBUF, JSON}:
        raise RefusalError(415, "media_type", f"content-type {media_type!r} is not taken; send {PROTOBUF} or {JSON}")
