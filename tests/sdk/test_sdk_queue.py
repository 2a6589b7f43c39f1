"""The queue between the host and the network: bounded, never blocking, in time, and counting what it loses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from andon.guard import never_raises
from andon.notices import Loss, LossLog, warn_once
from andon.outbox import Outbox, Passing
from andon.settings import QueueLimits


class Far:
    """A far end that can be held up, and answers what it is told to."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.reason: str | None = None
        self.go = threading.Event()
        self.go.set()
        self.busy = threading.Event()
        self.closed = threading.Event()

    def send(self, items: list[Any], /) -> str | None:
        self.busy.set()
        self.go.wait(30)
        self.sent.extend(items)
        return self.reason

    def close(self) -> None:
        self.closed.set()


def outbox(far: Far, losses: LossLog, **limits: Any) -> Outbox[Any]:
    """A small queue whose thread acts only when it is told to."""
    bounds = QueueLimits(**{"max_items": 4, "max_batch": 4, "delay_seconds": 60.0, **limits})
    return Outbox("things", bounds, lambda: far, losses, weigh=lambda item: item if isinstance(item, int) else 1)


def close(box: Outbox[Any], seconds: float = 10) -> None:
    box.start_closing()
    box.finish_closing(time.monotonic() + seconds)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert condition()


@pytest.fixture
def far() -> Far:
    return Far()


@pytest.fixture
def losses() -> LossLog:
    return LossLog()


def test_everything_arrives_in_order(far: Far, losses: LossLog) -> None:
    box = outbox(far, losses, max_items=1000)
    for n in range(100):
        assert box.put(str(n))
    assert box.flush(10)
    assert far.sent == [str(n) for n in range(100)]
    close(box)
    assert losses.total(Loss.EXPORT) == 0


def test_closing_sends_what_is_queued_and_takes_nothing_more(far: Far, losses: LossLog) -> None:
    box = outbox(far, losses)
    box.put("a")
    close(box)
    assert far.sent == ["a"]
    assert far.closed.is_set()
    assert not box.put("b")


def test_while_the_far_end_hangs_the_newest_stay_and_the_rest_is_counted(far: Far, losses: LossLog) -> None:
    far.go.clear()
    box = outbox(far, losses)
    for n in range(4):
        box.put(f"first {n}")
    assert far.busy.wait(10)  # four are on their way, four more fit
    for n in range(10):
        box.put(f"then {n}")
    far.go.set()
    close(box)
    assert far.sent == ["first 0", "first 1", "first 2", "first 3", "then 6", "then 7", "then 8", "then 9"]
    assert losses.total(Loss.EXPORT) == 6


def test_an_item_may_weigh_more_than_one_and_one_too_heavy_is_refused(far: Far, losses: LossLog) -> None:
    box = outbox(far, losses, max_batch=100)  # never urgent: nothing leaves before the close
    box.put("light")
    box.put(3)
    assert not box.put(5)
    assert box.put(2)  # displaces what came first
    close(box)
    assert far.sent == [2]
    assert losses.total(Loss.EXPORT) == 4


def test_a_failed_delivery_is_counted_with_its_reason(
    far: Far, losses: LossLog, caplog: pytest.LogCaptureFixture
) -> None:
    far.reason = "http://x: 400"
    box = outbox(far, losses)
    box.put("a")
    box.put("b")
    assert box.flush(10)
    assert losses.total(Loss.EXPORT) == 2
    assert "2 things not delivered: http://x: 400 (2 not delivered since start" in caplog.text
    close(box)


def test_what_a_far_end_may_take_later_is_kept_in_order_and_tried_again(
    far: Far, losses: LossLog, caplog: pytest.LogCaptureFixture
) -> None:
    far.reason = Passing("http://x: 503")
    box = outbox(far, losses, max_batch=2)
    for item in ("a", "b", "c"):
        box.put(item)
    assert not box.flush(0.2)
    assert losses.total(Loss.EXPORT) == 0
    assert "3 things wait, not delivered yet: http://x: 503 (0 not delivered" in caplog.text
    far.sent.clear()
    far.reason = None
    assert box.flush(10)
    assert far.sent == ["a", "b", "c"]
    close(box)


def test_what_waits_for_another_try_makes_room_for_what_is_newer(far: Far, losses: LossLog) -> None:
    far.reason = Passing("away")
    far.go.clear()
    box = outbox(far, losses)
    for n in range(4):
        box.put(f"first {n}")
    assert far.busy.wait(10)
    for n in range(3):
        box.put(f"then {n}")  # one of the first four fits beside them
    far.go.set()
    wait_for(lambda: losses.total(Loss.EXPORT) == 3)
    far.sent.clear()
    far.reason = None
    assert box.flush(10)
    assert far.sent == ["first 3", "then 0", "then 1", "then 2"]
    close(box)


def test_closing_tries_what_waits_once_more(far: Far, losses: LossLog) -> None:
    far.reason = Passing("away")
    box = outbox(far, losses)
    box.put("a")
    assert not box.flush(0.2)
    close(box)
    assert losses.total(Loss.EXPORT) == 1
    assert far.closed.is_set()


def test_what_fails_while_the_closing_begins_is_tried_once_more(losses: LossLog) -> None:
    class Flaky(Far):
        """Fails once, and is back."""

        def send(self, items: list[Any], /) -> str | None:
            super().send(items)
            return Passing("away") if len(self.sent) == 1 else None

    far = Flaky()
    far.go.clear()
    box = outbox(far, losses)
    box.put("a")
    box.start_closing()
    assert far.busy.wait(10)
    far.go.set()
    box.finish_closing(time.monotonic() + 10)
    assert far.sent == ["a", "a"]
    assert losses.total(Loss.EXPORT) == 0


def test_what_was_delivered_before_a_failure_is_not_sent_again(losses: LossLog) -> None:
    class Halting(Far):
        """Takes one item and fails, the first time."""

        def send(self, items: list[Any], /) -> str | None:
            if not self.sent:
                self.sent.append(items.pop(0))
                return Passing("away")
            return super().send(items)

    far = Halting()
    box = outbox(far, losses)
    for item in ("a", "b", "c"):
        box.put(item)
    assert not box.flush(0.2)
    assert box.flush(10)
    assert far.sent == ["a", "b", "c"]
    assert losses.total(Loss.EXPORT) == 0
    close(box)


def test_a_far_end_that_raises_is_a_failed_delivery(losses: LossLog, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Far):
        def send(self, items: list[Any], /) -> str | None:
            raise OSError("no route")

    box = outbox(Broken(), losses)
    box.put("a")
    assert box.flush(10)
    box.put("b")
    assert box.flush(10)
    assert losses.total(Loss.EXPORT) == 2
    assert "1 things not delivered: OSError: no route" in caplog.text


def test_a_far_end_that_cannot_be_opened_is_a_failed_delivery(
    losses: LossLog, caplog: pytest.LogCaptureFixture
) -> None:
    def open_sender() -> Far:
        raise FileNotFoundError("ca.pem")

    box: Outbox[str] = Outbox("things", QueueLimits(4, 4, 60.0), open_sender, losses)
    box.put("a")
    assert box.flush(10)
    assert "FileNotFoundError: ca.pem" in caplog.text


def test_closing_gives_up_at_its_deadline_and_interrupts_the_sender(far: Far, losses: LossLog) -> None:
    far.go.clear()
    box = outbox(far, losses)
    box.put("a")
    box.start_closing()
    box.finish_closing(time.monotonic())
    assert losses.total(Loss.EXPORT) == 1
    far.go.set()


def test_after_one_failure_closing_tries_no_further_batch(far: Far, losses: LossLog) -> None:
    far.go.clear()
    far.reason = "away"
    box = outbox(far, losses, max_items=100, max_batch=2)
    for n in range(9):
        box.put(str(n))
    assert far.busy.wait(10)
    box.start_closing()
    far.go.set()
    box.finish_closing(time.monotonic() + 10)
    assert far.sent == ["0", "1"]
    assert losses.total(Loss.EXPORT) == 9


def test_a_flush_keeps_its_deadline(far: Far, losses: LossLog) -> None:
    far.go.clear()
    box = outbox(far, losses)
    box.put("a")
    assert box.flush(0.01) is False
    far.go.set()
    assert box.flush(10) is True
    close(box)


def test_losses_are_told_once_a_minute_and_counted_always(caplog: pytest.LogCaptureFixture) -> None:
    clock = [0.0]
    losses = LossLog(now=lambda: clock[0])
    for clock[0] in (0.0, 1.0, 59.9, 60.0, 61.0):
        losses.add(Loss.EXPORT, 10, "10 spans not delivered: away")
    assert caplog.messages == [
        "10 spans not delivered: away (10 not delivered since start; this program is not affected)",
        "10 spans not delivered: away (40 not delivered since start; this program is not affected)",
    ]
    assert losses.total(Loss.EXPORT) == 50


def test_a_warning_is_given_once_for_each_mistake(caplog: pytest.LogCaptureFixture) -> None:
    for value in (1, 2):
        warn_once("a mistake", "value %d", value)
    assert caplog.messages == ["value 1"]


def test_a_guarded_function_returns_none_instead_of_raising(caplog: pytest.LogCaptureFixture) -> None:
    @never_raises
    def divide(a: int, b: int) -> float:
        return a / b

    assert divide(4, 2) == 2.0
    assert divide(1, 0) is None


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_guarded_function_does_not_hold_up_an_interrupt(stop: type[BaseException]) -> None:
    def interrupt() -> None:
        raise stop

    guarded: Callable[[], None] = never_raises(interrupt)
    with pytest.raises(stop):
        guarded()


def test_what_is_queued_while_no_thread_can_be_started_is_sent_by_the_next(
    far: Far, losses: LossLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    box = outbox(far, losses)
    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", no_more)
        assert box.put("a")
    assert box.put("b")
    close(box)
    assert far.sent == ["a", "b"]
    assert [losses.total(cause) for cause in Loss] == [0, 0, 0]
