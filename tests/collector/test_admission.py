"""Calls that wait or are given up hold next to nothing; a storm of large bodies is in `test_faults_storm`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc

from tests.collector.otlp_calls import (
    TRACES,
    body_of,
    call,
    channel,
    request_of,
)
from tests.collector.test_conformance import peak_bytes
from tests.servers import ServeProcess, wait_until

BUDGET = 8 * 2**20


def server_with_small_budget(tmp_path: Path) -> ServeProcess:
    config = tmp_path / "andon.toml"
    config.write_text(f"[collector]\nmax_in_flight_bytes = {BUDGET}\nmax_body_bytes = {2 * 2**20}\n")
    return ServeProcess(tmp_path / "data", config)


def peak_at_rest(server: ServeProcess) -> int:
    """Its peak once the work of its start is over: for two seconds it has not grown."""
    peak, since = peak_bytes(server), time.monotonic()

    def rests() -> bool:
        nonlocal peak, since
        if (now := peak_bytes(server)) != peak:
            peak, since = now, time.monotonic()
        return time.monotonic() - since > 2

    wait_until(rests, "the server has settled")
    return peak


def mebibyte(client: int) -> bytes:
    """A request of 1 MiB of spans."""
    request = request_of(TRACES, f"client-{client}", good=2000)
    for span in request.resource_spans[0].scope_spans[0].spans:  # type: ignore[attr-defined]
        span.attributes.add(key="text").value.string_value = "x" * 455
    body = body_of(request, "grpc")
    assert 0.95 * 2**20 < len(body) < 1.1 * 2**20
    return body


def test_a_call_that_waits_to_be_read_sends_a_window_and_no_more(tmp_path: Path) -> None:
    """Four messages may be on their way at once here, and four calls that say nothing are; forty wait behind them."""
    silent = threading.Event()
    body = b"\0" * (2 * 2**20)
    with server_with_small_budget(tmp_path) as server, ExitStack() as connections:
        call_of = [connections.enter_context(channel(server)) for _ in range(40)]
        mute = [call_of[0].stream_unary(TRACES.method).future(nothing(silent)) for _ in range(4)]
        wait_until(lambda: counted(server, "andon_collector_requests_total") == 4, "the silent calls have come")
        before, began = peak_at_rest(server), time.monotonic()
        waiting = [connection.unary_unary(TRACES.method).future(body, timeout=60) for connection in call_of]
        wait_until(lambda: counted(server, "andon_collector_requests_total") == 44, "the calls have come")
        wait_until(lambda: time.monotonic() - began > 2, "there was time to send more")
        # All of them would be 80 MiB, their windows are 3 MiB; what else the server does takes some too.
        assert peak_bytes(server) - before < 40 * 2**20
        for one in mute:
            one.cancel()
        silent.set()
        ended = {one.code() for one in waiting}
        assert ended <= {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE}


def nothing(until: threading.Event) -> Iterator[bytes]:
    """A message that does not come."""
    until.wait()
    yield b""


def test_calls_that_are_given_up_hold_nothing_of_the_budget(tmp_path: Path) -> None:
    """Each waits with a message that never ends; afterwards there is room for all again."""
    with server_with_small_budget(tmp_path) as server:
        silent = threading.Event()

        with channel(server) as connection:
            calls = [connection.stream_unary(TRACES.method).future(nothing(silent)) for _ in range(20)]
            wait_until(lambda: counted(server, "andon_collector_requests_total") == 20, "the calls have come")
            for waiting in calls:
                waiting.cancel()
            gone = "andon_collector_refused_requests_total"
            wait_until(lambda: counted(server, gone) == 20, "the calls are gone")
            silent.set()
        assert call(server, "grpc", TRACES, mebibyte(0)).code is grpc.StatusCode.OK


def counted(server: ServeProcess, name: str) -> float:
    return server.metric(name)
