"""500 clients with 1 MiB each, all at once, against a budget of 16 MiB: each ends in success or in "try again", memory
stays bounded, the server serves afterwards, and what was acknowledged in the storm is in the store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import grpc.aio
import pytest

from tests.collector.faults import MEBIBYTE
from tests.collector.otlp_calls import PROTOBUF, RETRY, SUCCESS, TRACES, body_of, call, request_of, transport
from tests.collector.test_conformance import peak_bytes
from tests.servers import ServeProcess, query_directory

CLIENTS = 500
BUDGET = 16 * MEBIBYTE
SPANS = 16
# What is taken is also opened, journaled and put into the store: a dozen requests over HTTP, some eighty over gRPC,
# where calls wait for their turn to be read. All that is refused together would be 500 MiB more.
MOST_MEMORY = {"http": 384 * MEBIBYTE, "grpc": 720 * MEBIBYTE}
_PIECE = 64 * 1024


def part_of(client: int) -> bytes:
    """What tells the request of a client apart: two spans under a service of its own."""
    return body_of(request_of(TRACES, f"client-{client}", good=2), "grpc")


def common_part() -> bytes:
    """1 MiB of spans that all requests share: bytes of one message behind those of another are one message."""
    request = request_of(TRACES, "shared", good=SPANS)
    for span in request.resource_spans[0].scope_spans[0].spans:  # type: ignore[attr-defined]
        span.attributes.add(key="text").value.string_value = "x" * (MEBIBYTE // SPANS)
    return body_of(request, "grpc")


async def post(server: ServeProcess, client: int, common: bytes, everybody: asyncio.Barrier) -> tuple[int, str | None]:
    """Status and Retry-After; the answer is read while the body is sent, for it may come before its end."""
    address = urlsplit(server.otlp_url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    await everybody.wait()
    own = part_of(client)

    async def send() -> None:
        head = f"POST {TRACES.path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {PROTOBUF}\r\n"
        writer.write(f"{head}content-length: {len(own) + len(common)}\r\n\r\n".encode() + own)
        for at in range(0, len(common), _PIECE):
            await writer.drain()
            writer.write(common[at : at + _PIECE])

    sending = asyncio.create_task(send())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    writer.close()
    said = dict(line.split(": ", 1) for line in head[1:] if line)
    return int(head[0].split()[1]), said.get("retry-after")


async def call_grpc(
    server: ServeProcess, client: int, common: bytes, everybody: asyncio.Barrier
) -> tuple[grpc.StatusCode, str | None]:
    address = server.otlp_grpc_url.removeprefix("http://")
    async with grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as connection:
        await connection.channel_ready()
        await everybody.wait()
        try:
            await connection.unary_unary(TRACES.method)(part_of(client) + common, timeout=120)
        except grpc.aio.AioRpcError as error:
            trailers = dict(error.trailing_metadata())
            return error.code(), "said" if "google.rpc.retryinfo-bin" in trailers else None
        return grpc.StatusCode.OK, None


async def storm(server: ServeProcess, way: str) -> list[tuple[object, str | None]]:
    one = call_grpc if way == "grpc" else post
    common, everybody = common_part(), asyncio.Barrier(CLIENTS)
    assert 0.95 * MEBIBYTE < len(common) < 1.1 * MEBIBYTE
    return await asyncio.gather(*(one(server, client, common, everybody) for client in range(CLIENTS)))


@pytest.mark.parametrize("way", [PROTOBUF, "grpc"])
def test_five_hundred_clients_with_a_mebibyte_each_end_in_success_or_in_try_again(tmp_path: Path, way: str) -> None:
    config = tmp_path / "andon.toml"
    config.write_text(f"[collector]\nmax_in_flight_bytes = {BUDGET}\nmax_body_bytes = {2 * MEBIBYTE}\n")
    success, retry = SUCCESS[transport(way)], RETRY[transport(way)]
    with ServeProcess(tmp_path / "data", config) as server:
        assert call(server, way, TRACES, body_of(request_of(TRACES, "first"), way)).code == success
        before = peak_bytes(server)
        answers = asyncio.run(storm(server, way))
        assert {code for code, _ in answers} == {success, retry}
        assert {after for code, after in answers if code == retry} <= {"1", "2", "3", "4", "5", "said"}
        assert peak_bytes(server) - before < MOST_MEMORY[transport(way)]
        assert call(server, way, TRACES, body_of(request_of(TRACES, "last"), way)).code == success
        refused = [code for code, _ in answers if code == retry]
        assert server.metric("andon_collector_refused_requests_total") == len(refused)
        assert server.metric("andon_collector_in_flight_bytes") == 0
        assert server.stop() == 0
    rows = query_directory(tmp_path / "data", "SELECT service, count() AS n FROM spans GROUP BY service")
    found = {row["service"]: int(row["n"]) for row in rows}
    taken = [client for client, (code, _) in enumerate(answers) if code == success]
    assert found.pop("shared") == SPANS * len(taken)
    assert found == dict.fromkeys((f"client-{client}" for client in taken), 2) | {"first": 1, "last": 1}
