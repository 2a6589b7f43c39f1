"""A collector's stand-in on loopback, a process of its own: accepts, refuses, or takes and never answers.

`python -m benchmarks.sdk.sink accept|refuse|hang` prints its port. It reads requests and forgets them; `GET` tells how
many requests and bytes there were.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from enum import Enum
from typing import Final


class Behaviour(Enum):
    """What it does with an export."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    HANG = "hang"


_ANSWERS: Final = {
    Behaviour.ACCEPT: b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
    Behaviour.REFUSE: b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
}


class Sink:
    """Serves until its process ends."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._requests = 0
        self._bytes = 0

    async def serve(self) -> None:
        """Listen on a free port of the loopback, print it, and serve."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        async with server:
            await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer(head, reader))
                await writer.drain()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader) -> bytes:
        if head.startswith(b"GET"):
            body = f"{self._requests} {self._bytes}".encode()
            return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        await reader.readexactly(length)
        self._requests += 1
        self._bytes += length
        if self._behaviour is Behaviour.HANG:
            await asyncio.Event().wait()
        return _ANSWERS[self._behaviour]


if __name__ == "__main__":
    asyncio.run(Sink(Behaviour(sys.argv[1])).serve())
