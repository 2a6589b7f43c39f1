"""Bodies made to hurt: bombs, depth, width and lengths that lie. Each is answered as the rules say and costs bounded
memory, and the server serves afterwards."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.bodies import zstd
from tests.collector.faults import MEBIBYTE
from tests.collector.otlp_calls import (
    BAD_DATA,
    JSON,
    PACKINGS,
    PROTOBUF,
    SUCCESS,
    TOO_LARGE,
    TRACES,
    body_of,
    call,
    post,
    request_of,
    transport,
)
from tests.collector.test_conformance import peak_bytes
from tests.servers import ServeProcess

LIMIT = 4 * MEBIBYTE
MOST_MEMORY = 256 * MEBIBYTE


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    folder = tmp_path_factory.mktemp("bombs")
    (folder / "andon.toml").write_text(f"[collector]\nmax_body_bytes = {LIMIT}\nmax_in_flight_bytes = {4 * LIMIT}\n")
    with ServeProcess(folder / "data", folder / "andon.toml") as running:
        for way in (PROTOBUF, JSON, "grpc"):  # what it loads when it is first used is not the bomb's
            for packing in ("", "gzip"):
                assert (
                    call(running, way, TRACES, body_of(request_of(TRACES, "first"), way), packing).code
                    in SUCCESS.values()
                )
        yield running
        assert running.stop() == 0


@pytest.fixture(autouse=True)
def bounded_memory_and_service_afterwards(server: ServeProcess) -> Iterator[None]:
    before = peak_bytes(server)
    yield
    assert peak_bytes(server) - before < MOST_MEMORY
    for way in (PROTOBUF, "grpc"):
        assert call(server, way, TRACES, body_of(request_of(TRACES, "after"), way)).code == SUCCESS[transport(way)]


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def span_with(attribute_value: bytes) -> bytes:
    """A request of one span with one attribute, whose AnyValue is these bytes."""
    request = request_of(TRACES, "nested")
    assert isinstance(request, ExportTraceServiceRequest)
    span = request.resource_spans[0].scope_spans[0].spans[0].SerializeToString()
    span += field(9, field(1, b"k") + field(2, attribute_value))
    return field(1, field(2, field(2, span)))


def nested_lists(depth: int) -> bytes:
    """AnyValue in ArrayValue in AnyValue ..., written from the inside."""
    out = field(1, b"x")
    for _ in range(depth):
        out = field(5, field(1, out))
    return out


def nested_maps(depth: int) -> bytes:
    out = field(1, b"x")
    for _ in range(depth):
        out = field(6, field(1, field(1, b"k") + field(2, out)))
    return out


DEEP = {"lists": nested_lists, "maps": nested_maps}


@pytest.mark.parametrize("depth", [200, 5000])
@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("way", [PROTOBUF, "grpc"])
def test_values_nested_deeper_than_protobuf_allows_are_bad_data(
    server: ServeProcess, way: str, kind: str, depth: int
) -> None:
    answer = call(server, way, TRACES, span_with(DEEP[kind](depth)))
    assert answer.code == BAD_DATA[transport(way)]


def test_values_nested_deeply_in_json_are_bad_data(server: ServeProcess) -> None:
    for opening, closing in (
        ('{"arrayValue":{"values":[', "]}}"),
        ('{"kvlistValue":{"values":[{"key":"k","value":', "}]}}"),
        ("[", "]"),
    ):
        for depth in (200, 50_000):
            deep = opening * depth + '{"stringValue":"x"}' + closing * depth
            body = '{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":' + deep + "}]}}]}"
            assert call(server, JSON, TRACES, body.encode()).code in {400, 413}


WIDE = 1_300_000
WIDTHS = {
    "a list": lambda: span_with(field(5, field(1, b"") * WIDE)),
    "a list in a list": lambda: span_with(field(5, field(1, field(5, field(1, b"") * WIDE)))),
    "a list of lists": lambda: span_with(field(5, field(1, field(5, b"")) * (WIDE // 2))),
    "a map in a list": lambda: span_with(field(5, field(1, field(6, field(1, b"") * WIDE)))),
    "attributes of a resource": lambda: field(1, field(1, field(1, b"") * WIDE)),
}


@pytest.mark.parametrize("kind", WIDTHS)
def test_a_value_as_wide_as_a_body_allows_is_stored(server: ServeProcess, kind: str) -> None:
    body = WIDTHS[kind]()
    assert len(body) < LIMIT
    assert call(server, PROTOBUF, TRACES, body).code == 200


EMPTY = {
    "spans": field(1, field(2, field(2, b"") * 1_000_000)),
    "scopes": field(1, field(2, b"") * 1_000_000),
    "resources": field(1, b"") * 1_000_000,
    "events": field(1, field(2, field(2, field(11, b"") * 1_000_000))),
    "links": field(1, field(2, field(2, field(13, b"") * 1_000_000))),
}


@pytest.mark.parametrize("packing", ["", "gzip", "zstd"])
@pytest.mark.parametrize("kind", EMPTY)
def test_a_million_empty_elements_are_too_many(server: ServeProcess, kind: str, packing: str) -> None:
    answer = call(server, PROTOBUF, TRACES, EMPTY[kind], packing)
    assert (answer.code, answer.status.code) == (413, 8)
    assert "1000" in answer.status.message


@pytest.mark.parametrize("count", [270_000, 1_100_000])
def test_too_many_empty_spans_in_json_are_too_many(server: ServeProcess, count: int) -> None:
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * (count - 1) + b"{}]}]}]}"
    assert call(server, JSON, TRACES, body, "gzip").code == 413


def test_a_million_empty_spans_over_grpc_are_too_many(server: ServeProcess) -> None:
    assert call(server, "grpc", TRACES, EMPTY["spans"]).code == TOO_LARGE["grpc"]


def zeros(packing: str, size: int) -> bytes:
    return PACKINGS[packing](bytes(size))


BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "gzip": ("gzip", lambda: zeros("gzip", 512 * MEBIBYTE)),
    "zstd": ("zstd", lambda: zeros("zstd", 512 * MEBIBYTE)),
    "gzip in many members": ("gzip", lambda: zeros("gzip", MEBIBYTE) * 512),
    "zstd in many frames": ("zstd", lambda: zeros("zstd", MEBIBYTE) * 4096),
    "a zstd window of 2 GiB": (
        "zstd",
        lambda: zstd.compress(bytes(MEBIBYTE), options={zstd.CompressionParameter.window_log: 31}),
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
def test_a_bomb_ends_at_the_limit(server: ServeProcess, media_type: str, kind: str) -> None:
    packing, made = BOMBS[kind]
    body = made()
    assert len(body) < LIMIT
    answer = post(server, TRACES.path, body, {"content-type": media_type, "content-encoding": packing})
    assert answer.code in {400, 413}
    assert answer.retry_after is None


def test_compressed_bodies_that_end_early_late_or_elsewhere_are_bad_data(server: ServeProcess) -> None:
    body = body_of(request_of(TRACES, "lying", good=50), PROTOBUF)
    packed = gzip.compress(body)
    lying_size = packed[:-4] + (2**31).to_bytes(4, "little")
    for packing, content in (
        ("gzip", packed[:-9]),
        ("gzip", packed + b"behind"),
        ("gzip", lying_size),
        ("gzip", gzip.compress(packed)),
        ("zstd", zstd.compress(body)[:-3]),
        ("zstd", zstd.compress(body) + b"behind"),
        ("zstd", packed),
    ):
        headers = {"content-type": PROTOBUF, "content-encoding": packing}
        assert post(server, TRACES.path, content, headers).code == 400, content[-9:]


@pytest.mark.parametrize("way", [PROTOBUF, "grpc"])
@pytest.mark.parametrize("said", [2**20, 2**31 - 1, 2**32 + 3, 2**63, 2**64 - 9, 2**64 - 1])
def test_a_length_in_a_message_that_is_not_there_is_bad_data(server: ServeProcess, way: str, said: int) -> None:
    whole = body_of(request_of(TRACES, "lying"), PROTOBUF)
    for body in (
        b"\x0a" + varint(said) + whole,
        field(1, b"\x12" + varint(said) + whole),
        field(1, field(2, b"\x12" + varint(said))),
        span_with(b"\x2a" + varint(said)),
    ):
        assert call(server, way, TRACES, body).code == BAD_DATA[transport(way)]


def raw(server: ServeProcess, content: bytes) -> bytes:
    """The first bytes of the answer to what is sent, with nothing behind it."""
    address = urlsplit(server.otlp_url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def test_a_length_in_the_head_that_is_not_there_costs_nothing(server: ServeProcess) -> None:
    body = body_of(request_of(TRACES, "head"), PROTOBUF)
    head = f"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: {PROTOBUF}\r\n"
    gone = server.metric("andon_collector_refused_requests_total", reason="client_disconnected")
    # Longer than what comes: nothing is taken. There may be nobody any more to be told so.
    longer = raw(server, f"{head}content-length: {len(body) + 1000}\r\n\r\n".encode() + body)
    assert not longer.startswith(b"HTTP/1.1 200")
    assert server.metric("andon_collector_refused_requests_total", reason="client_disconnected") == gone + 1
    # Shorter: what is behind it is no request.
    shorter = raw(server, f"{head}content-length: {len(body) - 5}\r\n\r\n".encode() + body)
    assert shorter.startswith(b"HTTP/1.1 400")
    for length in ("-1", "1e3", "0x10", "9" * 30, "4294967297", f"{len(body)}, {len(body)}"):
        answer = raw(server, f"{head}content-length: {length}\r\n\r\n".encode() + body)
        assert answer[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 413"}
    for chunk in ("ffffffffffffffff", "-5", "zz"):
        answer = raw(server, f"{head}transfer-encoding: chunked\r\n\r\n{chunk}\r\n".encode() + body)
        assert not answer.startswith(b"HTTP/1.1 200")


def test_the_server_is_as_ready_as_before(server: ServeProcess) -> None:
    assert server.metric("andon_collector_alive") == 1


def test_everything_that_was_taken_reached_the_store(server: ServeProcess) -> None:
    assert json.loads(call(server, JSON, TRACES, b"{}").body) == {}
    assert server.metric("andon_writer_failed_inserts_total") == 0
    assert server.metric("andon_journal_quarantined_segments") == 0
