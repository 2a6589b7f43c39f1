"""A bounded queue and the one thread that empties it: what keeps the network away from the host's threads.

Spans and observations come in from any thread, wait at most one delay, and leave in batches through a `Sender`. When
the collector is away the oldest items make room and are counted. Differs from OpenTelemetry's batch processor in that
flushing and closing keep to a deadline, and a forked child opens a connection of its own.
"""

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, Protocol, TypeVar

from andon.notices import Loss, LossLog
from andon.settings import QueueLimits
from andon.unstable import mute_instrumentation

T = TypeVar("T")

# After the exporter's own retries, which last some seconds already.
RETRY_SECONDS: Final = 1.0


class Passing(str):
    """A reason for not delivering that may pass: the batch is kept, and tried again."""

    __slots__ = ()


class Sender(Protocol[T]):
    """The far end of an outbox; called from its thread only, except `close`."""

    def send(self, items: list[T], /) -> str | None:
        """Deliver, and return None, or the reason why not; a `Passing` one where it is worth another try. May block.

        Items that were delivered before a failure are taken out of the list; what is left is kept, or counted as lost.
        """
        ...

    def close(self) -> None:
        """Give up what is being sent, also from another thread."""
        ...


class Outbox(Generic[T]):
    """Takes items without blocking and delivers them in the background.

    Args:
        what: the plural that a log line calls the items by.
        open_sender: makes the connection; called in the background, and again in each forked child.
        weigh: how much of `limits.max_items` one item takes; None: one.
        measure: how many of `limits.max_bytes` one item takes; asked several times, with the same answer. None: none.
    """

    def __init__(
        self,
        what: str,
        limits: QueueLimits,
        open_sender: Callable[[], Sender[T]],
        losses: LossLog,
        weigh: Callable[[T], int] | None = None,
        measure: Callable[[T], int] | None = None,
    ) -> None:
        self.limits: Final = limits
        self._what = what
        self._open_sender = open_sender
        self._losses = losses
        self._weigh = weigh
        self._measure = measure
        self._closing = False
        self._start_empty()
        _open_outboxes.add(self)

    def _start_empty(self) -> None:
        # Reentrant: the garbage collector may end a generator's span in the middle of put(), on the same thread.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._items: deque[T] = deque()
        self._size = 0
        self._bytes = 0
        self._displaced = 0
        self._in_flight = 0
        self._urgent = False
        self._last_try = False
        self._abandoned = False
        self._sender: Sender[T] | None = None
        self._worker: threading.Thread | None = None

    def put(self, item: T) -> bool:
        """Queue `item`; the oldest go when there is no room. False when it can never fit, or the outbox is closed."""
        weigh, measure = self._weigh, self._measure
        weight = 1 if weigh is None else weigh(item)
        size = 0 if measure is None else measure(item)
        # The lock itself, not the condition around it: this is the one step that the host's threads take.
        with self._lock:
            if self._closing or weight > self.limits.max_items or size > self.limits.max_bytes:
                return False
            while self._size + weight > self.limits.max_items or self._bytes + size > self.limits.max_bytes:
                self._displaced += self._take_oldest()[1]
            self._items.append(item)
            self._size += weight
            self._bytes += size
            if self._worker is None:
                self._start_worker()
            if self._size >= self.limits.max_batch and not self._urgent:
                self._urgent = True
                self._changed.notify_all()
        return True

    def _weight_of(self, item: T) -> int:
        return 1 if self._weigh is None else self._weigh(item)

    def _size_of(self, item: T) -> int:
        return 0 if self._measure is None else self._measure(item)

    def flush(self, timeout_seconds: float) -> bool:
        """Send what is queued now; True when all of it has left (delivered or counted as lost) in time."""
        with self._changed:
            self._urgent = True
            self._changed.notify_all()
            self._changed.wait_for(self._is_idle, timeout_seconds)
            return not self._items and not self._in_flight

    def start_closing(self) -> None:
        """Take nothing more and send the rest; returns at once. `finish_closing` waits for it."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def finish_closing(self, deadline: float) -> None:
        """Wait until all is sent or `deadline` (time.monotonic) has passed; what is left then is counted as lost."""
        worker = self._worker
        if worker is not None:
            worker.join(max(0.0, deadline - time.monotonic()))
        with self._changed:
            left = self._size + self._in_flight + self._displaced
            self._abandoned = True
            self._items.clear()
            self._size = self._bytes = self._displaced = 0
        if left:
            self._losses.add(Loss.EXPORT, left, f"{left} {self._what} were not sent before the shutdown's deadline")
        if self._sender is not None:
            self._sender.close()

    def _take_oldest(self) -> tuple[T, int]:
        item = self._items.popleft()
        weight = self._weight_of(item)
        self._size -= weight
        self._bytes -= self._size_of(item)
        return item, weight

    def _is_idle(self) -> bool:
        return self._abandoned or not (self._items or self._in_flight)

    def _start_worker(self) -> None:
        self._worker = threading.Thread(target=self._work, name=f"andon {self._what}", daemon=True)
        try:
            self._worker.start()
        except RuntimeError:  # no more threads, for now or for good: what waits is sent by the next, or counted at exit
            self._worker = None

    def _work(self) -> None:
        mute_instrumentation()
        # Now, and not with the first batch: that may be at exit, when Python no longer imports everything.
        self._open()
        while (batch := self._next_batch()) is not None:
            reason = self._deliver(batch) if batch else None
            if isinstance(reason, Passing) and self._keep(batch, reason):
                continue
            self._settle(batch, reason)

    def _next_batch(self) -> list[T] | None:
        with self._changed:
            if not self._closing and not self._urgent:
                self._changed.wait(self.limits.delay_seconds)
            batch: list[T] = []
            weight = 0
            while self._items and weight < self.limits.max_batch:
                item, its_weight = self._take_oldest()
                weight += its_weight
                batch.append(item)
            self._in_flight = weight
            self._urgent = self._size >= self.limits.max_batch or (self._urgent and bool(self._items))
            return None if self._abandoned or (self._closing and not batch) else batch

    def _open(self) -> str | None:
        with importing:
            try:
                self._sender = self._sender or self._open_sender()
            except Exception as error:  # noqa: BLE001 - a wrong certificate path, a missing module: told with the loss
                return f"{type(error).__name__}: {error}"
        return None

    def _deliver(self, batch: list[T]) -> str | None:
        reason = self._open()
        if self._sender is None:
            return reason
        try:
            return self._sender.send(batch)
        except Exception as error:  # noqa: BLE001 - whatever an exporter raises is one more reason for not delivering
            return f"{type(error).__name__}: {error}"

    def _keep(self, batch: list[T], reason: str) -> bool:
        """Put a batch back that the collector may take later, as far as there is room; False when there is no later."""
        with self._changed:
            # What was on its way when the closing began has one more try.
            if self._abandoned or (self._closing and self._last_try):
                return False
            self._last_try = self._closing
            while batch:
                weight, size = self._weight_of(batch[-1]), self._size_of(batch[-1])
                if self._size + weight > self.limits.max_items or self._bytes + size > self.limits.max_bytes:
                    break
                self._items.appendleft(batch.pop())
                self._size += weight
                self._bytes += size
            lost = sum(map(self._weight_of, batch)) + self._displaced
            self._displaced = self._in_flight = 0
            self._urgent = False
            waiting = self._size
            self._changed.notify_all()
        self._losses.add(Loss.EXPORT, lost, f"{waiting} {self._what} wait, not delivered yet: {reason}")
        with self._changed:
            if not self._closing:
                self._changed.wait(RETRY_SECONDS)
        return True

    def _settle(self, batch: list[T], reason: str | None) -> None:
        with self._changed:
            lost = 0 if reason is None else sum(map(self._weight_of, batch))
            if reason is not None and self._closing:
                # A collector that is away keeps nobody waiting at exit for each further batch.
                lost += self._size
                self._items.clear()
                self._size = self._bytes = 0
            displaced, self._displaced = self._displaced, 0
            abandoned = self._abandoned
        # Told outside the lock, which the host's threads take; and before a flush returns.
        if lost and not abandoned:
            self._losses.add(Loss.EXPORT, lost + displaced, f"{lost} {self._what} not delivered: {reason}")
        elif displaced and not abandoned:
            told = f"{displaced} {self._what} displaced: they came faster than they could be sent"
            self._losses.add(Loss.EXPORT, displaced, told)
        with self._changed:
            self._in_flight = 0
            self._changed.notify_all()


_open_outboxes: weakref.WeakSet[Outbox[Any]] = weakref.WeakSet()

# Held while a sender imports its modules, the meter's as well: a child forked in the middle of an import would wait for
# it for ever.
importing = threading.RLock()


def _start_over_in_child() -> None:
    importing.release()
    # What was queued is the parent's to send, and so is its connection.
    for outbox in list(_open_outboxes):
        outbox._start_empty()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=importing.acquire, after_in_parent=importing.release, after_in_child=_start_over_in_child
    )
