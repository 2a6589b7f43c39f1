"""One process works on a task, the others stand by: a lease in the control store, kept while the work runs.

A holder that was paused and wakes late writes nothing: its control store is fenced, and what it publishes elsewhere
asks `check` first.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from store import lease
from store.control import ControlStore
from store.lease import Grant, LeaseLostError

log = logging.getLogger(__name__)

SHORTEST = timedelta(seconds=10)
POLLS = 3


class LeasedTask:
    """The lease of one task.

    Args:
        control: the store that holds the leases.
        name: the task; processes that give the same name take turns.
        holder: this process.
        poll_seconds: how often the work is done; a lease lasts a few of them, and ten seconds at least.
        least_token: asked before a lease is taken anew; see `store.lease.take`.
    """

    def __init__(
        self,
        control: ControlStore,
        name: str,
        holder: str,
        poll_seconds: float,
        least_token: Callable[[], int] = lambda: 1,
    ) -> None:
        self.name = name
        self.length = max(SHORTEST, POLLS * timedelta(seconds=poll_seconds))
        self.grant: Grant | None = None
        self._control = control
        self._holder = holder
        self.least_token = least_token

    @property
    def store(self) -> ControlStore:
        """The control store for the work: it refuses to write when the lease was lost."""
        return self._control.fenced(self._confirm)

    def led(self, work: Callable[[datetime, Grant], object]) -> Callable[[datetime], None]:
        """`work`, done only while this process holds the lease."""

        def work_if_leading(now: datetime) -> None:
            grant = self._take()
            if grant is None:
                return
            try:
                with self._kept():
                    work(now, grant)
            except LeaseLostError as lost:
                self.grant = None
                log.info("%s: %s", self.name, lost)

        return work_if_leading

    def check(self) -> None:
        """Go on only if the lease still stands.

        Raises:
            LeaseLostError: another process has it.
        """
        with self._control.read() as session:
            self._confirm(session)

    def release(self) -> None:
        """Let another process work at once; called at a clean end."""
        with self._control.write() as session:
            lease.release(session, self.name, self._holder, lease.store_time(session))
        self.grant = None

    def _take(self) -> Grant | None:
        least = 1 if self.grant is not None else self.least_token()
        with self._control.write() as session:
            now = lease.store_time(session)
            grant = lease.take(session, self.name, self._holder, now, self.length, least_token=least)
        self.grant = grant
        return grant

    def _confirm(self, session: Session) -> None:
        if self.grant is None:
            raise LeaseLostError(f"{self.name} is not led by this process")
        lease.confirm(session, self.grant)

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """Prolong the lease while the block runs, however long that is."""
        done = threading.Event()

        def keep() -> None:
            while not done.wait(self.length.total_seconds() / 4):
                try:
                    with self._control.write() as session:
                        now = lease.store_time(session)
                        self._confirm(session)
                        lease.take(session, self.name, self._holder, now, self.length)
                except Exception as error:  # noqa: BLE001  the work finds out by itself, when it writes
                    log.warning("the lease of %s was not prolonged: %s", self.name, str(error).splitlines()[0])

        keeper = threading.Thread(target=keep, name=f"lease-{self.name}", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            done.set()
            keeper.join()
