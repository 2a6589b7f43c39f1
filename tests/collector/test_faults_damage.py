"""A segment that is damaged, or that the engine refuses, is set aside and reported; it blocks neither the start nor any
other segment, and what can be read of it is stored."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from collector.columns import SPAN_SCHEMA
from collector.decode import decode_traces
from collector.intake import Intake
from collector.journal import Journal
from collector.rows import of_project, stored_schema
from collector.segment import read_segment
from collector.writer import MOST_REFUSALS, Patience, Writer
from settings import CollectorSettings, Settings
from store.telemetry import TelemetryStore
from tests.collector.faults import stored_services
from tests.collector.otlp_calls import TRACES, request_of
from tests.collector.test_journal import open_journal
from tests.collector.test_seen import mark
from tests.servers import ServeProcess, query_directory, wait_until

SCHEMA = stored_schema(SPAN_SCHEMA)
SHORT = 20
HEAD = struct.calcsize("<4sQI") + struct.calcsize("<I")
IMPATIENT = Patience(0.01, 0.02)


def spans(service: str, count: int = 2) -> pa.Table:
    body = request_of(TRACES, service, count).SerializeToString()
    return of_project(decode_traces(body, time.time_ns()).rows, "default")


def segment(folder: Path, *services: str, schema: pa.Schema = SCHEMA, table: Callable[[str], pa.Table] = spans) -> Path:
    """A sealed segment that holds a request of each service."""
    before = set(folder.glob("*.segment"))
    journal = Journal(folder, schema, seal_seconds=3600, seal_bytes=2**30, max_bytes=2**30)
    for service in services:
        journal.append(table(service), [mark(hash(service) % 2**64)]).result(timeout=SHORT)
    journal.close()
    (made,) = set(folder.glob("*.segment")) - before
    return made


def frames_at(content: bytes) -> list[int]:
    """Where the frames of an undamaged segment begin: the schema, then the requests."""
    found, at = [], 0
    while at < len(content):
        found.append(at)
        at += HEAD + struct.unpack_from("<Q", content, at + 4)[0]
    return found


def changed(content: bytes, at: int, by: bytes | None = None) -> bytes:
    """The bytes with other ones at a place; one of them flipped, if not told which."""
    by = bytes([content[at] ^ 0xFF]) if by is None else by
    return content[:at] + by + content[at + len(by) :]


Damage = Callable[[bytes, list[int]], bytes]

# Each says which of three requests in a segment can still be read.
DAMAGES: dict[str, tuple[Damage, str]] = {
    "magic": (lambda content, at: changed(content, at[2]), "ac"),
    "another version of a frame": (lambda content, at: changed(content, at[2], b"AND9"), "ac"),
    "another version of the file": (
        lambda content, at: content.replace(b"ANDM", b"BND1").replace(b"ANDN", b"BND1"),
        "",
    ),
    "length": (lambda content, at: changed(content, at[2] + 4), "ac"),
    "a length beyond the end": (lambda content, at: changed(content, at[2] + 4, struct.pack("<Q", 2**40)), "ac"),
    "a length of all there is": (lambda content, at: changed(content, at[2] + 4, b"\xff" * 8), "ac"),
    "checksum of the payload": (lambda content, at: changed(content, at[2] + 12), "ac"),
    "checksum of the head": (lambda content, at: changed(content, at[2] + 16), "ac"),
    "number of marks": (lambda content, at: changed(content, at[2] + HEAD), "ac"),
    "marks": (lambda content, at: changed(content, at[2] + HEAD + 4), "ac"),
    "body": (lambda content, at: changed(content, (at[2] + at[3]) // 2), "ac"),
    "last byte": (lambda content, at: changed(content, len(content) - 1), "ab"),
    "schema": (lambda content, at: changed(content, at[0] + HEAD + 40), "abc"),
    "first byte": (lambda content, at: changed(content, 0), "abc"),
    "cut in the last body": (lambda content, at: content[:-7], "ab"),
    "cut in the last head": (lambda content, at: content[: at[3] + 5], "ab"),
    "cut in the schema": (lambda content, at: content[: at[1] - 9], ""),
    "a frame cut out": (lambda content, at: content[: at[2] + 30] + content[at[3] :], "ac"),
    "zeros at the end": (lambda content, at: content[: at[3]] + bytes(len(content) - at[3]), "ab"),
    "zeros in the middle": (lambda content, at: changed(content, at[2], bytes(at[3] - at[2])), "ac"),
    "garbage behind": (lambda content, at: content + b"garbage", "abc"),
    "empty": (lambda content, at: b"", ""),
    "garbage": (lambda content, at: b"\x00\x9fgarbage" * 1000, ""),
    "all zeros": (lambda content, at: bytes(5000), ""),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_of_every_kind_of_byte_is_told_and_costs_only_the_frame_that_it_is_in(tmp_path: Path, kind: str) -> None:
    damage, survivors = DAMAGES[kind]
    path = segment(tmp_path, "a", "b", "c")
    whole = path.read_bytes()
    assert len(frames_at(whole)) == 4
    path.write_bytes(damage(whole, frames_at(whole)))
    found = read_segment(path, SCHEMA)
    assert found.damage is not None
    assert path.name in found.damage
    services = [] if found.rows is None else found.rows["service"].to_pylist()
    assert services == [name for name in survivors for _ in range(2)]


def test_a_server_starts_over_a_journal_of_damaged_segments_stores_the_rest_and_says_so(tmp_path: Path) -> None:
    data = tmp_path / "data"
    folder = data / "journal" / "spans"
    folder.mkdir(parents=True)
    expected = {}
    for number, (damage, survivors) in enumerate(DAMAGES.values()):
        names = [f"{letter}{number}" for letter in "abc"]
        damaged = segment(folder, *names)
        whole = damaged.read_bytes()
        damaged.write_bytes(damage(whole, frames_at(whole)))
        segment(folder, f"good{number}")
        expected |= dict.fromkeys([f"{letter}{number}" for letter in survivors] + [f"good{number}"], 2)
    (folder / "copy of a.segment").write_bytes(b"what somebody left here")
    count = len(DAMAGES) + 1
    with ServeProcess(data) as server:
        wait_until(lambda: server.metric("andon_journal_segments", table="spans") == 0, "the journal is drained")
        assert server.metric("andon_journal_quarantined_segments", table="spans") == count
        assert server.metric("andon_writer_quarantined_segments_total", table="spans") == count
        aside = sum(path.stat().st_size for path in (folder / "quarantine").iterdir())
        health = server.get("/api/v1/health")["collector"]
        assert health["journal"]["spans"]["quarantined_segments"] == count
        assert health["journal"]["spans"]["quarantined_bytes"] == aside > 0
        assert httpx.get(f"{server.url}/readyz").status_code == 200
        assert server.stop() == 0
        assert server.log.count("is set aside as") == count
        # They are reported until somebody looks at them.
        server.start()
        assert server.metric("andon_journal_quarantined_segments", table="spans") == count
        assert server.stop() == 0
    found = query_directory(data, "SELECT service, count() AS n FROM spans GROUP BY service")
    assert {row["service"]: row["n"] for row in found} == expected


def odd(service: str) -> pa.Table:
    """Rows of a column that the table does not have: the engine refuses them."""
    rows = spans(service)
    return rows.append_column("no_such_column", pa.array([1] * len(rows), pa.int64()))


ODD = odd("x").schema


@pytest.mark.parametrize("bad", [1, 3])
def test_segments_that_the_engine_refuses_are_set_aside_and_those_behind_them_go_on(
    tmp_path: Path, telemetry: TelemetryStore, bad: int
) -> None:
    """Also when the oldest of all are bad, which looks as if the store were away."""
    for number in range(bad):
        segment(tmp_path, f"bad{number}", schema=ODD, table=odd)
    for number in range(4):
        segment(tmp_path, f"good{number}")
    journal = Journal(tmp_path, SCHEMA, seal_seconds=3600, seal_bytes=1, max_bytes=2**30)
    writer = Writer(journal, telemetry, "spans", IMPATIENT)
    writer.start()
    good = {f"good{number}": 2 for number in range(4)}
    wait_until(lambda: stored_services(telemetry, "spans") == good, "the good ones are in the store")
    late = 0
    while journal.state().segments:
        # A refusal is one of the segment when the store takes others meanwhile.
        journal.append(spans(f"late{late}")).result(timeout=SHORT)
        good[f"late{late}"] = 2
        late += 1
        writer.wake()
        wait_until(lambda: stored_services(telemetry, "spans") == good, "the later one is in the store")
        assert late < 200
    assert writer.counts.set_aside == bad
    assert writer.counts.failed_inserts >= bad * MOST_REFUSALS
    assert journal.state().quarantined == bad
    writer.stop(SHORT)
    writer.join()
    journal.close()
    assert stored_services(telemetry, "spans") == good


def test_a_refused_segment_that_is_moved_back_is_stored_once_the_cause_is_cured(
    tmp_path: Path, telemetry: TelemetryStore
) -> None:
    refused = segment(tmp_path, "cured", schema=ODD, table=odd)
    journal = open_journal(tmp_path)
    aside = journal.quarantine(refused)
    journal.close()
    telemetry.execute("ALTER TABLE spans ADD COLUMN no_such_column Int64")
    aside.rename(refused)
    again = Journal(tmp_path, SCHEMA, seal_seconds=3600, seal_bytes=1, max_bytes=2**30)
    assert (again.state().segments, again.state().quarantined) == (1, 0)
    writer = Writer(again, telemetry, "spans", IMPATIENT)
    writer.start()
    wait_until(lambda: again.state().segments == 0, "it is in the store")
    writer.stop(SHORT)
    writer.join()
    again.close()
    assert stored_services(telemetry, "spans") == {"cured": 2}


def test_damage_of_one_table_holds_up_no_other(tmp_path: Path, telemetry: TelemetryStore) -> None:
    settings = Settings(data_dir=tmp_path, collector=CollectorSettings())
    for table in ("logs", "metric_points", "observations"):
        folder = settings.journal_dir / table
        folder.mkdir(parents=True)
        (folder / f"{5:020d}-bad.segment").write_bytes(b"garbage" * 99)
    folder = settings.journal_dir / "spans"
    folder.mkdir(parents=True)
    segment(folder, "kept")
    intake = Intake(settings, telemetry)
    intake.start()
    wait_until(lambda: intake.waiting_seconds() is None, "nothing waits")
    assert stored_services(telemetry, "spans") == {"kept": 2}
    assert {name: found["quarantined_segments"] for name, found in intake.health()["journal"].items()} == {
        "spans": 0,
        "logs": 1,
        "metric_points": 1,
        "observations": 1,
    }
    assert intake.alive
    intake.stop()


def test_a_file_of_requests_seen_that_is_damaged_stops_no_journal(tmp_path: Path) -> None:
    (tmp_path / "seen").write_bytes(b"\xff" * 1001)
    journal = open_journal(tmp_path)
    assert journal.alive
    journal.close()
