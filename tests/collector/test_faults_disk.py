"""A disk that is full or read-only: every way of sending is told to try again soon, nothing acknowledged is lost, and
when there is room again everything goes on by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from collector.journal import Journal
from collector.seen import RESERVED
from tests.collector.faults import TABLES, SmallDisk, bodies, small_disk, told
from tests.collector.otlp_calls import PROTOBUF, RETRY, SUCCESS, call, transport
from tests.collector.test_journal import SCHEMA, open_journal, rows, sealed_numbers
from tests.collector.test_seen import mark
from tests.servers import ServeProcess, query_directory, wait_until

SHORT = 20
WAYS = (PROTOBUF, "grpc")


def sent(server: ServeProcess, name: str, way: str) -> set[object]:
    """The codes of one request of each signal; each that is to be retried says when."""
    answers = [call(server, way, export, body) for export, body in bodies(f"{name}-{transport(way)}", 1)]
    for answer in answers:
        if answer.code == RETRY[transport(way)]:
            assert 1 <= int(answer.retry_after or 0) <= 5
            assert answer.status.code == 14
    return {answer.code for answer in answers}


def expect_refused(server: ServeProcess, name: str) -> None:
    for way in WAYS:
        assert sent(server, name, way) == {RETRY[transport(way)]}


def expect_taken_in_the_end(server: ServeProcess, name: str) -> None:
    for way in WAYS:

        def taken(way: str = way) -> bool:
            return sent(server, name, way) == {SUCCESS[transport(way)]}

        wait_until(taken, f"requests are taken over {way} again")


def nothing_waits(server: ServeProcess) -> bool:
    return server.metric("andon_journal_segments") == 0


def test_a_full_and_a_read_only_disk_refuse_for_a_while_and_lose_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with small_disk(data / "journal", 16) as disk, ServeProcess(data) as server:
        expect_taken_in_the_end(server, "before")
        wait_until(lambda: nothing_waits(server), "no segment is left that could make room")
        disk.fill()
        expect_refused(server, "full")
        assert httpx.get(f"{server.url}/readyz").status_code == 200
        disk.free()
        expect_taken_in_the_end(server, "full")
        wait_until(lambda: nothing_waits(server) and disk.read_only(), "the disk is read-only")
        expect_refused(server, "read-only")
        disk.writable()
        expect_taken_in_the_end(server, "read-only")
        assert server.metric("andon_collector_refused_requests_total", reason="journal") >= 12
        assert server.metric("andon_journal_faults_total") == 0
        wait_until(lambda: nothing_waits(server), "everything is in the store")
        assert server.stop() == 0
    names = {f"{name}-{kind}-0" for name in ("before", "full", "read-only") for kind in ("http", "grpc")}
    for table in TABLES.values():
        found = query_directory(data, f"SELECT service, count() AS n FROM {told(table)} GROUP BY service")
        assert {row["service"]: row["n"] for row in found} == dict.fromkeys(names, 2)


def test_killed_on_a_full_disk_it_still_knows_what_it_has_stored(tmp_path: Path) -> None:
    """The segment whose marks could not be written down elsewhere is in the store and deleted when the server dies."""
    data = tmp_path / "data"
    requests = bodies("once", 1)
    with small_disk(data / "journal", 16) as disk, ServeProcess(data) as server:
        for export, body in requests:
            assert call(server, PROTOBUF, export, body).code == 200
        disk.fill()
        wait_until(lambda: nothing_waits(server), "the segments are in the store")
        server.kill()
        server.start()
        disk.free()
        for export, body in requests:
            assert call(server, PROTOBUF, export, body).code == 200
        assert server.metric("andon_collector_duplicate_requests_total") == len(requests)
        assert server.stop() == 0
    for table in TABLES.values():
        assert query_directory(data, f"SELECT count() AS n FROM {told(table)} WHERE service = 'once-0'") == [{"n": 2}]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 4) as found:
        yield found


def write_until_full(journal: Journal, first: int) -> list[int]:
    """Append rows, each of a marked request, until the disk is full: those that were acknowledged."""
    taken = []
    for number in range(first, first + 10_000):
        future = journal.append(rows(number, *[-1] * 200), [mark(number)])
        if isinstance(future.exception(timeout=SHORT), OSError):
            return taken
        assert future.result() is True
        taken.append(number)
    raise AssertionError("the disk is larger than it should be")


def kept(journal: Journal) -> list[int]:
    return [number for number in sealed_numbers(journal) if number >= 0]


def test_a_journal_that_filled_its_disk_itself_goes_on_when_its_segments_are_taken(disk: SmallDisk) -> None:
    journal = open_journal(disk.folder / "journal", seal_bytes=2**17)
    taken = write_until_full(journal, 0)
    for _ in range(3):
        assert write_until_full(journal, 10_000) == []
    wait_until(lambda: kept(journal) == taken, "what was acknowledged is sealed, the rest is cut off")
    for segment in journal.sealed():
        journal.discard(segment)
    later = write_until_full(journal, 20_000)
    assert len(later) > len(taken) // 2
    journal.close()
    assert kept(journal) == later


@pytest.mark.parametrize("requests", [1, RESERVED + 1])
def test_marks_have_their_room_before_a_request_is_acknowledged(disk: SmallDisk, requests: int) -> None:
    """Sealed, taken and deleted on a full disk, and the process gone without a word: each is known again."""
    folder = disk.folder / "journal"
    journal = Journal(folder, SCHEMA, seal_seconds=3600, seal_bytes=2**30, max_bytes=2**30)
    for first in range(0, requests, 500):
        numbers = range(first, min(first + 500, requests))
        journal.append(rows(first), [mark(number) for number in numbers]).result(timeout=SHORT)
    disk.fill()
    journal.close()
    for segment in journal.sealed():
        journal.discard(segment)
    disk.fill()
    again = open_journal(folder)
    assert [number for number in range(requests) if again.seen.arrival(mark(number).digest) is None] == []
    again.close()
