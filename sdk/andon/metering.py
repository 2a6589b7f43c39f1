"""The thread that adds up measurements and sends the sums: what keeps arithmetic and network from the host's threads.

Calls leave measurements in a bounded queue; a second later they are part of the sums, and every interval the sums go
out as cumulative OTLP metrics, so that an export that fails is made good by the next one. Where the program has a
meter provider of its own and names no endpoint for Andon, its instruments are fed instead.
"""

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from andon.measuring import Measurement, Sums
from andon.notices import Loss, LossLog
from andon.outbox import importing
from andon.unstable import mute_instrumentation

FOLD_SECONDS: Final = 1.0
WAITING_AT_MOST: Final = 4096
_WAKE_AT: Final = WAITING_AT_MOST // 2
_STEP: Final = 64


class Sender(Protocol):
    """Where sums go; called from the meter's thread only, except `close`."""

    def pack(self, sums: Sums, now_ns: int) -> Any:
        """Return the sums as they are now, ready to be sent. Does not block."""
        ...

    def send(self, packed: Any, /) -> str | None:
        """Deliver, and return None, or the reason why not. May block."""
        ...

    def close(self) -> None:
        """Give up what is being sent, also from another thread."""
        ...


class Sink(Protocol):
    """What measurements are added to."""

    def add(self, measurement: Measurement) -> None:
        """Add one measurement."""
        ...


class Meter:
    """Takes measurements without blocking, adds them up and sends the sums in the background.

    Args:
        interval_seconds: between two exports.
        open_sender: makes the connection; called in the background, and again in each forked child. None: nothing is
            sent, since `open_sink` gives what is the host's own.
        open_sink: makes what is added to, in the background.
    """

    def __init__(
        self,
        interval_seconds: float,
        open_sender: Callable[[], Sender] | None,
        losses: LossLog,
        open_sink: Callable[[], Sink] | None = None,
    ) -> None:
        self._interval_seconds = interval_seconds
        self._open_sender = open_sender
        self._open_sink = open_sink
        self._losses = losses
        self._closing = False
        self._start_empty()
        _open_meters.add(self)

    def _start_empty(self) -> None:
        self._waiting: deque[Measurement] = deque()
        self._wake = threading.Event()
        self._folding = threading.Lock()
        self._sums = Sums(time.time_ns())
        self._sink: Sink | None = self._sums if self._open_sink is None else None
        self._sender: Sender | None = None
        self._unsent = False
        self._worker: threading.Thread | None = None
        self._starting = threading.Lock()

    def take(self, measurement: Measurement) -> None:
        """Queue one measurement; when the thread lags, a few are added up here, so that none is lost."""
        waiting = self._waiting
        waiting.append(measurement)
        if self._worker is None:
            self._start_worker()
        elif len(waiting) >= _WAKE_AT:
            if not self._wake.is_set():
                self._wake.set()
            if len(waiting) >= WAITING_AT_MOST:
                self._fold(_STEP)

    def flush(self) -> Sums:
        """Add up all that waits, here and now, and return the sums."""
        self._fold(None)
        return self._sums

    def start_closing(self) -> None:
        """Ask for the last export; returns at once. `finish_closing` waits for it."""
        self._closing = True
        self._wake.set()

    def finish_closing(self, deadline: float) -> None:
        """Wait until the last export is through or `deadline` (time.monotonic) has passed."""
        worker = self._worker
        if worker is None:
            return
        worker.join(max(0.0, deadline - time.monotonic()))
        if worker.is_alive():
            self._losses.add(Loss.EXPORT, 0, "metrics were not sent before the shutdown's deadline")
        if self._sender is not None:
            self._sender.close()

    def _start_worker(self) -> None:
        # Nobody waits here: what another thread has begun, or this one, before the garbage collector ended a stream's
        # span in the middle of it, is under way.
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._worker is None and not self._closing:
                worker = threading.Thread(target=self._work, name="andon metrics", daemon=True)
                worker.start()
                self._worker = worker
        except RuntimeError:  # no threads any more: the interpreter is on its way out
            return
        finally:
            self._starting.release()

    def _fold(self, at_most: int | None) -> None:
        # Two threads may fold; a third need not wait for them.
        if not self._folding.acquire(blocking=at_most is None):
            return
        sink = self._sink
        try:
            for _ in range(len(self._waiting) if at_most is None else at_most):
                if sink is not None:
                    sink.add(self._waiting.popleft())
                    self._unsent = True
                elif at_most is not None:  # the host's instruments are not there yet, and there is no more room
                    self._waiting.popleft()
                    self._losses.add(Loss.EXPORT, 1, "a measurement displaced: the meter provider is not ready")
        except IndexError:  # another thread was quicker
            pass
        finally:
            self._folding.release()

    def _work(self) -> None:
        mute_instrumentation()
        # Now, and not with the first export: that may be at exit, when Python no longer imports everything.
        reason = self._open()
        next_export = time.monotonic() + self._interval_seconds
        while True:
            self._wake.wait(FOLD_SECONDS)
            self._wake.clear()
            closing = self._closing
            try:
                self._fold(None)
                if closing or time.monotonic() >= next_export:
                    next_export = time.monotonic() + self._interval_seconds
                    self._export(reason)
            except Exception as error:  # noqa: BLE001 - one bad measurement must not end the thread
                self._losses.add(Loss.FAULT, 1, f"metrics: {type(error).__name__}: {error}")
            if closing:
                return

    def _open(self) -> str | None:
        try:
            with importing:
                if self._open_sink is not None:
                    self._sink = self._open_sink()
                if self._open_sender is not None:
                    self._sender = self._open_sender()
        except Exception as error:  # noqa: BLE001 - a wrong certificate path, a missing module: told with the loss
            return f"{type(error).__name__}: {error}"
        return None

    def _export(self, reason: str | None) -> None:
        if self._open_sender is None or not self._unsent:
            return
        if self._sender is not None:
            with self._folding:
                self._unsent = False
                packed = self._sender.pack(self._sums, time.time_ns())
            reason = self._sender.send(packed)
        if reason is not None:
            self._unsent = True
            self._losses.add(Loss.EXPORT, 0, f"metrics not delivered, their sums go with the next export: {reason}")


_open_meters: weakref.WeakSet[Any] = weakref.WeakSet()


def _start_over_in_child() -> None:
    # What was measured is the parent's to send; the child's sums begin with the child.
    for meter in list(_open_meters):
        meter._start_empty()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over_in_child)
