"""What goes wrong inside the journal itself costs the requests at hand and nothing else: they are told to try again, it
is counted, and the next are taken."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from collector.intake import Intake
from collector.journal import MOST_FAULTS, Journal, JournalFullError
from collector.seen import SeenRequests
from collector.segment import read_segment
from tests.collector.faults import TABLES, bodies, stored_services
from tests.collector.otlp_calls import PROTOBUF
from tests.collector.test_journal import SCHEMA, open_journal, rows, sealed_numbers
from tests.collector.test_seen import mark
from tests.servers import wait_until

SHORT = 20


def failing(times: int, instead: Callable[..., Any], error: BaseException) -> Callable[..., Any]:
    """`instead`, which raises the first few times."""
    left = [error] * times

    def call(*given: Any, **named: Any) -> Any:
        if left:
            raise left.pop()
        return instead(*given, **named)

    return call


@pytest.mark.parametrize("place", ["forget", "add", "save", "reserve"])
def test_a_fault_in_the_journals_own_thread_is_told_and_counted_and_the_thread_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Where the rows were on disk when it happened, the request is answered with success: nobody sends it again."""
    journal = open_journal(tmp_path, seal_bytes=1)
    monkeypatch.setattr(SeenRequests, place, failing(1, getattr(SeenRequests, place), MemoryError("no memory")))
    first = journal.append(rows(1), [mark(1)])
    if place in {"forget", "reserve"}:
        with pytest.raises(MemoryError):
            first.result(timeout=SHORT)
    else:
        assert first.result(timeout=SHORT) is True
    assert journal.append(rows(2), [mark(2)]).result(timeout=SHORT) is True
    assert journal.faults == (0 if place == "reserve" else 1)
    assert journal.alive
    journal.close()
    assert sealed_numbers(journal) == ([2] if place in {"forget", "reserve"} else [1, 2])


def test_a_segment_whose_sealing_fails_unexpectedly_is_sealed_by_the_next_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = threading.Event()
    journal = Journal(tmp_path, SCHEMA, seal_seconds=0.05, seal_bytes=2**30, max_bytes=2**30, on_sealed=told.set)
    monkeypatch.setattr(SeenRequests, "save", failing(1, SeenRequests.save, ValueError("a fault")))
    journal.append(rows(1), [mark(1)]).result(timeout=SHORT)
    assert told.wait(SHORT)
    wait_until(lambda: sealed_numbers(journal) == [1], "the segment is sealed")
    assert journal.faults == 1
    journal.close()


def test_a_journal_that_fails_each_time_says_that_it_does_not_work_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_journal(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(SeenRequests, "forget", failing(10**6, SeenRequests.forget, ValueError("a fault")))
        for number in range(MOST_FAULTS):
            assert journal.alive
            with pytest.raises(ValueError, match="a fault"):
                journal.append(rows(number)).result(timeout=SHORT)
        wait_until(lambda: not journal.alive, "it says so")
    journal.append(rows(7)).result(timeout=SHORT)
    wait_until(lambda: journal.alive, "it works again")
    journal.close()
    assert sealed_numbers(journal) == [7]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_when_the_thread_ends_nobody_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = open_journal(tmp_path)
    journal.append(rows(1)).result(timeout=SHORT)
    monkeypatch.setattr(SeenRequests, "forget", failing(1, SeenRequests.forget, SystemExit()))
    for number in (2, 3):
        with pytest.raises(JournalFullError):
            journal.append(rows(number)).result(timeout=SHORT)
    wait_until(lambda: not journal.alive, "it says so")
    again = open_journal(tmp_path)
    again.close()
    assert sealed_numbers(again) == [1]


def test_a_request_that_meets_a_fault_is_told_to_try_again_and_then_stored_once(
    client: TestClient, intake: Intake, monkeypatch: pytest.MonkeyPatch, telemetry: Any
) -> None:
    monkeypatch.setattr(SeenRequests, "forget", failing(3, SeenRequests.forget, ValueError("a fault")))
    headers = {"content-type": PROTOBUF}
    for export, body in bodies("unlucky", 1):
        answers = [client.post(export.path, content=body, headers=headers) for _ in range(4)]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert {answer.status_code for answer in refused} <= {503}
        assert all(1 <= int(answer.headers["retry-after"]) <= 5 for answer in refused)
        assert answers[-1].status_code == 200
    health = intake.health()
    assert sum(journal["faults_total"] for journal in health["journal"].values()) == 3
    assert health["refused_requests"] == {"internal": 3}
    assert intake.alive
    intake.stop()
    for table in TABLES.values():
        assert stored_services(telemetry, table) == {"unlucky-0": 2}


def test_what_is_set_aside_counts_against_the_disk_budget_until_somebody_clears_it(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, seal_bytes=1, max_bytes=3000)
    journal.append(rows(*range(500))).result(timeout=SHORT)
    wait_until(lambda: len(list(journal.sealed())) == 1, "the segment is sealed")
    (segment,) = journal.sealed()
    size = segment.stat().st_size
    assert size > 3000
    aside = journal.quarantine(segment)
    state = journal.state()
    assert (state.bytes, state.segments, state.quarantined, state.quarantined_bytes) == (0, 0, 1, size)
    with pytest.raises(JournalFullError, match=f"{size} of it in quarantine"):
        journal.append(rows(1)).result(timeout=SHORT)
    aside.unlink()
    journal.append(rows(2)).result(timeout=SHORT)
    assert journal.state().quarantined == 0
    journal.close()
    assert sealed_numbers(journal) == [2]


def test_what_an_earlier_run_set_aside_counts_too(tmp_path: Path) -> None:
    (tmp_path / "quarantine").mkdir()
    (tmp_path / "quarantine" / "old.segment").write_bytes(b"x" * 100)
    journal = open_journal(tmp_path, max_bytes=99)
    assert journal.state().quarantined_bytes == 100
    with pytest.raises(JournalFullError):
        journal.append(rows(1)).result(timeout=SHORT)
    journal.close()


def test_a_cut_after_sealing_is_damage_and_before_it_is_not(tmp_path: Path) -> None:
    """Of a sealed segment every byte was promised; of an open one only what was synced."""
    journal = open_journal(tmp_path / "sealed")
    for number in (1, 2):
        journal.append(rows(number)).result(timeout=SHORT)
    journal.close()
    (segment,) = journal.sealed()
    whole = segment.read_bytes()
    segment.write_bytes(whole[:-1])
    found = read_segment(segment, SCHEMA)
    assert found.damage is not None
    assert found.rows is not None
    assert found.rows["n"].to_pylist() == [1]
    left = tmp_path / "left" / f"{segment.stem}.open"
    left.parent.mkdir()
    left.write_bytes(whole[:-1])
    again = open_journal(left.parent)
    again.close()
    assert sealed_numbers(again) == [1]
    assert [read_segment(path, SCHEMA).damage for path in again.sealed()] == [None]


def test_an_open_segment_in_which_nothing_was_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / f"{1:020d}-empty.open").write_bytes(b"")
    journal = open_journal(tmp_path)
    journal.close()
    assert list(tmp_path.glob("*.open")) == list(journal.sealed()) == []
