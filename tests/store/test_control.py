"""The control store is one thing on SQLite and on PostgreSQL: the same migrations, types and promises."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

import alerts.records  # noqa: F401  the records of every room must be known to Base
import checklist.records  # noqa: F401
import drift.records  # noqa: F401
import store.keys
from checklist.records import ResultRecord
from store.control import Base, ControlStore
from store.errors import NewerDataError, StoreError
from store.migrate import upgrade, version_table

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ControlStore]:
    """A migrated control store on each dialect."""
    url = f"sqlite:///{tmp_path / 'c.sqlite'}" if request.param == "sqlite" else request.getfixturevalue("postgres")
    store = ControlStore(url)
    upgrade(store.engine, "control")
    yield store
    store.close()


def result(name: str, at: datetime = NOON) -> ResultRecord:
    return ResultRecord(
        name=name, title=name, status="OK", summary="", evidence=[], remedy="", observed_at=at, since=at
    )


def test_the_migrations_make_what_the_records_declare(store: ControlStore) -> None:
    def ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
        return not (kind == "table" and name == version_table("control"))

    with store.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_object": ours, "compare_type": False, "version_table": version_table("control")}
        )
        assert compare_metadata(context, Base.metadata) == []


def test_a_newer_control_store_is_refused(store: ControlStore) -> None:
    with store.engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {version_table('control')} SET version_num = '9999'"))
    with pytest.raises(NewerDataError):
        upgrade(store.engine, "control")


def test_times_come_back_as_the_same_instant_in_utc(store: ControlStore) -> None:
    elsewhere = NOON.astimezone(timezone(timedelta(hours=5, minutes=45)))
    with store.write() as session:
        session.add(result("a", elsewhere))
    with store.read() as session:
        found = session.get_one(ResultRecord, "a").observed_at
    assert found == NOON
    assert found.utcoffset() == timedelta(0)


def test_a_naive_time_is_refused(store: ControlStore) -> None:
    with pytest.raises(sa.exc.StatementError, match="naive"), store.write() as session:
        session.add(result("a", datetime(2026, 11, 1)))  # noqa: DTZ001
        session.flush()


def test_a_failed_transaction_leaves_nothing(store: ControlStore) -> None:
    with pytest.raises(RuntimeError), store.write() as session:
        session.add(result("a"))
        session.flush()
        raise RuntimeError
    with store.read() as session:
        assert session.get(ResultRecord, "a") is None


def test_writers_at_once_all_get_their_turn(store: ControlStore) -> None:
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            for index in range(5):
                with store.write() as session:
                    session.execute(sa.select(sa.func.count()).select_from(ResultRecord))
                    session.add(result(f"{number}-{index}"))
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with store.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(ResultRecord)) == 20


def test_sqlite_is_durable() -> None:
    store = ControlStore("sqlite://")
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_another_database_is_refused_with_what_is_allowed() -> None:
    with pytest.raises(StoreError, match="use sqlite:/// or postgresql://"):
        ControlStore("mysql://user:secret@host/db")
