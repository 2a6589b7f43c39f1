"""From bodies to rows on disk: what waits is decoded together and journaled in one append.

A decoder costs about as much for one small request as for ten, so under load a lane takes every waiting request of one
kind at once. Nothing waits for company: a request that finds its lane idle is decoded alone. Rows go to the journals.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final

from collector.answers import RefusalError
from collector.cardinality import Cardinality
from collector.census import TooManyElementsError
from collector.envelope import UndecodableError
from collector.exports import Export
from collector.journal import Journal
from collector.otlp_json import protobuf_of
from collector.rows import Decoded

log = logging.getLogger(__name__)

GROUP_BYTES: Final = 4 * 2**20
QUICK_BYTES: Final = 2**20


@dataclass(frozen=True)
class Waiting:
    """A request whose body is read; `done` gives the items that were refused, by reason, once the rest is on disk."""

    export: Export
    body: bytes
    is_json: bool
    done: Future[dict[str, int]] = field(default_factory=Future)

    @property
    def is_quick(self) -> bool:
        """Whether it is soon decoded; JSON takes twenty times the work of protobuf."""
        return not self.is_json and len(self.body) <= QUICK_BYTES


@dataclass
class DecodeCounts:
    """Since start: requests that were decoded, their bytes and items (refused ones too), and the time it took."""

    requests: int = 0
    bytes: int = 0
    items: int = 0
    seconds: float = 0.0


class Decoding:
    """Two lanes, so that a large body holds up no small one.

    Args:
        journals: by table, for every table that an export fills.
        accepted: counts the rows that are on disk, by table.
        cardinality: folds runaway values before rows are stored; None lets everything in.
    """

    def __init__(
        self, journals: Mapping[str, Journal], accepted: Counter[str], cardinality: Cardinality | None = None
    ) -> None:
        self.counts = DecodeCounts()
        self._counting = threading.Lock()
        self._journals = journals
        self._accepted = accepted
        self._cardinality = cardinality
        self._quick = _Lane("decode-quick", self._take)
        self._slow = _Lane("decode-slow", self._take)

    def submit(self, waiting: Waiting) -> Future[dict[str, int]]:
        """Queue a request.

        The future raises RefusalError: the body is none that can be read (400, 413), or cannot be stored now (503).
        """
        (self._quick if waiting.is_quick else self._slow).put(waiting)
        return waiting.done

    def close(self) -> None:
        """Finish what waits and end the threads."""
        self._quick.close()
        self._slow.close()

    def _take(self, group: list[Waiting]) -> None:
        # A sender that has gone waits no longer; what it sent is not acknowledged and need not be kept.
        group = [waiting for waiting in group if waiting.done.set_running_or_notify_cancel()]
        if len(group) > 1:
            export = group[0].export
            began = time.perf_counter()
            try:
                decoded = export.decode([waiting.body for waiting in group], time.time_ns())
            except Exception as error:  # noqa: BLE001  which of them it was shows when each is decoded alone
                log.debug("a group of %d requests is decoded one by one: %s", len(group), error)
            else:
                if not decoded.refused:
                    self._store(group, decoded, began)
                    return
        # Alone, or one of the group is to be told what is wrong with it.
        for waiting in group:
            try:
                began = time.perf_counter()
                self._store([waiting], _decode(waiting), began)
            except Exception as error:  # noqa: BLE001  the request is answered with it, and the lane goes on
                waiting.done.set_exception(error)

    def _store(self, group: list[Waiting], decoded: Decoded, began: float) -> None:
        tables = {group[0].export.table: decoded.rows, **decoded.beside}
        tables = {table: rows for table, rows in tables.items() if rows.num_rows}
        if self._cardinality is not None:
            now_nanos = time.time_ns()
            tables = {table: self._cardinality.fold(table, rows, now_nanos) for table, rows in tables.items()}
        self._count(group, decoded.rejected + sum(rows.num_rows for rows in tables.values()), began)
        appends = [self._journals[table].append(rows) for table, rows in tables.items()]

        def answer(error: BaseException | None) -> None:
            if error is None:
                self._accepted.update({table: rows.num_rows for table, rows in tables.items()})
            for waiting in group:
                if error is None:
                    waiting.done.set_result(decoded.refused)
                elif isinstance(error, OSError | RuntimeError):
                    waiting.done.set_exception(RefusalError(503, "journal", f"cannot store now, retry: {error}"))
                else:
                    waiting.done.set_exception(error)

        _when_all_done(appends, answer)

    def _count(self, group: list[Waiting], items: int, began: float) -> None:
        with self._counting:
            self.counts.requests += len(group)
            self.counts.bytes += sum(len(waiting.body) for waiting in group)
            self.counts.items += items
            self.counts.seconds += time.perf_counter() - began


class _Lane:
    """One thread that takes what waits, group by group: requests of one kind, in the order in which they came."""

    def __init__(self, name: str, take: Callable[[list[Waiting]], None]) -> None:
        self._take = take
        self._waiting: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, waiting: Waiting) -> None:
        with self._changed:
            if self._closed:
                waiting.done.set_exception(RefusalError(503, "stopping", "the server is stopping; retry"))
                return
            self._waiting.append(waiting)
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            try:
                self._take(group)
            except Exception as error:  # noqa: BLE001  the senders are told; the lane goes on
                for waiting in group:
                    if not waiting.done.done():
                        waiting.done.set_exception(error)

    def _next_group(self) -> list[Waiting]:
        """What to take next; empty when the lane is closed and nothing waits."""
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return []
                self._changed.wait()
            first = self._waiting.popleft()
            group, size = [first], len(first.body)
            if first.is_quick:
                others: deque[Waiting] = deque()
                for waiting in self._waiting:
                    fits = size + len(waiting.body) <= GROUP_BYTES
                    if fits and waiting.is_quick and waiting.export is first.export:
                        group.append(waiting)
                        size += len(waiting.body)
                    else:
                        others.append(waiting)
                self._waiting = others
            return group


def _decode(waiting: Waiting) -> Decoded:
    export, body = waiting.export, waiting.body
    try:
        return export.decode(protobuf_of(body, export.request) if waiting.is_json else body, time.time_ns())
    except TooManyElementsError as error:
        raise RefusalError(413, "too_many_elements", str(error)) from None
    except UndecodableError as error:
        encoding = "JSON" if waiting.is_json else "protobuf"
        raise RefusalError(400, "undecodable", f"the body is not OTLP {encoding}: {error}") from None


def _when_all_done(futures: Sequence[Future[None]], tell: Callable[[BaseException | None], None]) -> None:
    """Call `tell` once, when every future is done: with None, or with what one of them raised."""
    left = len(futures)
    lock = threading.Lock()

    def one_done(_future: Future[None]) -> None:
        nonlocal left
        with lock:
            left -= 1
            if left:
                return
        tell(next((error for future in futures if (error := future.exception())), None))

    if not futures:
        tell(None)
    for future in futures:
        future.add_done_callback(one_done)
