"""Requests that wait are decoded together; each still gets the answer that it would have got alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.admission import Sender
from collector.answers import RefusalError
from collector.columns import LOG_SCHEMA, OBSERVATION_SCHEMA, POINT_SCHEMA, SPAN_SCHEMA
from collector.counts import ReceiverCounts
from collector.decoding import Decoding
from collector.exports import EXPORTS, Export
from collector.frames import Mark
from collector.journal import Journal
from collector.lane import GROUP_BYTES, QUICK_BYTES, Waiting
from collector.rates import Bucket, Rate
from collector.rows import Bodies, Decoded, of_project, stored_schema
from collector.seen import request_digest

ANYBODY = Sender("default", None)
TRACES, METRICS, LOGS = EXPORTS
NOW = time.time_ns()
SCHEMAS = {"spans": SPAN_SCHEMA, "metric_points": POINT_SCHEMA, "observations": OBSERVATION_SCHEMA, "logs": LOG_SCHEMA}


@pytest.fixture
def journals(tmp_path: Path) -> Iterator[dict[str, Journal]]:
    opened = {
        table: Journal(tmp_path / table, stored_schema(schema), seal_seconds=60, seal_bytes=2**30, max_bytes=2**30)
        for table, schema in SCHEMAS.items()
    }
    yield opened
    for journal in opened.values():
        journal.close()


@pytest.fixture
def counts() -> ReceiverCounts:
    return ReceiverCounts()


@pytest.fixture
def decoding(journals: dict[str, Journal], counts: ReceiverCounts) -> Iterator[Decoding]:
    decoding = Decoding(journals, counts)
    yield decoding
    decoding.close()


class Held:
    """A decoder whose first call waits until it is let go; remembers how many bodies each call was given."""

    def __init__(self, export: Export) -> None:
        self._decode = export.decode
        self.export = replace(export, decode=self)
        self.calls: list[int] = []
        self.began, self.let_go = threading.Event(), threading.Event()

    def __call__(self, bodies: Bodies, now_nanos: int) -> Decoded:
        self.calls.append(1 if isinstance(bodies, bytes) else len(bodies))
        if len(self.calls) == 1:
            self.began.set()
            assert self.let_go.wait(30)
        return self._decode(bodies, now_nanos)


def span(number: int, trace_id: bytes = b"t" * 16) -> bytes:
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.add(
        trace_id=trace_id,
        span_id=number.to_bytes(8, "big"),
        name="call",
        start_time_unix_nano=NOW,
        end_time_unix_nano=NOW,
    )
    return request.SerializeToString()


def grouped(decoding: Decoding, held: Held, bodies: list[bytes]) -> list[dict[str, int] | BaseException]:
    """What each of `bodies` is answered with when all of them came while another was decoded."""
    first = decoding.submit(Waiting(held.export, span(1), False, ANYBODY))
    assert held.began.wait(30)
    rest = [decoding.submit(Waiting(held.export, body, False, ANYBODY)) for body in bodies]
    held.let_go.set()
    first.result(30)
    return [future.exception(30) or future.result() for future in rest]


def test_what_waits_is_decoded_in_one_call(decoding: Decoding, counts: ReceiverCounts) -> None:
    held = Held(TRACES)
    assert grouped(decoding, held, [span(2), span(3), span(4)]) == [{}, {}, {}]
    assert held.calls == [1, 3]
    assert counts.accepted == {"spans": 4}


def test_a_body_that_cannot_be_read_spoils_only_its_own_request(decoding: Decoding, counts: ReceiverCounts) -> None:
    held = Held(TRACES)
    good, cut_short, other = grouped(decoding, held, [span(2), span(3)[:-4], span(4)])
    assert (good, other) == ({}, {})
    assert isinstance(cut_short, RefusalError)
    assert cut_short.http_status == 400
    assert held.calls == [1, 3, 1, 1, 1]
    assert counts.accepted == {"spans": 3}


def test_refused_items_are_told_to_the_one_who_sent_them(decoding: Decoding, counts: ReceiverCounts) -> None:
    held = Held(TRACES)
    good, bad = grouped(decoding, held, [span(2), span(3, trace_id=bytes(16))])
    assert good == {}
    assert bad == {"trace_id is not 16 bytes, or all zero": 1}
    assert counts.accepted == {"spans": 2}


def test_a_request_that_holds_nothing_is_told_so_also_in_a_group(decoding: Decoding) -> None:
    nothing = b"\x7a\x02hi"  # a field that no request has
    good, odd = grouped(decoding, Held(TRACES), [span(2), nothing])
    assert good == {}
    assert odd == {"the body holds nothing that /v1/traces takes; is it of another kind?": 0}


def test_requests_of_two_projects_are_not_of_one_group(decoding: Decoding) -> None:
    held = Held(TRACES)
    first = decoding.submit(Waiting(held.export, span(1), False, ANYBODY))
    assert held.began.wait(30)
    rest = [
        decoding.submit(Waiting(held.export, span(number), False, Sender(name, None)))
        for number, name in ((2, "a"), (3, "b"), (4, "a"))
    ]
    held.let_go.set()
    assert [future.result(30) for future in (first, *rest)] == [{}] * 4
    assert held.calls == [1, 2, 1]


def test_a_sender_with_a_limit_is_charged_for_its_own_items(decoding: Decoding) -> None:
    held = Held(TRACES)
    first = decoding.submit(Waiting(held.export, span(1), False, ANYBODY))
    assert held.began.wait(30)
    bucket = Bucket(Rate(items_per_second=1, burst_items=2), lambda: 0.0)
    rest = [decoding.submit(Waiting(held.export, span(n), False, Sender("default", bucket))) for n in (2, 3, 4)]
    held.let_go.set()
    answers = [future.exception(30) or future.result() for future in (first, *rest)]
    assert answers[:3] == [{}, {}, {}]
    assert isinstance(answers[3], RefusalError)
    assert answers[3].http_status == 429


def test_copies_of_a_request_are_stored_once_and_answered_alike(
    decoding: Decoding, journals: dict[str, Journal], counts: ReceiverCounts
) -> None:
    held = Held(TRACES)
    assert grouped(decoding, held, [span(2), span(2), span(3)]) == [{}, {}, {}]
    assert held.calls == [1, 2, 1]
    assert counts.accepted == {"spans": 3}
    assert counts.duplicate_requests == 1


def test_a_group_with_a_request_that_was_stored_meanwhile_is_taken_one_by_one(
    decoding: Decoding, journals: dict[str, Journal], counts: ReceiverCounts
) -> None:
    held = Held(TRACES)
    digest = request_digest("/v1/traces", "default", span(3))
    first = decoding.submit(Waiting(held.export, span(1), False, ANYBODY))
    assert held.began.wait(30)
    second = Held(TRACES)
    rest = [decoding.submit(Waiting(second.export, span(number), False, ANYBODY)) for number in (2, 3)]
    held.let_go.set()
    assert second.began.wait(30)
    journals["spans"].append(of_project(TRACES.decode(span(3), NOW).rows, "default"), [Mark(digest, NOW)]).result(30)
    second.let_go.set()
    assert [future.result(30) for future in (first, *rest)] == [{}, {}, {}]
    assert second.calls == [2, 1, 1]
    assert counts.accepted == {"spans": 2}
    assert counts.duplicate_requests == 1


def test_another_kind_of_request_is_not_of_the_group(decoding: Decoding) -> None:
    held = Held(TRACES)
    first = decoding.submit(Waiting(held.export, span(1), False, ANYBODY))
    assert held.began.wait(30)
    logs = decoding.submit(Waiting(LOGS, b"", False, ANYBODY))
    second = decoding.submit(Waiting(held.export, span(2), False, ANYBODY))
    held.let_go.set()
    assert [future.result(30) for future in (first, logs, second)] == [{}, {}, {}]
    assert held.calls == [1, 1]


def test_a_large_body_and_one_in_json_hold_up_no_small_one(decoding: Decoding) -> None:
    held = Held(TRACES)
    large = decoding.submit(Waiting(held.export, span(1) + bytes(QUICK_BYTES + 1), False, ANYBODY))
    assert held.began.wait(30)
    assert decoding.submit(Waiting(TRACES, span(2), False, ANYBODY)).result(30) == {}
    json = decoding.submit(Waiting(TRACES, b"{}", True, ANYBODY))
    assert not json.done()
    held.let_go.set()
    assert json.result(30) == {}
    assert isinstance(large.exception(30), RefusalError)


def test_a_group_is_limited_in_bytes(decoding: Decoding) -> None:
    held = Held(TRACES)
    body = span(2)
    many = GROUP_BYTES // len(body) + 10
    grouped(decoding, held, [span(number) for number in range(2, 2 + many)])
    assert sum(held.calls) == 1 + many
    assert max(held.calls) <= GROUP_BYTES // len(body)


def test_a_request_that_was_cancelled_is_not_stored(decoding: Decoding, counts: ReceiverCounts) -> None:
    held = Held(TRACES)
    first = decoding.submit(Waiting(held.export, span(1), False, ANYBODY))
    assert held.began.wait(30)
    gone = decoding.submit(Waiting(held.export, span(2), False, ANYBODY))
    last = decoding.submit(Waiting(held.export, span(3), False, ANYBODY))
    assert gone.cancel()
    held.let_go.set()
    assert [first.result(30), last.result(30)] == [{}, {}]
    assert counts.accepted == {"spans": 2}


def test_a_journal_that_cannot_write_is_told_to_every_request_of_the_group(
    decoding: Decoding, journals: dict[str, Journal], counts: ReceiverCounts
) -> None:
    journals["spans"].close()
    for answer in grouped_after_closing(decoding):
        assert isinstance(answer, RefusalError)
        assert (answer.http_status, answer.reason) == (503, "journal")
    assert counts.accepted == {}


def grouped_after_closing(decoding: Decoding) -> list[BaseException | None]:
    held = Held(TRACES)
    futures = [decoding.submit(Waiting(held.export, span(1), False, ANYBODY))]
    assert held.began.wait(30)
    futures += [decoding.submit(Waiting(held.export, span(number), False, ANYBODY)) for number in (2, 3)]
    held.let_go.set()
    return [future.exception(30) for future in futures]


def test_nothing_is_taken_after_the_end(journals: dict[str, Journal], counts: ReceiverCounts) -> None:
    decoding = Decoding(journals, counts)
    waiting = decoding.submit(Waiting(METRICS, b"", False, ANYBODY))
    decoding.close()
    assert waiting.result(0) == {}
    refusal = decoding.submit(Waiting(METRICS, b"", False, ANYBODY)).exception(0)
    assert isinstance(refusal, RefusalError)
    assert refusal.http_status == 503
