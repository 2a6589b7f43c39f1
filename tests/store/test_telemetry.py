"""The telemetry store is one thing embedded, on a server over HTTP, and on a cluster: inserts, repeats, parameters."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from collector.columns import SPAN_SCHEMA
from collector.decode import decode_traces
from collector.journal import Journal
from collector.writer import Writer
from store.telemetry import TelemetryStore
from tests.collector.test_decode import NOW, VLLM


def logs(*bodies: str) -> pa.Table:
    return pa.table({"body": list(bodies), "time": pa.array([datetime(2026, 11, 1, tzinfo=UTC)] * len(bodies))})


def count(store: TelemetryStore, table: str) -> int:
    return int(store.rows(f"SELECT count() AS n FROM {table}")[0]["n"])


def test_a_repeated_insert_with_the_same_token_does_nothing(telemetry: TelemetryStore) -> None:
    for _ in range(2):
        telemetry.insert("logs", logs("a", "b"), token="one")
    telemetry.insert("logs", logs("a", "b"), token="two")
    assert count(telemetry, "logs") == 4


@pytest.mark.parametrize("text", ["", "it's", "back\\slash", "täb\tand\nline", "x" * 30_000])
def test_parameters_arrive_as_they_were_given(telemetry: TelemetryStore, text: str) -> None:
    telemetry.insert("logs", logs(text, "other"))
    assert telemetry.rows("SELECT body FROM logs WHERE body IN (:texts)", texts=[text, "none"]) == [{"body": text}]


def test_times_come_back_timezone_aware(telemetry: TelemetryStore) -> None:
    telemetry.insert("logs", logs("a"))
    assert telemetry.rows("SELECT time FROM logs") == [{"time": datetime(2026, 11, 1, tzinfo=UTC)}]


def test_an_error_names_the_engines_own_code(telemetry: TelemetryStore) -> None:
    with pytest.raises(sa.exc.DatabaseError, match=r"Code: 47|code: 47"):
        telemetry.rows("SELECT nonsense FROM logs")


def test_rows_are_deleted_where_they_are(telemetry: TelemetryStore) -> None:
    telemetry.insert("logs", logs("a", "b"))
    telemetry.alter("logs", "DELETE WHERE body = 'a' SETTINGS mutations_sync = 2")
    assert telemetry.rows("SELECT body FROM logs") == [{"body": "b"}]
    telemetry.alter("logs", "DROP PARTITION '20261101'")
    assert count(telemetry, "logs") == 0


def drain(journal: Journal, telemetry: TelemetryStore) -> None:
    writer = Writer(journal, telemetry, "spans")
    writer.start()
    writer.stop(60)
    writer.join()


def test_the_writer_moves_a_segment_once_however_often_it_tries(telemetry: TelemetryStore, tmp_path: Path) -> None:
    journal = Journal(tmp_path, SPAN_SCHEMA, seal_seconds=60, seal_bytes=2**20, max_bytes=2**30)
    journal.append(decode_traces(VLLM.read_bytes(), NOW).rows).result(timeout=10)
    journal.close()
    (segment,) = journal.sealed()
    kept = segment.with_suffix(".kept")
    os.link(segment, kept)
    drain(journal, telemetry)
    written = count(telemetry, "spans")
    kept.rename(segment)  # as if the process had died between the insert and the delete
    drain(journal, telemetry)
    assert count(telemetry, "spans") == written > 0
