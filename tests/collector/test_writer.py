"""The writer goes on through whatever the store does, and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from collector.writer import Writer
from store.telemetry import TelemetryStore
from tests.collector.test_journal import open_journal, rows
from tests.servers import wait_until


class Failing(TelemetryStore):
    """A store that fails a few times in ways of its own before it takes rows."""

    def __init__(self, failures: list[BaseException]) -> None:
        self.failures = failures
        self.taken: list[tuple[str | None, list[int]]] = []

    def insert(self, table: str, rows: pa.Table, token: str | None = None) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append((token, rows["n"].to_pylist()))


@pytest.mark.parametrize(
    "failure", [MemoryError(), AssertionError(), RuntimeError("away\nand more"), OSError(28, "full")]
)
def test_a_failed_insert_is_tried_again_with_the_same_token(tmp_path: Path, failure: BaseException) -> None:
    journal = open_journal(tmp_path)
    journal.append(rows(1, 2)).result(timeout=10)
    journal.close()
    (segment,) = journal.sealed()
    store = Failing([failure])
    writer = Writer(journal, store, "spans")
    writer.start()
    wait_until(lambda: bool(store.taken), "the second try")
    assert writer.alive
    assert writer.counts.failed_inserts == 1
    writer.stop(60)
    writer.join()
    assert store.taken == [(segment.stem, [1, 2])]
    assert list(journal.sealed()) == []
