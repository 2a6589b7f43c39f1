"""Connections that never become a request cost little, and not for long."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest
import uvicorn

from cli.connections import MOST_HEAD_BYTES, LimitedConnection
from cli.listening import QuietServer, listen


class Impatient(LimitedConnection):
    most_connections = 3
    head_seconds = 0.2


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


def serving(
    protocol: type[LimitedConnection], work: Callable[[int], Coroutine[Any, Any, None]], app: Any = hello
) -> None:
    """Run `work(port)` beside a server whose connections are `protocol`."""

    async def run() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(app, http=protocol, log_level="warning", lifespan="off")
        server = QuietServer(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await asyncio.wait_for(work(listener.getsockname()[1]), 30)
        finally:
            server.should_exit = True
            await running

    asyncio.run(run())


async def is_closed(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


def test_a_connection_without_a_request_is_closed_after_a_while() -> None:
    async def work(port: int) -> None:
        for begun in (b"", b"POST /v1/traces HTTP/1.1\r\nhost: local", b"POST /"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begun)
            assert await is_closed(reader)
            writer.close()

    serving(Impatient, work)


def test_a_head_that_does_not_end_is_cut_off() -> None:
    async def work(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1/traces HTTP/1.1\r\n")
        writer.write(b"x-filler: 0123456789\r\n" * (MOST_HEAD_BYTES // 20))
        assert await is_closed(reader)
        writer.close()

    serving(LimitedConnection, work)


def test_a_connection_too_many_is_closed_and_the_others_go_on() -> None:
    class Few(LimitedConnection):
        most_connections = 2

    async def work(port: int) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/")).text == "hello"
            _, second = await asyncio.open_connection("127.0.0.1", port)
            reader, third = await asyncio.open_connection("127.0.0.1", port)
            assert await is_closed(reader)
            assert (await client.get("/")).text == "hello"
            second.close()
            third.close()

    serving(Few, work)


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-length", b"2"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b"no"})


def test_who_is_refused_while_it_sends_gets_its_answer() -> None:
    """Closed at once, the connection would be reset with the first byte that comes later, and the answer be lost."""
    sent = 0

    async def work(port: int) -> None:
        nonlocal sent
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        for _ in range(20):
            writer.write(b"x" * 10_000)
            await writer.drain()
            await asyncio.sleep(0.01)
            sent += 1
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503")
        assert answer.endswith(b"no")
        writer.close()

    serving(LimitedConnection, work, refuse)
    assert sent == 20


def test_a_sender_that_never_stops_is_cut_off_after_a_moment() -> None:
    class Brief(LimitedConnection):
        linger_seconds = 0.2

    async def work(port: int) -> None:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n")
        with pytest.raises(ConnectionError):
            while True:
                writer.write(b"x" * 1000)
                await writer.drain()
                await asyncio.sleep(0.01)

    serving(Brief, work, refuse)


def test_answers_are_sent_without_delay() -> None:
    """With Nagle's algorithm each would wait 40 ms for the other side's acknowledgement of its head."""

    async def run() -> int:
        delayed: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def connected(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            delayed.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listen("127.0.0.1", 0, "server.port") as listener:
            async with await asyncio.start_server(connected, sock=listener):
                _reader, writer = await asyncio.open_connection(*listener.getsockname())
                found = await asyncio.wait_for(delayed, 30)
                writer.close()
        return found

    assert asyncio.run(run()) == 1


def test_requests_with_bodies_larger_than_a_head_may_be_are_served_one_after_another() -> None:
    async def work(port: int) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(3):
                assert (await client.post("/", content=b"x" * (3 * MOST_HEAD_BYTES))).text == "hello"

    serving(LimitedConnection, work)
