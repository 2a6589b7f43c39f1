"""A server that demands keys: no route takes anything without one, nothing of a body is read, and rows carry the
project of the key."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import sqlalchemy as sa

from collector.admission import Admission
from collector.columns import SPAN_SCHEMA
from collector.decode import decode_traces
from collector.exports import EXPORTS, Export
from collector.journal import Journal
from collector.receiver import Receiver
from collector.reception import Reception
from settings import CollectorSettings
from store.control import ControlStore
from store.keys import KeyRecord, create_key
from store.migrate import migrate_control
from tests.collector.otlp_calls import (
    FORBIDDEN,
    JSON,
    PROTOBUF,
    SUCCESS,
    THROTTLED,
    TRACES,
    UNAUTHENTICATED,
    body_of,
    call,
    channel,
    post,
    request_of,
    transport,
)
from tests.collector.test_conformance import WAYS, every_signal, every_way, peak_bytes
from tests.servers import ServeProcess, query_directory, wait_until

CONFIG = "[collector]\nrequire_key = true\n"


def new_key(data: Path, name: str, **more: Any) -> str:
    """The text of a new key in the control store of a data directory, whether or not a server runs on it."""
    control = ControlStore(f"sqlite:///{data / 'control.sqlite'}")
    migrate_control(control)
    _, text = create_key(control, name=name, now=datetime.now(UTC), **more)
    control.close()
    return text


def change_key(data: Path, key: str, **columns: Any) -> None:
    """Set columns of a key."""
    control = ControlStore(f"sqlite:///{data / 'control.sqlite'}")
    with control.write() as session:
        session.execute(sa.update(KeyRecord).where(KeyRecord.id == key.split("_")[1]).values(**columns))
    control.close()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    """A server for everything that is about answers; it demands keys."""
    folder = tmp_path_factory.mktemp("auth")
    (folder / "andon.toml").write_text(CONFIG)
    with ServeProcess(folder / "data", folder / "andon.toml") as running:
        yield running
        assert running.stop() == 0


@pytest.fixture(scope="module")
def key(server: ServeProcess) -> str:
    return new_key(server.data_dir, "shop")


def refused(server: ServeProcess, reason: str) -> float:
    return server.metric("andon_collector_refused_requests_total", reason=reason)


@every_signal
@every_way
def test_h14_g8_no_route_takes_anything_without_a_right_key(
    server: ServeProcess, key: str, export: Export, way: str
) -> None:
    body = body_of(request_of(export, "shop"), way)
    mark, identity, _ = key.split("_")
    wrong = f"{mark}_{identity}_{'0' * 64}"
    for said in ({}, bearer(wrong), {"x-andon-key": wrong}, {"x-andon-key": ""}, {"authorization": f"Basic {key}"}):
        answer = call(server, way, export, body, said=said)
        assert answer.code == UNAUTHENTICATED[transport(way)], said
        assert (answer.status.code, answer.retry_after) == (16, None)
        if way != "grpc":
            assert answer.media_type == way
    for said in (bearer(key), {"x-andon-key": key}):
        assert call(server, way, export, body, said=said).code == SUCCESS[transport(way)]


def test_every_path_of_the_receiver_is_one_of_those_that_demand_a_key(server: ServeProcess) -> None:
    reception = Reception({}, max_body_bytes=1, max_in_flight_bytes=1, admission=Admission(CollectorSettings(), None))
    assert [route.path for route in Receiver(reception).app().routes] == [export.path for export in EXPORTS]  # type: ignore[attr-defined]
    reception.close()
    for path in ("/", "/docs", "/openapi.json", "/metrics", "/healthz", "/v1/traces/", "/v1/traces/x"):
        assert httpx.get(f"{server.otlp_url}{path}").status_code == 404


@every_way
def test_h14_g8_a_key_without_the_scope_to_send_is_forbidden(server: ServeProcess, way: str) -> None:
    reader = new_key(server.data_dir, "reader")
    change_key(server.data_dir, reader, scopes=["read"])

    def answer() -> Any:
        return call(server, way, TRACES, body_of(request_of(TRACES, "shop"), way), said=bearer(reader))

    assert answer().code == FORBIDDEN[transport(way)]
    assert answer().status.code == 7


@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
def test_e2_auth_comes_before_the_length_the_encoding_and_the_body(server: ServeProcess, media_type: str) -> None:
    for headers in (
        {"content-type": media_type, "content-length": str(2**40)},
        {"content-type": media_type, "content-encoding": "br", "content-length": "10"},
        {"content-type": media_type, "transfer-encoding": "chunked"},
    ):
        status, fields = answer_to_a_head(server, headers)
        assert status == 401
        assert fields["www-authenticate"] == "Bearer"
        assert fields["content-type"] == media_type


def answer_to_a_head(server: ServeProcess, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    """What is answered to a request of which nothing but the head is ever sent; afterwards the connection ends when
    the body would have been long."""
    url = httpx.URL(server.otlp_url)
    with socket.create_connection((url.host, url.port or 0), timeout=60) as connection:
        lines = [
            "POST /v1/traces HTTP/1.1",
            f"host: {url.host}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        stream = connection.makefile("rb")
        status = int(stream.readline().split()[1])
        fields = dict(line.decode().strip().split(": ", 1) for line in iter(stream.readline, b"\r\n"))
        stream.read(int(fields["content-length"]))
        if fields.get("connection") == "close":
            assert stream.read() == b""
        else:
            assert headers["content-length"] == "10"
        return status, fields


def test_a_sender_without_a_key_cannot_make_the_server_read_or_unpack_its_body(server: ServeProcess) -> None:
    bomb = gzip.compress(bytes(60 * 2**20))
    headers = {"content-type": PROTOBUF, "content-encoding": "gzip"}
    assert post(server, "/v1/traces", b"", headers).code == 401
    before = peak_bytes(server)
    for _ in range(20):
        assert post(server, "/v1/traces", bomb, headers).code == 401
    with channel(server) as connection:
        for _ in range(20):
            with pytest.raises(grpc.RpcError) as failed:
                connection.unary_unary(TRACES.method)(bytes(30 * 2**20), timeout=60)
            assert failed.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert peak_bytes(server) - before < 16 * 2**20


def test_a_revoked_key_is_refused_within_seconds_by_a_running_server(server: ServeProcess) -> None:
    key = new_key(server.data_dir, "leaver")
    body = body_of(request_of(TRACES, "leaver"), PROTOBUF)
    assert call(server, PROTOBUF, TRACES, body, said=bearer(key)).code == 200
    change_key(server.data_dir, key, revoked_at=datetime.now(UTC))
    wait_until(lambda: call(server, PROTOBUF, TRACES, body, said=bearer(key)).code == 401, "it is refused", seconds=10)
    assert call(server, "grpc", TRACES, body, said=bearer(key)).code is grpc.StatusCode.UNAUTHENTICATED


def test_refusals_are_counted_by_reason(server: ServeProcess, key: str) -> None:
    before = refused(server, "no_key"), refused(server, "wrong_key")
    call(server, PROTOBUF, TRACES, b"")
    call(server, "grpc", TRACES, b"")
    call(server, PROTOBUF, TRACES, b"", said=bearer(f"{key}0"))
    assert (refused(server, "no_key") - before[0], refused(server, "wrong_key") - before[1]) == (2, 1)


def test_rows_of_every_table_carry_the_project_of_their_key(tmp_path: Path) -> None:
    data = tmp_path / "data"
    research = new_key(data, "a", project="research")
    with ServeProcess(data) as running:
        shop = new_key(data, "b", project="shop")
        for way in WAYS:
            for export in EXPORTS:
                for said in ({}, bearer(research), {"x-andon-key": shop}):
                    body = body_of(request_of(export, "s", good=2), way)
                    assert call(running, way, export, body, said=said).code == SUCCESS[transport(way)]
        observation = request_of(EXPORTS[2], "s")
        record = observation.resource_logs[0].scope_logs[0].log_records[0]  # type: ignore[attr-defined]
        record.event_name = "andon.observation"
        record.attributes.add(key="andon.observation.score").value.double_value = 0.5
        assert call(running, PROTOBUF, EXPORTS[2], body_of(observation, PROTOBUF), said=bearer(shop)).code == 200
        assert running.stop() == 0
    for table in ("spans", "metric_points", "logs"):
        found = query_directory(data, f"SELECT project, toUInt32(count()) AS n FROM {table} GROUP BY 1 ORDER BY 1")
        assert [(row["project"], row["n"]) for row in found] == [("default", 6), ("research", 6), ("shop", 6)]
    assert query_directory(data, "SELECT project FROM observations") == [{"project": "shop"}]


def test_h13_a_key_that_sends_too_fast_is_told_when_to_go_on_and_the_others_are_not(tmp_path: Path) -> None:
    """Of a hundred at once, and one more in a hundred seconds: sixty pass, sixty more do not."""
    data, config = tmp_path / "data", tmp_path / "andon.toml"
    config.write_text("[collector]\nitems_per_second = 1000\n")
    slow = {way: new_key(data, "slow", items_per_second=0.01, burst_items=100) for way in WAYS}
    fast = new_key(data, "fast")
    with ServeProcess(data, config) as running:
        for way, key in slow.items():
            body = body_of(request_of(TRACES, "s", good=60), way)
            assert call(running, way, TRACES, body, said=bearer(key)).code == SUCCESS[transport(way)]
            for _ in range(2):
                answer = call(running, way, TRACES, body, said=bearer(key))
                assert answer.code == THROTTLED[transport(way)]
                assert answer.status.code == 8
                assert (answer.retry_after, answer.retry_delay) == ("5", 5)
                assert "0.01 items per second" in answer.status.message
            for said in (bearer(fast), {}):
                other = body_of(request_of(TRACES, "s", good=60), way)
                assert call(running, way, TRACES, other, said=said).code == SUCCESS[transport(way)]
        assert refused(running, "rate_limit") == 6
        assert running.stop() == 0
    (found,) = query_directory(data, "SELECT toUInt32(count()) AS n FROM spans")
    assert found["n"] == 9 * 60


def test_what_was_journalled_before_there_were_projects_goes_to_the_default_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    journal = Journal(data / "journal/spans", SPAN_SCHEMA, seal_seconds=60, seal_bytes=2**20, max_bytes=2**30)
    journal.append(decode_traces(body_of(request_of(TRACES, "old", good=3), PROTOBUF), time.time_ns()).rows).result()
    journal.close()
    with ServeProcess(data) as running:
        assert running.stop() == 0
    assert query_directory(data, "SELECT project, service FROM spans") == [{"project": "default", "service": "old"}] * 3
