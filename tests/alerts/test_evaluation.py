"""Evaluation against a real store: states survive, vanished signals are no data, messages stand with their change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from alerts import outbox
from alerts.evaluator import Evaluator
from alerts.records import AlertEvent, AlertInstance, OutboxMessage
from alerts.rules import load_rules
from alerts.signals import Signal
from alerts.states import State, Transition
from alerts.status import current_alerts, recent_events
from settings.model import AlertRule, AlertSettings
from store.control import ControlStore
from tests.alerts.receiver import at

FIRING, RESOLVED, PENDING, CLEARED = Transition.FIRING, Transition.RESOLVED, Transition.PENDING, Transition.CLEARED


class Line:
    """The factory line under test: set `values`, then `evaluate`."""

    def __init__(self, store: ControlStore, *rules: dict[str, Any], channels: Sequence[str] = ("ops",)) -> None:
        self.store = store
        self.channels = channels
        self.values: dict[tuple[tuple[str, str], ...], float | str | None] = {}
        self.signal = "usage.tps"
        self.restart(*rules)

    def restart(self, *rules: dict[str, Any], holder: str = "one") -> None:
        filled = tuple(
            AlertRule(**{"name": "slow", "signal": "usage.tps", "op": "<", "value": 10, **rule}) for rule in rules
        )
        loaded = load_rules(AlertSettings(rules=filled, default_rules=False), 15, self.channels)
        self.evaluator = Evaluator(self.store, loaded, self.read, holder=holder)

    def read(self, now: datetime) -> Sequence[Signal]:
        return [Signal(self.signal, dict(labels), value, at=now) for labels, value in self.values.items()]

    def set(self, value: float | str | None, **labels: str) -> None:
        self.values[tuple(labels.items())] = value

    def evaluate(self, second: float) -> list[Transition]:
        return [transition for _, transition in self.evaluator.evaluate_once(at(second)).transitions]


def count(store: ControlStore, record: type) -> int:
    with store.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(record)) or 0


def test_an_alert_fires_after_its_time_and_resolves_once(store: ControlStore) -> None:
    line = Line(store, {"for_seconds": 20, "keep_firing_seconds": 10})
    told = []
    for second, value in ((0, 50.0), (10, 5.0), (20, 5.0), (30, 4.0), (40, 50.0), (50, 50.0), (60, 50.0)):
        line.set(value, pipeline="rag")
        told.append(line.evaluate(second))
    assert told == [[], [PENDING], [], [FIRING], [], [RESOLVED], []]
    events = list(reversed(recent_events(store)))
    assert [(event.transition, event.at, event.value) for event in events] == [
        (PENDING, at(10), 5.0),
        (FIRING, at(30), 4.0),
        (RESOLVED, at(50), 50.0),
    ]
    assert [event.transition for event in recent_events(store, waits=False)] == [RESOLVED, FIRING]
    assert events[1].summary == "slow firing: pipeline=rag is 4.0 (usage.tps < 10)"


def test_each_set_of_labels_is_an_alert_of_its_own(store: ControlStore) -> None:
    line = Line(store, {})
    line.set(5.0, pipeline="a")
    line.set(50.0, pipeline="b")
    assert line.evaluate(0) == [FIRING]
    line.set(5.0, pipeline="b")
    line.set(50.0, pipeline="a")
    assert sorted(line.evaluate(10)) == [FIRING, RESOLVED]
    assert [(alert.labels["pipeline"], alert.state) for alert in current_alerts(store, at(10))] == [
        ("b", State.FIRING),
        ("a", State.RESOLVED),
    ]


def test_waiting_and_firing_survive_a_restart(store: ControlStore) -> None:
    line = Line(store, {"for_seconds": 20})
    line.set(5.0)
    assert line.evaluate(0) == [PENDING]
    line.restart({"for_seconds": 20}, holder="two")
    assert line.evaluate(15) == []
    line.restart({"for_seconds": 20}, holder="three")
    assert line.evaluate(30) == [FIRING]
    line.restart({"for_seconds": 20}, holder="four")
    assert line.evaluate(60) == []
    line.set(50.0)
    assert line.evaluate(70) == [RESOLVED]


@pytest.mark.parametrize(("no_data", "told"), [("keep", []), ("ok", [RESOLVED]), ("fire", [])])
def test_a_vanished_signal_is_no_data_to_a_firing_alert(
    store: ControlStore, no_data: str, told: list[Transition]
) -> None:
    line = Line(store, {"no_data": no_data})
    line.set(5.0, pipeline="rag")
    assert line.evaluate(0) == [FIRING]
    line.values.clear()
    assert line.evaluate(10) == told


def test_no_data_that_fires_obeys_for(store: ControlStore) -> None:
    line = Line(store, {"no_data": "fire", "for_seconds": 20})
    line.set(50.0, pipeline="rag")
    assert line.evaluate(0) == []
    line.set(None, pipeline="rag")
    assert [line.evaluate(second) for second in (10, 20, 30)] == [[PENDING], [], [FIRING]]
    (alert,) = current_alerts(store, at(30))
    assert (alert.value, alert.no_data) == (None, True)


def test_a_rule_that_never_saw_its_signal_fires_on_no_data_and_ends_with_the_first_value(store: ControlStore) -> None:
    line = Line(store, {"no_data": "fire", "labels": {"pipeline": "rag"}, "for_seconds": 10})
    assert [line.evaluate(second) for second in (0, 10)] == [[PENDING], [FIRING]]
    line.set(50.0, pipeline="rag", model="m")
    assert line.evaluate(20) == [RESOLVED]


def test_a_kept_alert_keeps_its_last_value(store: ControlStore) -> None:
    line = Line(store, {})
    line.set(5.0)
    line.evaluate(0)
    line.values.clear()
    line.evaluate(10)
    (alert,) = current_alerts(store, at(10))
    assert (alert.state, alert.value, alert.no_data) == (State.FIRING, 5.0, True)


def test_a_source_that_fails_is_no_data(store: ControlStore) -> None:
    line = Line(store, {"no_data": "fire"})
    line.set(50.0)
    line.evaluate(0)

    def broken(_now: datetime) -> Sequence[Signal]:
        raise ConnectionError("telemetry is down")

    line.read = broken  # type: ignore[method-assign]
    line.restart({"no_data": "fire"})
    assert line.evaluate(10) == [FIRING]


def test_a_removed_rule_resolves_what_it_fired_through_the_same_channels(store: ControlStore) -> None:
    line = Line(store, {"channels": ("ops",)}, channels=("ops", "team"))
    line.set(5.0)
    line.evaluate(0)
    line.restart()
    assert line.evaluate(10) == [RESOLVED]
    assert line.evaluate(20) == []
    with store.read() as session:
        assert session.scalars(sa.select(OutboxMessage.channel)).all() == ["ops", "ops"]


def test_a_rule_that_looks_elsewhere_closes_what_it_no_longer_sees(store: ControlStore) -> None:
    line = Line(store, {})
    line.set(5.0, pipeline="a")
    line.set(5.0, pipeline="b")
    assert line.evaluate(0) == [FIRING, FIRING]
    line.values = {(("pipeline", "b"),): 5.0}
    line.restart({"labels": {"pipeline": "b"}})
    assert line.evaluate(10) == [RESOLVED]
    assert [(alert.labels["pipeline"], alert.state) for alert in current_alerts(store, at(10))] == [
        ("b", State.FIRING),
        ("a", State.RESOLVED),
    ]


def test_editing_a_rule_restarts_its_wait_only_when_the_comparison_changed(store: ControlStore) -> None:
    line = Line(store, {"for_seconds": 20})
    line.set(5.0)
    line.evaluate(0)
    line.restart({"for_seconds": 20, "severity": "critical"})
    assert line.evaluate(20) == [FIRING]

    line = Line(store, {"name": "other", "for_seconds": 20})
    line.set(5.0)
    line.evaluate(100)
    line.restart({"name": "other", "for_seconds": 20, "value": 11})
    assert [line.evaluate(second) for second in (120, 130, 140)] == [[], [], [FIRING]]


def test_the_later_of_two_readings_counts(store: ControlStore) -> None:
    line = Line(store, {})
    line.read = lambda now: [  # type: ignore[method-assign]
        Signal("usage.tps", {}, 5.0, at=now),
        Signal("usage.tps", {}, 50.0, at=now - timedelta(seconds=1)),
    ]
    line.restart({})
    assert line.evaluate(0) == [FIRING]


def test_one_process_evaluates_and_another_takes_over_when_it_is_silent(store: ControlStore) -> None:
    line = Line(store, {})
    line.set(5.0)
    first = line.evaluator
    assert first.evaluate_once(at(0)).leading
    line.restart({}, holder="two")
    assert not line.evaluator.evaluate_once(at(10)).leading
    assert first.evaluate_once(at(12)).leading
    assert not line.evaluator.evaluate_once(at(26)).leading
    assert line.evaluator.evaluate_once(at(27)).leading
    assert not first.evaluate_once(at(30)).leading
    line.evaluator.release()
    assert first.evaluate_once(at(31)).leading


def test_a_lease_from_before_the_clock_was_set_back_stops_nobody(store: ControlStore) -> None:
    line = Line(store, {})
    assert line.evaluator.evaluate_once(at(3600)).leading
    line.restart({}, holder="two")
    assert line.evaluator.evaluate_once(at(0)).leading


def test_an_alert_whose_signal_never_comes_back_is_resolved_by_hand(store: ControlStore) -> None:
    line = Line(store, {})
    line.set(5.0)
    line.evaluate(0)
    line.values.clear()
    (alert,) = current_alerts(store, at(0))
    assert line.evaluator.resolve(alert.fingerprint, at(10))
    assert not line.evaluator.resolve(alert.fingerprint, at(11))
    assert not line.evaluator.resolve("unknown", at(11))
    assert line.evaluate(20) == []
    assert recent_events(store)[0].summary.endswith("(resolved by hand)")
    assert count(store, OutboxMessage) == 2


class CrashError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("place", ["new_id", "commit"])
def test_a_crash_between_state_and_message_leaves_neither(
    store: ControlStore, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(store, {}, channels=("ops", "team"))
    line.set(5.0)
    ids = iter(["msg_1"])

    def crashing_id() -> str:
        try:
            return next(ids)
        except StopIteration:
            raise CrashError from None

    rules = line.evaluator._rules
    line.evaluator = Evaluator(store, rules, line.read, holder="one", new_id=crashing_id)
    if place == "commit":
        line.evaluator = Evaluator(store, rules, line.read, holder="one")

        @sa.event.listens_for(store.engine, "commit")
        def crash(_connection: sa.Connection) -> None:
            if monkeypatch is not None and not crashed:
                crashed.append(True)
                raise CrashError

    crashed: list[bool] = []
    with pytest.raises(CrashError):
        line.evaluate(0)
    assert (count(store, AlertInstance), count(store, AlertEvent), count(store, OutboxMessage)) == (0, 0, 0)
    line.evaluator = Evaluator(store, rules, line.read, holder="one")
    assert line.evaluate(10) == [FIRING]
    assert (count(store, AlertInstance), count(store, AlertEvent), count(store, OutboxMessage)) == (1, 1, 2)


def test_a_message_of_one_transition_can_be_stored_once_only(store: ControlStore) -> None:
    line = Line(store, {})
    line.set(5.0)
    line.evaluate(0)
    with pytest.raises(sa.exc.IntegrityError), store.write() as session:
        event = session.scalars(sa.select(AlertEvent)).one()
        outbox.enqueue(session, event, "{}", ["ops"])
    assert count(store, OutboxMessage) == 1


def test_an_evaluation_without_change_writes_no_alert(store: ControlStore) -> None:
    line = Line(store, {})
    line.set(50.0)
    line.evaluate(0)
    statements: list[str] = []
    listener: Callable[..., None] = lambda _c, _u, text, *_: statements.append(text)  # noqa: E731
    sa.event.listen(store.engine, "before_cursor_execute", listener)
    line.evaluate(10)
    written = [text.split()[1] for text in statements if text.startswith(("UPDATE", "INSERT"))]
    assert written == ["lease"]


def test_the_models_are_what_the_migration_makes(store: ControlStore) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from store.control import Base

    mine = {"alert_instance", "alert_event", "outbox", "delivery_attempt", "alert_channel", "lease"}

    def is_mine(item: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
        return (name if kind == "table" else item.table.name) in mine

    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": is_mine, "compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
