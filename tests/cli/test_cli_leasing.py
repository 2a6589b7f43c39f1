"""One process at a time does a task; one that was paused and wakes late changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from checklist.records import ResultRecord
from cli.leasing import LeasedTask
from store.control import ControlStore
from store.lease import LeaseLostError, LeaseRecord, store_time
from store.migrate import upgrade

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> Iterator[ControlStore]:
    """A migrated control store on each dialect."""
    if request.param == "sqlite":
        yield request.getfixturevalue("control")
        return
    opened = ControlStore(request.getfixturevalue("postgres"))
    upgrade(opened.engine, "control")
    yield opened
    opened.close()


def task(store: ControlStore, holder: str, least_token: int = 1) -> LeasedTask:
    return LeasedTask(store, "fold", holder, 2.0, lambda: least_token)


def works(of: LeasedTask) -> bool:
    done: list[int] = []
    of.led(lambda _now, grant: done.append(grant.token))(NOW)
    return bool(done)


def run_out(store: ControlStore) -> None:
    """As if the holder had been silent for the length of its lease."""
    with store.write() as session:
        session.execute(sa.update(LeaseRecord).values(until=store_time(session) - timedelta(seconds=1)))


def result(name: str) -> ResultRecord:
    return ResultRecord(
        name=name, title=name, status="OK", summary="", evidence=[], remedy="", observed_at=NOW, since=NOW
    )


def test_one_works_and_the_other_stands_by_until_it_is_silent(store: ControlStore) -> None:
    one, two = task(store, "one"), task(store, "two")
    assert works(one)
    assert not works(two)
    assert works(one)
    run_out(store)
    assert works(two)
    assert not works(one)


def test_a_clean_end_hands_over_at_once(store: ControlStore) -> None:
    one, two = task(store, "one"), task(store, "two")
    assert works(one)
    one.release()
    assert works(two)


def test_every_change_of_holder_raises_the_token_and_keeping_it_does_not(store: ControlStore) -> None:
    tokens: list[int] = []

    def note(of: LeasedTask) -> None:
        of.led(lambda _now, grant: tokens.append(grant.token))(NOW)

    one = task(store, "one")
    note(one)
    note(one)
    run_out(store)
    note(task(store, "two", least_token=7))
    run_out(store)
    note(task(store, "three"))
    assert tokens == [1, 1, 7, 8]


@pytest.mark.postgres
def test_one_that_is_paused_inside_a_transaction_loses_its_locks(postgres: str) -> None:
    store = ControlStore(postgres)
    with store.read() as session:
        assert session.scalar(sa.text("SHOW idle_in_transaction_session_timeout")) == "15s"
    store.close()


def test_a_holder_that_wakes_late_is_refused_where_it_writes(store: ControlStore) -> None:
    one, two = task(store, "one"), task(store, "two")

    def slow(_now: datetime, _grant: object) -> None:
        run_out(store)
        assert works(two)
        with pytest.raises(LeaseLostError):
            one.check()
        with one.store.write() as session:
            session.add(result("late"))
        raise AssertionError("the write was not refused")

    one.led(slow)(NOW)  # losing the lease is no failure of the task
    assert one.grant is None
    with store.read() as session:
        assert session.get(ResultRecord, "late") is None


def test_a_holder_writes_through_its_fence(store: ControlStore) -> None:
    one = task(store, "one")

    def work(_now: datetime, _grant: object) -> None:
        with one.store.write() as session:
            session.add(result("kept"))

    one.led(work)(NOW)
    with store.read() as session:
        assert session.get_one(ResultRecord, "kept").observed_at == NOW


def test_the_store_tells_its_time_in_utc(store: ControlStore) -> None:
    with store.read() as session:
        assert abs(store_time(session) - datetime.now(UTC)) < timedelta(minutes=1)
