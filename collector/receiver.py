"""The OTLP/HTTP receiver: admit, read and decompress, hand over to the reception, and only then answer 200.

Every refusal is counted by reason and answered with a `google.rpc.Status` in the request's encoding; no span disappears
without being acknowledged or counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from collector.admission import Sender
from collector.answers import JSON, PROTOBUF, READ_SECONDS, RefusalError, accepted, refusal, slow_body
from collector.bodies import Share, decompression, read_body
from collector.exports import EXPORTS, Export
from collector.reception import Reception

log = logging.getLogger(__name__)

MOST_UNREAD_BYTES = 64 * 2**10
LOOPBACK_NAMES = {"127.0.0.1", "localhost", "::1", ""}


class Receiver:
    """Takes OTLP requests over HTTP.

    Args:
        loopback_only: refuse requests that name another host than this machine.
    """

    def __init__(self, reception: Reception, *, loopback_only: bool = True) -> None:
        self._reception = reception
        self._loopback_only = loopback_only
        self._counts = reception.counts

    def app(self) -> Starlette:
        """The ASGI application to serve on port 4318."""
        app = Starlette(
            routes=[Route(export.path, self._answering(export), methods=["POST"]) for export in EXPORTS],
            exception_handlers={HTTPException: self._on_http_exception, Exception: self._on_failure},
        )
        # A path with a slash too many is another path: no sender follows a redirect with its body.
        app.router.redirect_slashes = False
        return app

    def _answering(self, export: Export) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            self._counts.requests += 1
            try:
                if self._loopback_only:
                    _require_loopback(request)
                sender = await self._reception.admission.admit(request.headers)
                _require_known_encoding(request)
                refused = await self._take(request, export, sender)
            except RefusalError as error:
                self._counts.refused_requests[error.reason] += 1
                return _unread(request, refusal(error, _media_type(request)))
            except ClientDisconnect:
                self._counts.refused_requests["client_disconnected"] += 1
                return Response(status_code=400)
            return accepted(export.answer, export.rejected, refused, _media_type(request))

        return answer

    async def _take(self, request: Request, export: Export, sender: Sender) -> dict[str, int]:
        """Read and hand over one request; the items that were refused, by reason."""
        share = Share(self._reception.budget)
        try:
            decompress = decompression(request)
            try:
                async with asyncio.timeout(READ_SECONDS):
                    body = await read_body(request, self._reception.max_body_bytes, share)
            except TimeoutError:
                raise slow_body() from None
            if decompress is not None:
                body = await self._reception.inflate(decompress, body, share)
            return await self._reception.take(export, body, sender, is_json=_media_type(request) == JSON)
        finally:
            share.release()

    async def _on_http_exception(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        self._counts.refused_requests[f"http_{status}"] += 1
        paths = ", ".join(export.path for export in EXPORTS)
        messages = {
            404: f"{request.url.path} is not served; post to {paths}",
            405: f"{request.method} is not allowed; use POST",
        }
        refused = RefusalError(status, f"http_{status}", messages.get(status, "the request was refused"))
        answer = refusal(refused, _media_type(request))
        if status == 405:
            answer.headers["Allow"] = "POST"
        return _unread(request, answer)

    async def _on_failure(self, request: Request, error: Exception) -> Response:
        # A fault of ours must not make the sender drop its batch: 503 is retried, 500 is not.
        log.error("a request failed unexpectedly", exc_info=error)
        self._counts.refused_requests["internal"] += 1
        return refusal(RefusalError(503, "internal", "an internal error; retry"), _media_type(request))


def _require_loopback(request: Request) -> None:
    """A name that a foreign page made resolve to this machine is not one that a sender here uses."""
    if (request.url.hostname or "") not in LOOPBACK_NAMES:
        raise RefusalError(403, "host", f"host {request.url.hostname!r} is refused: Andon takes loopback only")


def _unread(request: Request, answer: Response) -> Response:
    """The answer to a request whose body is left unread: a long one is not waited for, the connection ends."""
    length = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers or (length.isdecimal() and int(length) > MOST_UNREAD_BYTES):
        answer.headers["Connection"] = "close"
    return answer


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def _require_known_encoding(request: Request) -> None:
    media_type = _media_type(request)
    if media_type not in {PROTOBUF, JSON}:
        raise RefusalError(415, "media_type", f"content-type {media_type!r} is not taken; send {PROTOBUF} or {JSON}")
