"""The OTLP/gRPC receiver: admit, read, hand over to the reception, and only then answer OK.

Requests stay bytes and go to the same decoder as over HTTP. Each call is handled as a stream of one message, which is
the same on the wire as a unary call, because only so is it admitted before its message is read: until then it can send
no more than a flow-control window.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio

from collector.answers import READ_SECONDS, RefusalError, retry_info, slow_body, status_of, success
from collector.bodies import Share
from collector.exports import EXPORTS, Export
from collector.reception import Reception

log = logging.getLogger(__name__)

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_LIMITS: Final = (
    ("grpc.max_send_message_length", 4 * 2**20),
    ("grpc.max_concurrent_streams", 128),
    ("grpc.max_metadata_size", 16 * 2**10),
    ("grpc.absolute_max_metadata_size", 64 * 2**10),
    ("grpc.max_connection_idle_ms", 300_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Senders ping every ten seconds or so; the default closes the connection of one that does.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # What a stream may send before its message is read; by itself gRPC lets it grow to megabytes.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 64 * 2**10),
    # Otherwise a second server would silently share the port.
    ("grpc.so_reuseport", 0),
)


class GrpcReceiver(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Takes OTLP requests over gRPC. `bind`, `serve` and `stop` are called on one event loop."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._counts = reception.counts
        # A message counts in the budget once it is read; these may be on their way at once.
        self._reading = asyncio.Semaphore(max(1, reception.budget.most // reception.max_body_bytes))
        self._handlers = {
            export.method: grpc.stream_unary_rpc_method_handler(self._answering(export)) for export in EXPORTS
        }
        self._server: Any = None

    async def bind(self, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        """Take `address` (host:port; port 0 picks one), with TLS where there are credentials, and return the port.

        Raises:
            RuntimeError: it cannot be taken.
        """
        limit = ("grpc.max_receive_message_length", self._reception.max_body_bytes)
        self._server = grpc.aio.server(options=(*_LIMITS, limit))
        self._server.add_generic_rpc_handlers((self,))
        if credentials is not None:
            return int(self._server.add_secure_port(address, credentials))
        return int(self._server.add_insecure_port(address))

    async def serve(self) -> None:
        """Begin to answer."""
        await self._server.start()

    async def stop(self, grace_seconds: float) -> None:
        """Take nothing new, let calls finish for `grace_seconds`, and end."""
        await self._server.stop(grace_seconds)

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a method; None, which is answered with UNIMPLEMENTED, for one that is not served."""
        handler = self._handlers.get(handler_call_details.method)
        if handler is None:
            self._counts.refused_requests["grpc_unimplemented"] += 1
        return handler

    def _answering(self, export: Export) -> Callable[[Any, Any], Awaitable[bytes]]:
        async def answer(_messages: Any, context: Any) -> bytes:
            self._counts.requests += 1
            try:
                refused = await self._take(export, context)
            except RefusalError as error:
                # Its traceback would hold this frame, and so the message, until the garbage collector comes by.
                refusal = error.with_traceback(None)
            except asyncio.CancelledError:
                self._counts.refused_requests["client_disconnected"] += 1
                raise
            except Exception:
                # A fault of ours must not make the sender drop its batch: UNAVAILABLE is retried, UNKNOWN is not.
                log.exception("a call failed unexpectedly")
                refusal = RefusalError(503, "internal", "an internal error; retry")
            else:
                encoded: bytes = success(export.answer, export.rejected, refused).SerializeToString()
                return encoded
            self._counts.refused_requests[refusal.reason] += 1
            return await _abort(context, refusal)

        return answer

    async def _take(self, export: Export, context: Any) -> dict[str, int]:
        share = Share(self._reception.budget)
        try:
            sender = await self._reception.admission.admit(_metadata(context))
            share.take(0)
            body = await self._read(context)
            share.take(len(body))
            return await self._reception.take(export, body, sender, is_json=False)
        finally:
            share.release()

    async def _read(self, context: Any) -> bytes:
        """The message of a call, decompressed.

        Raises:
            RefusalError: 503 when it does not come in time, 400 when there is none.
        """
        try:
            async with asyncio.timeout(READ_SECONDS), self._reading:
                message = await context.read()
        except TimeoutError:
            raise slow_body() from None
        if message is grpc.aio.EOF:
            # Also after a message above the limit, which gRPC has answered by itself with RESOURCE_EXHAUSTED.
            raise RefusalError(400, "too_large_or_missing", "the call ended without a message")
        body: bytes = message
        return body


def _metadata(context: Any) -> dict[str, str]:
    """What a call says beside its message, as text; the first of several values of one name."""
    found: dict[str, str] = {}
    for name, value in context.invocation_metadata() or ():
        if isinstance(value, str):
            found.setdefault(name, value)
    return found


async def _abort(context: Any, refusal: RefusalError) -> bytes:
    """End the call with the Status of a refusal, in the trailers too; some senders read only the delay beside it."""
    status = status_of(refusal)
    trailers = [("grpc-status-details-bin", status.SerializeToString())]
    if refusal.retry_after_seconds is not None:
        delay = retry_info(refusal.retry_after_seconds)
        trailers.append(("google.rpc.retryinfo-bin", delay.SerializeToString()))
    await context.abort(_CODES[status.code], status.message, tuple(trailers))
    raise AssertionError("abort() does not return")
