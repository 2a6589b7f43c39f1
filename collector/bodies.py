"""The body of a request: read under a limit and a budget, and decompressed under the same.

Limits hold for the bytes on the wire and for what they inflate to; a refusal comes as soon as one is known to be
passed.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable

from starlette.requests import Request

from collector.answers import RefusalError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_ZSTD_WINDOW_LOG = 23


class Budget:
    """The bytes that all requests together may hold at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0


class Share:
    """The bytes that one request holds of the budget, taken as they come."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._bytes = 0

    def take(self, count: int) -> None:
        """Hold `count` bytes more.

        Raises:
            RefusalError: 503 when the budget of all requests is spent.
        """
        self._bytes += count
        self._budget.held += count
        if self._budget.held > self._budget.most:
            raise RefusalError(503, "in_flight", "too many bytes in flight; retry")

    def release(self) -> None:
        """Give everything back."""
        self._budget.held -= self._bytes
        self._bytes = 0


async def read_body(request: Request, limit: int, share: Share) -> bytes:
    """The body as it was sent.

    Raises:
        RefusalError: 413 above `limit` bytes, 400 for a length that is none, 503 when the budget is spent.
    """
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal():
        raise RefusalError(400, "content_length", f"content-length {declared!r} is not a number")
    if int(declared) > limit:
        raise _too_large(limit)
    chunks = bytearray()
    async for chunk in request.stream():
        share.take(len(chunk))
        chunks += chunk
        if len(chunks) > limit:
            raise _too_large(limit)
    return bytes(chunks)


def decompression(request: Request) -> Callable[[bytes, int], bytes] | None:
    """How the body of a request is decompressed; None for one that is not compressed.

    Raises:
        RefusalError: 415 for an encoding that is not taken.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        return None
    if encoding not in _DECOMPRESSIONS:
        taken = ", ".join(_DECOMPRESSIONS)
        raise RefusalError(415, "content_encoding", f"content-encoding {encoding!r} is not taken; use {taken} or none")
    return _DECOMPRESSIONS[encoding]


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


def unzstd(compressed: bytes, limit: int) -> bytes:
    """Decompress every zstd frame, stopping at `limit` bytes; windows are at most 8 MiB, as RFC 9659 has it.

    Raises:
        RefusalError: 413 above the limit, 400 for anything that is not zstd or is cut short.
    """
    out = bytearray()
    rest = compressed
    while rest:
        frame = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})
        try:
            out += frame.decompress(rest, limit + 1 - len(out))
        except zstd.ZstdError as error:
            raise RefusalError(400, "zstd", f"the body is not valid zstd: {error}") from None
        if len(out) > limit:
            raise _too_large(limit)
        if not frame.eof:
            raise RefusalError(400, "zstd", "the zstd body is cut short")
        rest = frame.unused_data
    return bytes(out)


_DECOMPRESSIONS: dict[str, Callable[[bytes, int], bytes]] = {"gzip": gunzip, "zstd": unzstd}


def _too_large(limit: int) -> RefusalError:
    return RefusalError(413, "too_large", f"the body is larger than collector.max_body_bytes = {limit}")
