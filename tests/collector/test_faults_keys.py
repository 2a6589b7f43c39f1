"""Attribute keys and values made to confuse: stored as they were sent or refused with a reason that is counted; the API
and the page's JSON still answer, and the guard counts what is too many."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from collector.cardinality import OTHER
from tests.collector.faults import MEBIBYTE
from tests.collector.otlp_calls import JSON, PROTOBUF, SUCCESS, TRACES, call, post, request_of, transport
from tests.servers import ServeProcess, query_directory, wait_until

NAMES = 50
FOLDED = 10_000 - NAMES - 1  # one of the texts is empty, which is no name
HOSTILE = {
    "prototype": "__proto__",
    "constructor": "constructor",
    "method": "toString",
    "path": "__proto__.polluted",
    "empty": "",
    "space": " \t\n",
    "NUL": "a\0b",
    "only NUL": "\0",
    "right to left": "\u202egnirts\u202c \u05d0\u05d1\u05d2",
    "emoji": "\U0001f469\u200d\U0001f680",
    "combining": "e\u0301" * 50,
    "noncharacter": "\uffff\ufffe",
    "byte order mark": "\ufeffkey",
    "line separators": "a\u2028b\u2029c",
    "controls": "\x01\x07\x1b[31m\x7f\x85",
    "markup": "</script><img src=x onerror=alert(1)>",
    "quotes": "'\"`\\",
    "SQL": "'; DROP TABLE spans; --",
    "format": "{0} %s ${x} {{y}}",
    "dots": "...",
    "our own": "andon.original.name",
    "long": "k" * MEBIBYTE,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    folder = tmp_path_factory.mktemp("keys")
    (folder / "andon.toml").write_text(f"[collector]\nmax_pipelines_and_stages = {NAMES}\n")
    with ServeProcess(folder / "data", folder / "andon.toml") as running:
        yield running
        assert running.metric("andon_writer_failed_inserts_total") == 0
        assert running.metric("andon_journal_quarantined_segments") == 0
        assert running.stop() == 0


def span(service: str, pairs: dict[str, str], **columns: str) -> Any:
    """A span in OTLP's JSON, with the pairs on itself and on its resource."""
    now = str(time.time_ns())
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in pairs.items()]
    named = [{"key": key, "value": {"stringValue": value}} for key, value in columns.items()]
    own = {"name": "work", "traceId": "1" * 32, "spanId": "2" * 16, "startTimeUnixNano": now, "endTimeUnixNano": now}
    resource = [{"key": "service.name", "value": {"stringValue": service}}, *attributes]
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": resource},
                "scopeSpans": [{"spans": [{**own, "attributes": attributes + named}]}],
            }
        ]
    }


def in_protobuf(service: str, pairs: dict[str, str]) -> bytes:
    request = request_of(TRACES, service)
    resource = request.resource_spans[0]  # type: ignore[attr-defined]
    for place in (resource.resource, resource.scope_spans[0].spans[0]):
        for key, value in pairs.items():
            place.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()


def everything_answers(server: ServeProcess) -> None:
    """The page and everything that it reads, as JSON that can be read."""
    paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    readable = [path for path, methods in paths.items() if "get" in methods and "{" not in path]
    assert len(readable) > 5
    for path in ["/", *readable]:
        answer = httpx.get(f"{server.url}{path}", timeout=60, follow_redirects=True)
        assert answer.status_code in {200, 422}, path
        if answer.headers["content-type"].startswith("application/json"):
            json.loads(answer.content)


def drained(server: ServeProcess) -> bool:
    return server.metric("andon_journal_segments") == 0


@pytest.mark.parametrize("way", [PROTOBUF, JSON, "grpc"])
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_key_is_taken(server: ServeProcess, way: str, kind: str) -> None:
    pairs = {HOSTILE[kind]: HOSTILE[kind]}
    service = f"{kind} over {transport(way)} as {way}"
    body = json.dumps(span(service, pairs)).encode() if way == JSON else in_protobuf(service, pairs)
    answer = call(server, way, TRACES, body)
    assert answer.code == SUCCESS[transport(way)]
    assert answer.body in {b"", b"{}"}


@pytest.mark.parametrize("text", ["\\ud800", "\\udc00", "\\ud800\\ud800", "a\\udfffb"])
@pytest.mark.parametrize("place", ["key", "value", "name"])
def test_half_a_character_in_json_is_refused_and_counted(server: ServeProcess, text: str, place: str) -> None:
    body = json.dumps(span("half", {"KEY": "VALUE"})).replace(
        {"key": "KEY", "value": "VALUE", "name": "work"}[place], text
    )
    before = server.metric("andon_collector_refused_requests_total", reason="undecodable")
    answer = post(server, TRACES.path, body.encode(), {"content-type": JSON})
    assert answer.code == 400
    assert json.loads(answer.body)["code"] == 3
    assert server.metric("andon_collector_refused_requests_total", reason="undecodable") == before + 1


@pytest.mark.parametrize("way", [PROTOBUF, "grpc"])
@pytest.mark.parametrize("octets", [b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", b"a\x80"])
def test_a_key_that_is_no_text_is_refused_and_counted(server: ServeProcess, way: str, octets: bytes) -> None:
    body = in_protobuf("no text", {"K" * len(octets): "v"}).replace(b"K" * len(octets), octets)
    before = server.metric("andon_collector_refused_requests_total", reason="undecodable")
    assert call(server, way, TRACES, body).code not in SUCCESS.values()
    assert server.metric("andon_collector_refused_requests_total", reason="undecodable") == before + 1


def test_ten_thousand_keys_in_one_request_and_across_requests_are_stored(server: ServeProcess) -> None:
    one = {f"key-{number}": str(number) for number in range(10_000)}
    assert call(server, PROTOBUF, TRACES, in_protobuf("many keys", one)).code == 200
    for first in range(0, 10_000, 500):
        pairs = {f"other-{number}": str(number) for number in range(first, first + 500)}
        assert call(server, PROTOBUF, TRACES, in_protobuf(f"across-{first % 2500}", pairs)).code == 200


def test_hostile_values_in_the_columns_of_names_are_guarded_as_any_others(server: ServeProcess) -> None:
    """10 000 names of pipelines; and each hostile text as one."""
    request = request_of(TRACES, "names", good=10_000)
    spans = request.resource_spans[0].scope_spans[0].spans  # type: ignore[attr-defined]
    texts = [*HOSTILE.values(), *(f"pipeline-{number}" for number in range(10_000))]
    for one, text in zip(spans, texts, strict=False):
        one.attributes.add(key="andon.pipeline").value.string_value = text
    assert call(server, PROTOBUF, TRACES, request.SerializeToString()).code == 200
    column = server.get("/api/v1/health")["collector"]["columns"]["spans"]["pipeline"]
    assert (column["values"], column["limit"]) == (NAMES, NAMES)
    assert column["folded_total"] == FOLDED
    assert server.metric("andon_collector_column_folded_rows_total", table="spans", column="pipeline") == FOLDED


def test_the_page_and_the_api_still_answer(server: ServeProcess) -> None:
    wait_until(lambda: drained(server), "everything is in the store")
    everything_answers(server)


def test_everything_was_stored_as_it_was_sent(server: ServeProcess) -> None:
    wait_until(lambda: drained(server), "everything is in the store")
    server.stop()
    hostile, many, others, refused = (
        query_directory(server.data_dir, sql)
        for sql in (
            "SELECT service, attributes, resource FROM spans WHERE service LIKE '% over %'",
            "SELECT uniqExactArrayIf(mapKeys(attributes), service = 'many keys') AS one, "
            "uniqExactArrayIf(mapKeys(attributes), service LIKE 'across-%') AS across FROM spans",
            f"SELECT count() AS n FROM spans WHERE pipeline = '{OTHER}'",
            "SELECT count() AS n FROM spans WHERE service IN ('half', 'no text')",
        )
    )
    server.start()
    assert len(hostile) == 3 * len(HOSTILE)
    for row in hostile:
        text = HOSTILE[row["service"].split(" over ")[0]]
        assert row["attributes"] == {text: text}, row["service"]
        assert row["resource"] == {text: text}, row["service"]
    assert many == [{"one": 10_000, "across": 10_000}]
    assert others == [{"n": FOLDED}]
    assert refused == [{"n": 0}]
