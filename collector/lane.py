"""Requests that wait to be decoded, and the lane that takes them: all that can be decoded as one, at once.

A decoder costs about as much for one small request as for ten. Nothing waits for company: a request that finds its lane
idle is decoded alone.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from collector.admission import Sender
from collector.answers import RefusalError
from collector.exports import Export

GROUP_BYTES: Final = 4 * 2**20
QUICK_BYTES: Final = 2**20


@dataclass(frozen=True)
class Waiting:
    """A request whose body is read; `done` gives the items that were refused, by reason, once the rest is on disk.

    One that is marked `alone` is decoded by itself.
    """

    export: Export
    body: bytes
    is_json: bool
    sender: Sender
    alone: bool = False
    done: Future[dict[str, int]] = field(default_factory=Future)

    @property
    def is_quick(self) -> bool:
        """Whether it is soon decoded; JSON takes twenty times the work of protobuf."""
        return not self.is_json and len(self.body) <= QUICK_BYTES

    def joins(self, other: Waiting) -> bool:
        """Whether both can be decoded as one. A sender with a limit is not joined: its items are counted; nor is a body
        of another kind: its sender is warned."""
        return (
            self.is_quick
            and not self.alone
            and not self.export.is_foreign(self.body, self.body)
            and self.export is other.export
            and self.sender.project == other.sender.project
            and self.sender.bucket is None
        )

    def is_wanted(self) -> bool:
        """Whether its sender still waits. What one sent that has gone is not acknowledged and need not be kept."""
        return self.done.running() or self.done.set_running_or_notify_cancel()


class Lane:
    """One thread that takes what waits, group by group: requests of one kind, in the order in which they came."""

    def __init__(self, name: str, take: Callable[[list[Waiting]], None]) -> None:
        self._take = take
        self._waiting: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether anything that is put is taken."""
        return self._thread.is_alive()

    def put(self, waiting: Waiting) -> None:
        """Let a request wait."""
        with self._changed:
            if self._closed:
                waiting.done.set_exception(RefusalError(503, "stopping", "the server is stopping; retry"))
                return
            self._waiting.append(waiting)
            self._changed.notify()

    def close(self) -> None:
        """Take what waits and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            try:
                self._take(group)
            except BaseException as error:  # noqa: BLE001  whatever it is, the senders are told, and the lane goes on
                for waiting in group:
                    if not waiting.done.done():
                        waiting.done.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    def _next_group(self) -> list[Waiting]:
        """What to take next; empty when the lane is closed and nothing waits."""
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return []
                self._changed.wait()
            first = self._waiting.popleft()
            group, size = [first], len(first.body)
            if first.joins(first):
                others: deque[Waiting] = deque()
                for waiting in self._waiting:
                    fits = size + len(waiting.body) <= GROUP_BYTES
                    if fits and waiting.joins(first):
                        group.append(waiting)
                        size += len(waiting.body)
                    else:
                        others.append(waiting)
                self._waiting = others
            return group
