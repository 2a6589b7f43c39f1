"""From bodies to rows on disk: what waits is decoded together and journaled in one append.

A decoder costs about as much for one small request as for ten, so under load a lane takes every waiting request of one
kind at once. Nothing waits for company: a request that finds its lane idle is decoded alone. Rows go to the journals.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Final

import pyarrow as pa

from collector.admission import Sender
from collector.answers import RefusalError
from collector.cardinality import Cardinality
from collector.census import TooManyElementsError
from collector.counts import ReceiverCounts
from collector.envelope import UndecodableError
from collector.exports import Export
from collector.frames import Mark
from collector.journal import Journal
from collector.otlp_json import protobuf_of
from collector.rows import Decoded, of_project
from collector.seen import request_digest

log = logging.getLogger(__name__)

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


class Decoding:
    """Two lanes, so that a large body holds up no small one.

    Args:
        journals: by table, for every table that an export fills.
        counts: of what was stored and refused.
        cardinality: folds runaway values before rows are stored; None lets everything in.
    """

    def __init__(
        self, journals: Mapping[str, Journal], counts: ReceiverCounts, cardinality: Cardinality | None = None
    ) -> None:
        self._journals = journals
        self._counts = counts
        self._cardinality = cardinality
        self._quick = _Lane("decode-quick", self._take)
        self._slow = _Lane("decode-slow", self._take)

    def submit(self, waiting: Waiting) -> Future[dict[str, int]]:
        """Queue a request.

        The future raises RefusalError: the body is none that can be read (400, 413), the sender sends too fast (429),
        or it cannot be stored now (503).
        """
        (self._quick if waiting.is_quick else self._slow).put(waiting)
        return waiting.done

    @property
    def alive(self) -> bool:
        """Whether both lanes still work."""
        return self._quick.alive and self._slow.alive

    def close(self) -> None:
        """Finish what waits and end the threads."""
        self._quick.close()
        self._slow.close()

    def _take(self, group: list[Waiting]) -> None:
        fresh: dict[bytes, Waiting] = {}
        alone: list[tuple[bytes, Waiting]] = []
        for waiting in filter(Waiting.is_wanted, group):
            digest = request_digest(waiting.export.path, waiting.sender.project, waiting.body)
            if digest in fresh or self._arrival(digest) is not None:
                alone.append((digest, waiting))
            else:
                fresh[digest] = waiting
        if len(fresh) < 2 or not self._take_together(fresh):
            alone = [*fresh.items(), *alone]
        for digest, waiting in alone:
            try:
                self._take_alone(digest, waiting)
            except Exception as error:  # noqa: BLE001  the request is answered with it, and the lane goes on
                waiting.done.set_exception(_refusal(error))

    def _take_together(self, fresh: dict[bytes, Waiting]) -> bool:
        """Decode and store requests as one; False when one of them has to be told something."""
        group, now_nanos, began = list(fresh.values()), time.time_ns(), time.perf_counter()
        try:
            decoded = group[0].export.decode([waiting.body for waiting in group], now_nanos)
        except Exception as error:  # noqa: BLE001  which of them it was shows when each is decoded alone
            log.debug("a group of %d requests is decoded one by one: %s", len(group), error)
            return False
        if decoded.refused or decoded.undated:
            return False
        self._store(group, [Mark(digest, now_nanos) for digest in fresh], decoded, began)
        return True

    def _take_alone(self, digest: bytes, waiting: Waiting) -> None:
        began = time.perf_counter()
        # One that comes again is read as it was at first, so that it is answered alike.
        mark = Mark(digest, self._arrival(digest) or time.time_ns())
        decoded = _decode(waiting, mark.arrived)
        if waiting.sender.bucket is not None:
            waiting.sender.bucket.take(decoded.items)
        self._store([waiting], [mark], decoded, began)

    def _arrival(self, digest: bytes) -> int | None:
        """When a request came whose rows are on disk, UTC nanoseconds."""
        arrivals = (journal.seen.arrival(digest) for journal in self._journals.values())
        return next((arrival for arrival in arrivals if arrival is not None), None)

    def _store(self, group: list[Waiting], marks: list[Mark], decoded: Decoded, began: float) -> None:
        project = group[0].sender.project
        tables = _tables(group[0].export, decoded)
        if self._cardinality is not None:
            folded, now_nanos = self._cardinality.fold, time.time_ns()
            tables = {table: folded(table, rows, now_nanos, project) for table, rows in tables.items()}
        tables = {table: of_project(rows, project) for table, rows in tables.items()}
        sizes = [len(waiting.body) for waiting in group]
        self._counts.decoded(len(sizes), sum(sizes), decoded.items, time.perf_counter() - began)
        appends = {
            table: self._journals[table].append(rows, () if table in decoded.undated else marks)
            for table, rows in tables.items()
        }

        def answer(error: BaseException | None) -> None:
            if error is None:
                self._answer(group, decoded, {name: tables[name].num_rows for name in tables if appends[name].result()})
                return
            for waiting in group:
                waiting.done.set_exception(_refusal(error))

        _when_all_done(list(appends.values()), answer)

    def _answer(self, group: list[Waiting], decoded: Decoded, written: dict[str, int]) -> None:
        """Answer requests whose rows are on disk; `written` says in which tables they were not before."""
        if written.keys() == _tables(group[0].export, decoded).keys():
            self._counts.stored(written, decoded.refused)
        elif len(group) > 1:
            # While they were decoded, one of them was stored from another copy.
            self._counts.stored(written, {})
            for waiting in group:
                self._quick.put(replace(waiting, alone=True))
            return
        else:
            self._counts.repeated(written)
        for waiting in group:
            waiting.done.set_result(decoded.refused)


class _Lane:
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
        return self._thread.is_alive()

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


def _refusal(error: BaseException) -> BaseException:
    """The refusal of a request whose rows cannot be stored; any other error as it is."""
    if isinstance(error, RefusalError):
        # Its traceback would hold the request, which holds it: a circle, and the body in it.
        return error.with_traceback(None)
    if isinstance(error, OSError | RuntimeError):
        return RefusalError(503, "journal", f"cannot store now, retry: {error}")
    return error


def _tables(export: Export, decoded: Decoded) -> dict[str, pa.Table]:
    """The rows by table; tables without any are left out."""
    tables = {export.table: decoded.rows, **decoded.beside}
    return {table: rows for table, rows in tables.items() if rows.num_rows}


def _decode(waiting: Waiting, now_nanos: int) -> Decoded:
    export, body = waiting.export, waiting.body
    try:
        message = protobuf_of(body, export.request) if waiting.is_json else body
        decoded = export.decode(message, now_nanos)
    except TooManyElementsError as error:
        raise RefusalError(413, "too_many_elements", str(error)) from None
    except UndecodableError as error:
        encoding = "JSON" if waiting.is_json else "protobuf"
        raise RefusalError(400, "undecodable", f"the body is not OTLP {encoding}: {error}") from None
    if not decoded.items and export.is_foreign(body, message):
        return replace(decoded, refused={f"the body holds nothing that {export.path} takes; is it of another kind?": 0})
    return decoded


def _when_all_done(futures: Sequence[Future[bool]], tell: Callable[[BaseException | None], None]) -> None:
    """Call `tell` once, when every future is done: with None, or with what one of them raised."""
    left = len(futures)
    lock = threading.Lock()

    def one_done(_future: Future[bool]) -> None:
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
