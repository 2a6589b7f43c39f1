"""Silence is known only where no collector may hold a span: worked out by hand from heartbeats."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from store.collectors import (
    Collector,
    CollectorRecord,
    CollectorState,
    Watched,
    beat,
    forget,
    read_collectors,
    watched,
)
from store.control import ControlStore

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
LIVE, STOPPED, VANISHED = CollectorState


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def collector(name: str, state: CollectorState, started: float, seen: float, waiting: float | None = None) -> Collector:
    return Collector(name, "host", state, at(started), at(seen), None if waiting is None else at(waiting))


def test_without_a_live_collector_nothing_is_known() -> None:
    assert watched([]) is None
    assert watched([collector("a", STOPPED, 0, 100), collector("b", VANISHED, 0, 100)]) is None


def test_time_is_known_from_the_latest_start_to_the_earliest_word() -> None:
    found = watched([collector("a", LIVE, 0, 300), collector("b", LIVE, 60, 298)])
    assert found == Watched(at(60), at(298))


def test_time_is_known_up_to_the_oldest_span_that_waits() -> None:
    found = watched([collector("a", LIVE, 0, 300), collector("b", LIVE, 0, 298, waiting=120)])
    assert found == Watched(at(0), at(120))


def test_what_a_vanished_collector_may_hold_is_unknown_until_it_surely_took_no_more() -> None:
    found = watched([collector("a", LIVE, 0, 600), collector("b", VANISHED, 0, 290, waiting=250)])
    assert found == Watched(at(0), at(600), ((at(250), at(310)),))
    assert [found.covers(at(60 * n)) for n in range(10)] == [True] * 4 + [False] * 2 + [True] * 4


def test_a_collector_that_ended_cleanly_with_an_empty_journal_hides_nothing() -> None:
    found = watched([collector("a", LIVE, 0, 600), collector("b", STOPPED, 0, 290)])
    assert found == Watched(at(0), at(600))
    left = watched([collector("a", LIVE, 0, 600), collector("b", STOPPED, 0, 290, waiting=100)])
    assert left is not None
    assert left.unknown == ((at(100), at(310)),)


def test_only_whole_minutes_are_covered() -> None:
    found = Watched(at(1), at(179))
    assert [found.covers(at(60 * n)) for n in range(4)] == [False, True, False, False]


def test_a_heartbeat_tells_its_state_and_one_that_stays_away_is_found(control: ControlStore) -> None:
    beat(control, "a", "host", 10, lambda: 3.0)
    beat(control, "b", "host", 10, lambda: None, stopped=True)
    (a, b) = read_collectors(control)
    assert (a.state, b.state) == (LIVE, STOPPED)
    assert not a.holds_rows_back
    assert a.waiting_since is not None
    assert a.seen_at - a.started == timedelta(seconds=10)
    assert a.seen_at - a.waiting_since == timedelta(seconds=3)
    with control.write() as session:
        long_ago = a.seen_at - timedelta(days=3)
        session.execute(sa.update(CollectorRecord).values(seen_at=long_ago))
    (gone,) = read_collectors(control)  # b is forgotten: it holds nothing
    assert (gone.instance, gone.state, gone.holds_rows_back) == ("a", VANISHED, True)


def test_a_collector_that_will_not_come_back_is_given_up_by_hand(control: ControlStore) -> None:
    beat(control, "a", "host", 10, lambda: 3.0)
    with control.write() as session:
        assert forget(session, "a")
        assert not forget(session, "a")
    assert read_collectors(control) == ()
