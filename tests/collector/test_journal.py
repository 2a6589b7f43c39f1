"""The journal keeps what it acknowledged, gives it back after a crash, and says when it cannot."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from collector.journal import Journal, JournalFullError
from collector.segment import read_segment

SCHEMA = pa.schema([("n", pa.int64()), ("text", pa.string())])


def rows(*numbers: int) -> pa.Table:
    return pa.table({"n": pa.array(numbers, pa.int64()), "text": [f"row {n}" for n in numbers]}, schema=SCHEMA)


def open_journal(folder: Path, seal_seconds: float = 3600, seal_bytes: int = 2**30, max_bytes: int = 2**30) -> Journal:
    return Journal(folder, SCHEMA, seal_seconds=seal_seconds, seal_bytes=seal_bytes, max_bytes=max_bytes)


def sealed_numbers(journal: Journal) -> list[int]:
    tables = [read_segment(path, SCHEMA).rows for path in journal.sealed()]
    return [n for table in tables if table is not None for n in table["n"].to_pylist()]


def test_closing_seals_what_was_appended_in_order(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    for number in range(5):
        journal.append(rows(number)).result(timeout=10)
    journal.close()
    assert sealed_numbers(journal) == [0, 1, 2, 3, 4]


def test_a_segment_is_sealed_when_it_is_large_enough(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, seal_bytes=1)
    for number in range(3):
        journal.append(rows(number)).result(timeout=10)
    journal.close()
    assert len(list(journal.sealed())) == 3


def test_an_open_segment_of_a_killed_process_is_adopted_and_its_torn_tail_left_out(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append(rows(1)).result(timeout=10)
    journal.append(rows(2)).result(timeout=10)
    (segment,) = tmp_path.glob("*.open")
    whole = segment.read_bytes()
    journal.close()
    for path in journal.sealed():
        path.unlink()
    for cut in range(0, len(whole), 7):
        segment.write_bytes(whole[:cut])
        again = open_journal(tmp_path)
        found = sealed_numbers(again)
        again.close()
        assert found in ([], [1], [1, 2])
        assert all(read_segment(path, SCHEMA).damage is None for path in again.sealed())
        for path in again.sealed():
            path.unlink()


@pytest.mark.parametrize("place", range(5, 1200, 97))
def test_a_changed_byte_is_noticed_and_costs_at_most_its_own_frame(tmp_path: Path, place: int) -> None:
    journal = open_journal(tmp_path)
    for number in range(4):
        journal.append(rows(number)).result(timeout=10)
    journal.close()
    (segment,) = journal.sealed()
    content = bytearray(segment.read_bytes())
    content[place % len(content)] ^= 0xFF
    segment.write_bytes(content)
    found = read_segment(segment, SCHEMA)
    assert found.damage is not None
    assert found.rows is not None
    assert len(set(range(4)) - set(found.rows["n"].to_pylist())) <= 1


def test_a_damaged_segment_can_be_set_aside(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append(rows(1)).result(timeout=10)
    journal.close()
    (segment,) = journal.sealed()
    segment.write_bytes(b"\x00garbage" * 100)
    assert read_segment(segment, SCHEMA).damage is not None
    place = journal.quarantine(segment)
    assert place.parent.name == "quarantine"
    assert list(journal.sealed()) == []


def test_above_the_disk_budget_appends_fail_and_nothing_stored_is_lost(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, max_bytes=1)
    journal.append(rows(1)).result(timeout=10)
    with pytest.raises(JournalFullError, match="journal_max_bytes"):
        journal.append(rows(2)).result(timeout=10)
    journal.close()
    assert sealed_numbers(journal) == [1]


def test_a_failed_write_is_refused_and_what_came_before_stays(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.append(rows(1)).result(timeout=10)
    wrong = pa.table({"other": [1]})
    with pytest.raises(pa.ArrowException):
        journal.append(wrong).result(timeout=10)
    journal.append(rows(2)).result(timeout=10)
    journal.close()
    assert sealed_numbers(journal) == [1, 2]


def test_a_closed_journal_refuses(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.close()
    with pytest.raises(JournalFullError, match="stopping"):
        journal.append(rows(1)).result(timeout=10)


def test_a_foreign_file_in_the_folder_disturbs_nothing(tmp_path: Path) -> None:
    (tmp_path / "copy.segment").write_bytes(b"x")
    journal = open_journal(tmp_path)
    journal.append(rows(1)).result(timeout=10)
    assert journal.state().segments == 2
    journal.close()


def test_a_sender_that_has_gone_does_not_stop_the_journal(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    gone = [journal.append(rows(number)) for number in range(50)]
    for future in gone:
        future.cancel()
    journal.append(rows(99)).result(timeout=10)
    journal.close()
    assert 99 in sealed_numbers(journal)


def test_the_state_tells_bytes_segments_and_age(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    assert journal.state().segments == 0
    assert journal.state().oldest_age_seconds is None
    journal.append(rows(1)).result(timeout=10)
    state = journal.state()
    assert state.segments == 1
    assert state.bytes > 0
    assert state.oldest_age_seconds is not None
    journal.close()
