"""The outbox: order, retries, leases, and that nobody hears of an end without a beginning."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from alerts import outbox
from alerts.channel import Channel, Outcome, load_channels
from alerts.delivery import Deliverer, Delivery, enable_channel, register
from alerts.evaluator import Evaluator
from alerts.records import AlertEvent, AlertInstance, DeliveryAttempt, MessageStatus, OutboxMessage
from alerts.rehearsal import test_fire as fire_test
from alerts.retry import LADDER_SECONDS, MAX_ATTEMPTS, next_attempt
from alerts.rules import load_rules
from alerts.signals import Signal
from alerts.states import Transition
from alerts.status import channel_status, current_alerts, recent_events
from settings.model import AlertRule, AlertSettings
from store.control import ControlStore
from tests.alerts.receiver import Answer, Receiver, at, running_receiver, webhook_settings

DOWN = Answer(503)


def upper(_low: float, high: float) -> float:
    return high


class Line:
    """A rule on one switch, and a deliverer whose steady clock stands still."""

    def __init__(self, store: ControlStore, channels: dict[str, Channel], *rules: AlertRule) -> None:
        self.store = store
        self.on: dict[str, bool] = {}
        rule = AlertRule(name="switch", signal="switch.on", op=">", value=0)
        loaded = load_rules(AlertSettings(rules=(rule, *rules), default_rules=False), 15, channels)
        self.evaluator = Evaluator(store, loaded, self._signals, holder="one")
        self.deliverer = Deliverer(store, channels, elapsed=lambda: 0.0, uniform=upper)

    def _signals(self, now: datetime) -> list[Signal]:
        return [Signal("switch.on", {"line": name}, float(on), at=now) for name, on in self.on.items()]

    def switch(self, second: float, on: bool, line: str = "a") -> None:
        self.on[line] = on
        self.evaluator.evaluate_once(at(second))

    def deliver(self, second: float) -> Delivery:
        return self.deliverer.deliver_once(at(second))

    def states(self) -> list[tuple[str, str]]:
        with self.store.read() as session:
            found = session.scalars(sa.select(OutboxMessage).order_by(OutboxMessage.id))
            return [(message.transition, message.status) for message in found]


def line_to(store: ControlStore, receiver: Receiver, *rules: AlertRule, **more: Any) -> Line:
    return Line(store, load_channels([webhook_settings(receiver.url, **more)]), *rules)


def test_firing_then_resolved_arrive_signed_once_each(store: ControlStore, receiver: Receiver) -> None:
    line = line_to(store, receiver)
    line.switch(0, True)
    assert line.deliver(1) == Delivery(delivered=1)
    line.switch(10, False)
    assert line.deliver(11) == Delivery(delivered=1)
    assert line.deliver(12) == Delivery()
    firing, resolved = (request.json for request in receiver.requests)
    assert [firing["type"], resolved["type"]] == ["alert.firing", "alert.resolved"]
    assert firing["data"]["fingerprint"] == resolved["data"]["fingerprint"]
    assert (firing["data"]["value"], firing["data"]["ends_at"]) == (1.0, None)
    assert (resolved["data"]["starts_at"], resolved["data"]["ends_at"]) == (
        "2026-03-01T03:00:00.000Z",
        "2026-03-01T03:00:10.000Z",
    )


def test_a_failed_message_is_tried_again_under_its_id_with_the_same_body(
    store: ControlStore, receiver: Receiver
) -> None:
    receiver.respond = lambda number: DOWN if number < 3 else Answer()
    line = line_to(store, receiver)
    line.switch(0, True)
    assert [line.deliver(second) for second in (0, 4, 5, 19, 20)] == [
        Delivery(failed=1),
        Delivery(),
        Delivery(failed=1),
        Delivery(),
        Delivery(delivered=1),
    ]
    assert len({(request.id, request.body) for request in receiver.requests}) == 1
    assert [request.headers["webhook-timestamp"] for request in receiver.requests] == [
        str(int(at(second).timestamp())) for second in (0, 5, 20)
    ]


def test_a_message_is_given_up_after_ten_attempts_in_about_a_day(store: ControlStore, receiver: Receiver) -> None:
    receiver.respond = lambda _number: DOWN
    line = line_to(store, receiver)
    line.switch(0, True)
    second = 0.0
    for wait in LADDER_SECONDS:
        second += wait
        assert line.deliver(second) == Delivery(failed=1)
    # 5 + 15 + 60 + 300 + 900 s and 1 + 3 + 6 + 12 h
    assert second == 1280 + 22 * 3600
    assert line.states() == [("firing", "dead")]
    (told,) = recent_events(store)[0].told
    assert told.explanation == "given up after 10 attempts: the receiver answered 503"
    assert line.deliver(second + 10**6) == Delivery()
    line.switch(second, False)
    assert line.states() == [("firing", "dead"), ("resolved", "cancelled")]


@given(st.integers(1, 12), st.floats(0, 1), st.one_of(st.none(), st.integers(0, 10**5)))
def test_waits_lie_between_nothing_and_the_ladder_and_never_before_retry_after(
    attempts: int, draw: float, asked: int | None
) -> None:
    again = next_attempt(
        attempts, at(0), None if asked is None else timedelta(seconds=asked), lambda a, b: a + draw * (b - a)
    )
    if attempts >= MAX_ATTEMPTS:
        assert again is None
    else:
        assert again is not None
        assert at(asked or 0) <= again <= at(max(asked or 0, LADDER_SECONDS[attempts]))


def test_retry_after_holds_back_the_whole_channel(store: ControlStore, receiver: Receiver) -> None:
    receiver.respond = lambda number: Answer(429, {"retry-after": "600"}) if number == 1 else Answer()
    line = line_to(store, receiver)
    line.switch(0, True, "a")
    line.deliver(0)
    line.switch(10, True, "b")
    assert line.deliver(599) == Delivery()
    assert line.deliver(601) == Delivery(delivered=2)


def test_an_end_before_the_first_attempt_cancels_both_messages(store: ControlStore, receiver: Receiver) -> None:
    line = line_to(store, receiver)
    line.switch(0, True)
    line.switch(5, False)
    assert line.deliver(6) == Delivery()
    assert receiver.requests == []
    assert line.states() == [("firing", "cancelled"), ("resolved", "cancelled")]
    resolved, firing = recent_events(store)
    assert firing.untold == "ops: not sent: resolved before it was sent"
    assert resolved.untold == "ops: not sent: the receiver was never told that it fired"


def test_an_end_after_a_failed_attempt_waits_for_the_beginning(store: ControlStore, receiver: Receiver) -> None:
    """The receiver may have read the attempt that it answered with 503, so it is told both, in order."""
    receiver.respond = lambda number: DOWN if number == 1 else Answer()
    line = line_to(store, receiver)
    line.switch(0, True)
    line.deliver(0)
    line.switch(1, False)
    assert line.deliver(2) == Delivery()
    assert line.deliver(5) == Delivery(delivered=2)
    assert receiver.types() == ["alert.firing", "alert.resolved"]


def test_an_end_waiting_behind_a_beginning_that_dies_is_not_sent(store: ControlStore, receiver: Receiver) -> None:
    receiver.respond = lambda _number: DOWN
    line = line_to(store, receiver)
    line.switch(0, True)
    line.deliver(0)
    line.switch(1, False)
    second = 0.0
    for wait in LADDER_SECONDS[1:]:
        second += wait
        line.deliver(second)
    receiver.respond = lambda _number: Answer()
    assert line.deliver(10**6) == Delivery()
    assert line.states() == [("firing", "dead"), ("resolved", "cancelled")]


def test_a_new_episode_waits_for_the_end_of_the_last_one(store: ControlStore, receiver: Receiver) -> None:
    line = line_to(store, receiver)
    line.switch(0, True)
    line.deliver(0)
    receiver.respond = lambda _number: DOWN
    line.switch(1, False)
    line.deliver(1)
    line.switch(2, True)
    assert line.deliver(3) == Delivery()
    receiver.respond = lambda _number: Answer()
    assert line.deliver(6) == Delivery(delivered=2)
    assert receiver.types() == ["alert.firing", "alert.resolved", "alert.firing"]
    assert [request.json["data"]["episode"] for request in receiver.taken] == [1, 1, 2]


def test_another_alert_does_not_wait_for_one_that_failed(store: ControlStore, receiver: Receiver) -> None:
    receiver.respond = lambda number: DOWN if number == 1 else Answer()
    line = line_to(store, receiver)
    line.switch(0, True, "a")
    line.switch(1, True, "b")
    assert line.deliver(2) == Delivery(delivered=1, failed=1)


def test_gone_disables_the_channel_and_says_so_everywhere(store: ControlStore, receiver: Receiver) -> None:
    receiver.respond = lambda _number: Answer(410)
    line = line_to(store, receiver)
    line.switch(0, True, "a")
    line.switch(1, True, "b")
    line.deliver(2)
    line.switch(3, True, "c")
    assert line.deliver(4) == Delivery()
    assert len(receiver.requests) == 1
    (channel,) = channel_status(store)
    assert channel.disabled_at == at(2)
    assert "410 Gone" in str(channel.disabled_reason)
    assert all("channel is disabled" in str(event.untold) for event in recent_events(store))


def test_a_disabled_channel_works_again_when_enabled_or_pointed_elsewhere(
    store: ControlStore, receiver: Receiver
) -> None:
    receiver.respond = lambda number: Answer(410) if number < 3 else Answer()
    for enable in (lambda: enable_channel(store, "ops"), lambda: None):
        line = line_to(store, receiver)
        line.switch(0, True)
        line.deliver(0)
        line.switch(1, False)
        enable()
    assert len(receiver.requests) == 2
    line = Line(store, load_channels([webhook_settings(receiver.url + "/new")]))
    line.deliver(9)
    line.switch(10, True)
    assert line.deliver(10) == Delivery(delivered=1)
    assert enable_channel(store, "nobody") is False


def test_a_failing_channel_is_told_through_the_other(store: ControlStore, receiver: Receiver) -> None:
    failing = AlertRule(name="channel-failing", signal="alerts.channel.state", op="!=", value="ok")
    with running_receiver() as broken:
        broken.respond = lambda _number: DOWN
        channels = load_channels([webhook_settings(broken.url, "ops"), webhook_settings(receiver.url, "team")])
        line = Line(store, channels, failing)
        for second, name in enumerate("abc"):
            line.switch(second, True, name)
        line.deliver(3)
        line.evaluator.evaluate_once(at(4))
        line.deliver(4)
        last = receiver.taken[-1].json["data"]
        assert (last["rule"], last["labels"], last["value"]) == ("channel-failing", {"channel": "ops"}, "failing")
        assert all(request.json["data"]["rule"] == "switch" for request in broken.requests)


def test_a_failing_channel_that_is_removed_is_no_trouble_any_more(store: ControlStore, receiver: Receiver) -> None:
    failing = AlertRule(name="channel-failing", signal="alerts.channel.state", op="!=", value="ok", no_data="ok")
    with running_receiver() as broken:
        broken.respond = lambda _number: Answer(410)
        channels = load_channels([webhook_settings(broken.url, "ops"), webhook_settings(receiver.url, "team")])
        line = Line(store, channels, failing)
        line.switch(0, True)
        line.deliver(0)
        line.evaluator.evaluate_once(at(1))
    line = Line(store, load_channels([webhook_settings(receiver.url, "team")]), failing)
    line.on = {"a": True}
    line.deliver(2)
    line.evaluator.evaluate_once(at(3))
    line.deliver(3)
    told = [(request.json["data"]["rule"], request.json["data"]["status"]) for request in receiver.taken]
    assert told == [("switch", "firing"), ("channel-failing", "firing"), ("channel-failing", "resolved")]


def test_messages_of_a_removed_channel_are_cancelled(store: ControlStore, receiver: Receiver) -> None:
    line = line_to(store, receiver)
    line.switch(0, True)
    assert Deliverer(store, {}).deliver_once(at(1)) == Delivery()
    assert recent_events(store)[0].untold == "ops: not sent: channel is no longer configured"


def test_nobody_to_tell_is_said(store: ControlStore) -> None:
    line = Line(store, {})
    line.switch(0, True)
    line.deliver(1)
    assert recent_events(store)[0].untold == "there was no channel to tell"


def test_a_claim_is_held_by_one_until_its_lease_ends(store: ControlStore, receiver: Receiver) -> None:
    line = line_to(store, receiver)
    line.deliver(0)
    line.switch(0, True)
    with store.write() as session:
        first = outbox.claim(session, "ops", at(0))
    assert first is not None
    with store.write() as session:
        assert outbox.claim(session, "ops", at(59)) is None
    with store.write() as session:
        second = outbox.claim(session, "ops", at(60))
    assert second is not None
    assert (second.message_id, second.attempt) == (first.message_id, 2)


def test_a_deliverer_that_lost_its_lease_does_not_undo_what_another_did(
    store: ControlStore, receiver: Receiver
) -> None:
    line = line_to(store, receiver)
    line.deliver(0)
    line.switch(0, True)
    with store.write() as session:
        late = outbox.claim(session, "ops", at(0))
    assert line.deliver(60) == Delivery(delivered=1)
    assert late is not None
    with store.write() as session:
        outbox.record(session, late, Outcome(error="no answer within 15 s"), at(61), 61)
    assert line.states() == [("firing", "done")]


def test_an_attempt_under_way_keeps_the_end_behind_it(store: ControlStore, receiver: Receiver) -> None:
    line = line_to(store, receiver)
    line.deliver(0)
    line.switch(0, True)
    with store.write() as session:
        claimed = outbox.claim(session, "ops", at(0))
    line.switch(1, False)
    assert line.deliver(1) == Delivery()
    assert claimed is not None
    with store.write() as session:
        outbox.record(session, claimed, Outcome(200), at(2), 2)
    assert line.deliver(2) == Delivery(delivered=1)
    assert line.states() == [("firing", "done"), ("resolved", "done")]


def test_two_deliverers_at_once_send_each_message_once(store: ControlStore, receiver: Receiver) -> None:
    draw = iter([Answer(500) if number % 10 in {2, 5, 8} else Answer() for number in range(10_000)])
    receiver.respond = lambda _number: next(draw)
    channels = load_channels([webhook_settings(receiver.url)])
    line = Line(store, channels)
    for name in range(40):
        line.on[str(name)] = True
    line.evaluator.evaluate_once(at(0))
    for name in range(40):
        line.on[str(name)] = False
    deliverers = [Deliverer(store, channels, elapsed=lambda: 0.0, uniform=lambda _a, _b: 0.0) for _ in range(2)]

    def both(second: float) -> None:
        threads = [threading.Thread(target=each.deliver_once, args=(at(second),)) for each in deliverers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

    both(1)
    line.evaluator.evaluate_once(at(2))
    both(3)
    both(4)
    assert Counter(line.states()) == {("firing", "done"): 40, ("resolved", "done"): 40}
    assert max(Counter(request.id for request in receiver.taken).values()) == 1
    for name in range(40):
        told = [
            request.json["type"] for request in receiver.taken if request.json["data"]["labels"]["line"] == str(name)
        ]
        assert told == ["alert.firing", "alert.resolved"]


def test_two_processes_may_register_a_channel_at_once(store: ControlStore, receiver: Receiver) -> None:
    channels = load_channels([webhook_settings(receiver.url)])
    failures: list[Exception] = []

    def go() -> None:
        try:
            with store.write() as session:
                register(session, channels)
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert [channel.name for channel in channel_status(store)] == ["ops"]


def test_a_test_message_takes_the_way_of_a_real_one(store: ControlStore, receiver: Receiver) -> None:
    receiver.respond = lambda number: DOWN if number == 1 else Answer()
    line = line_to(store, receiver)
    event = fire_test(store, ["ops"], at(0), dashboard_url="http://127.0.0.1:8300/")
    assert line.deliver(0) == Delivery(failed=1)
    (waiting,) = recent_events(store)
    assert (waiting.id, waiting.transition, waiting.told[0].next_at) == (event, Transition.TEST, at(5))
    assert line.deliver(5) == Delivery(delivered=1)
    assert recent_events(store)[0].told[0].sent_at == at(5)
    assert receiver.types() == ["alert.test"]
    assert current_alerts(store, at(5)) == []


def test_old_history_is_pruned_but_nothing_that_fires_or_waits(store: ControlStore, receiver: Receiver) -> None:
    line = line_to(store, receiver)
    for name in ("over", "firing"):
        line.switch(0, True, name)
    line.deliver(1)
    line.switch(2, False, "over")
    line.deliver(2)
    receiver.respond = lambda _number: DOWN
    line.switch(3, True, "waiting")
    line.deliver(3)
    with store.write() as session:
        assert outbox.prune(session, at(10)) == 2
    with store.read() as session:
        labels = [event.labels["line"] for event in session.scalars(sa.select(AlertEvent).order_by(AlertEvent.id))]
        kept = session.scalars(sa.select(AlertInstance.state).order_by(AlertInstance.state)).all()
        attempts = session.scalars(sa.select(DeliveryAttempt.id)).all()
    assert labels == ["firing", "waiting"]
    assert list(kept) == ["firing", "firing"]
    assert len(attempts) == 2
    receiver.respond = lambda _number: Answer()
    line.deliver(20)
    line.switch(21, False, "firing")
    line.deliver(21)
    assert receiver.types()[-1] == "alert.resolved"


def test_a_channel_that_raises_stops_nobody(store: ControlStore, receiver: Receiver) -> None:
    class Broken:
        name, target = "ops", "x"

        def send(self, message_id: str, body: str, at: datetime) -> Outcome:
            raise RuntimeError("a bug")

    line = Line(store, {"ops": Broken(), **load_channels([webhook_settings(receiver.url, "team")])})
    line.switch(0, True)
    assert line.deliver(0) == Delivery(delivered=1, failed=1)
    told = {message.channel: message for message in recent_events(store)[0].told}
    assert told["ops"].last_error == "RuntimeError: a bug"
    assert told["team"].status is MessageStatus.DONE


@pytest.mark.parametrize("waiting", [0, 3])
def test_a_channel_shows_how_many_messages_wait(store: ControlStore, receiver: Receiver, waiting: int) -> None:
    line = line_to(store, receiver)
    line.deliver(0)
    for name in range(waiting):
        line.switch(name, True, str(name))
    assert [channel.waiting for channel in channel_status(store)] == [waiting]
