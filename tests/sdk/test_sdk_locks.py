"""Nothing of the host waits for a lock of ours: not a forked child, a signal handler, or what the collector calls."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import andon
import pytest
from andon.measuring import Measurement
from andon.metering import Meter
from andon.notices import Loss, LossLog, losses
from andon.runtime import runtime
from andon.spans import current_span

from tests.sdk.conftest import Recorded

CHILD_SECONDS = 10
MEASURED: Measurement = ({}, {}, None, 0, None)


def ends_well_in_a_child(work: Callable[[], bool | None]) -> bool:
    """Whether `work` comes to an end in a forked child, and does not say False."""
    child = os.fork()
    if child == 0:
        signal.alarm(CHILD_SECONDS)  # the end of a child that waits for ever
        os._exit(work() is False)
    return os.waitpid(child, 0)[1] == 0


class Holder:
    """Another thread that holds a lock, until it is let go or for as long as a fork may wait for it."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock
        self._held, self.go = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._hold)

    def _hold(self) -> None:
        with self._lock:
            self._held.set()
            self.go.wait(0.2)

    def __enter__(self) -> None:
        self._thread.start()
        self._held.wait()

    def __exit__(self, *_: object) -> None:
        self.go.set()
        self._thread.join()


def test_a_child_records_inside_a_call_that_another_thread_of_the_parent_records_on(recorded: Recorded) -> None:
    with andon.stage("parent"):
        work = current_span()
        assert work is not None
        with Holder(work._lock):
            assert ends_well_in_a_child(lambda: andon.record_tokens(input=1, rows_in=1, model="m"))


def test_a_child_counts_losses_while_another_thread_of_the_parent_counts() -> None:
    with Holder(losses._lock):
        assert ends_well_in_a_child(lambda: losses.add(Loss.EXPORT, 0, "nothing"))


def test_a_child_forked_in_the_middle_of_init_can_shut_down() -> None:
    with Holder(runtime._lock):
        assert ends_well_in_a_child(andon.shutdown)


def test_a_child_is_not_forked_in_the_middle_of_the_meters_imports() -> None:
    importing, forked = threading.Event(), threading.Event()
    inside = [False]

    def open_sink() -> Any:
        inside[0] = True
        importing.set()
        forked.wait(0.2)
        inside[0] = False

    meter = Meter(60, None, LossLog(), open_sink)
    meter.take(MEASURED)
    importing.wait()
    assert ends_well_in_a_child(lambda: not inside[0])
    forked.set()
    meter.start_closing()
    meter.finish_closing(time.monotonic() + CHILD_SECONDS)


def test_what_is_measured_while_the_meters_thread_begins_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    meter = Meter(60, None, LossLog())

    class Thread(threading.Thread):
        def __init__(self, **kwargs: Any) -> None:
            meter.take(MEASURED)  # as when the garbage collector ends a stream's span here
            super().__init__(**kwargs)

    host = threading.Thread(target=meter.take, args=(MEASURED,), daemon=True)
    monkeypatch.setattr(threading, "Thread", Thread)
    host.start()
    host.join(CHILD_SECONDS)
    assert not host.is_alive()
    meter.start_closing()
    meter.finish_closing(time.monotonic() + CHILD_SECONDS)


def test_a_signal_handler_shuts_down_in_the_middle_of_init(run_program: Any) -> None:
    run_program("""
import signal
import andon
from andon.runtime import runtime

signal.signal(signal.SIGUSR1, lambda *_: andon.shutdown())
signal.alarm(10)
make = runtime._meter
runtime._meter = lambda *given: (signal.raise_signal(signal.SIGUSR1), make(*given))[1]
andon.init("interrupted", "http://127.0.0.1:9")
""")
