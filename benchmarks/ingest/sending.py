"""Senders: as fast as the server takes it, or at a pace, over HTTP or gRPC, each on a connection of its own.

What is measured is what a sender sees: seconds until its request is acknowledged, counted at a pace from the moment
when it was due, so that a server that holds up its senders is not flattered by what they then do not send.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
import httpx

from benchmarks.ingest.load import Load
from collector.exports import EXPORTS

Post = Callable[[bytes], float | None]
"""Sends a body; None when it is acknowledged, seconds to wait when it is to be sent again."""

_GRPC_PAUSE_SECONDS = 2.0


@contextmanager
def posting_http(addresses: dict[str, str], load: Load) -> Iterator[Post]:
    """A connection to the HTTP receiver."""
    with httpx.Client(timeout=60) as client:

        def post(body: bytes) -> float | None:
            url = f"{addresses['otlp_url']}{load.path}"
            answer = client.post(url, content=body, headers={"content-type": "application/x-protobuf"})
            assert answer.status_code in {200, 503}, answer.status_code
            return None if answer.status_code == 200 else float(answer.headers["retry-after"])

        yield post


@contextmanager
def posting_grpc(addresses: dict[str, str], load: Load) -> Iterator[Post]:
    """A connection to the gRPC receiver."""
    (export,) = (export for export in EXPORTS if export.path == load.path)
    address = addresses["otlp_grpc_url"].removeprefix("http://")
    # A pool of its own makes it a connection of its own.
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        call = channel.unary_unary(export.method)

        def post(body: bytes) -> float | None:
            try:
                call(body, timeout=60)
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE, error.code()
                return _GRPC_PAUSE_SECONDS
            return None

        yield post


TRANSPORTS = {"http": posting_http, "grpc": posting_grpc}


@dataclass(frozen=True)
class Sent:
    """What came of a run of requests: seconds from first to last, and of each until it was acknowledged."""

    seconds: float
    latencies: tuple[float, ...]
    retries: int

    def quantile_ms(self, share: float) -> float:
        """The latency that this share of the requests does not exceed, in milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def send(addresses: dict[str, str], load: Load, transport: str, bodies: Iterable[bytes], senders: int) -> Sent:
    """Send every body, as fast as they are acknowledged."""
    return _send(addresses, load, transport, ((None, lambda body=body: body) for body in bodies), senders)


def send_paced(
    addresses: dict[str, str], load: Load, transport: str, seeds: range, per_second: float, senders: int
) -> Sent:
    """Send the request of each seed when it is due, `per_second` of them; latencies count from then."""
    began = time.perf_counter()
    due = ((began + number / per_second, lambda seed=seed: load.body(seed)) for number, seed in enumerate(seeds))
    return _send(addresses, load, transport, due, senders)


def _send(
    addresses: dict[str, str],
    load: Load,
    transport: str,
    requests: Iterator[tuple[float | None, Callable[[], bytes]]],
    senders: int,
) -> Sent:
    latencies: list[float] = []
    failures: list[BaseException] = []
    retries = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal retries
        with TRANSPORTS[transport](addresses, load) as post:
            while not failures:
                with lock:
                    due, body_of = next(requests, (None, None))
                if body_of is None:
                    return
                if due is not None:
                    time.sleep(max(0.0, due - time.perf_counter()))
                body, since = body_of(), due
                if since is None:
                    since = time.perf_counter()
                while (pause := post(body)) is not None:
                    retries += 1
                    time.sleep(pause)
                latencies.append(time.perf_counter() - since)

    def work_or_tell() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  raised again where all of them are waited for
            failures.append(error)

    began = time.perf_counter()
    threads = [threading.Thread(target=work_or_tell) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return Sent(time.perf_counter() - began, tuple(latencies), retries)
