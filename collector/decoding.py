"""From bodies to rows on disk: what waits is decoded together and journaled in one append.

`collector.lane` says what is decoded as one. Rows go to the journals, those of metric points with what is new of their
series.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Final

import pyarrow as pa

from collector.announced import Announced, Announcement
from collector.answers import RefusalError
from collector.cardinality import Cardinality
from collector.census import TooManyElementsError
from collector.counts import ReceiverCounts
from collector.envelope import UndecodableError
from collector.exports import Export
from collector.frames import Mark
from collector.journal import Journal
from collector.lane import Lane, Waiting
from collector.otlp_json import protobuf_of
from collector.rows import Decoded, of_project
from collector.seen import request_digest

log = logging.getLogger(__name__)

POINTS: Final = "metric_points"
SERIES: Final = "metric_series"


class Decoding:
    """Two lanes, so that a large body holds up no small one.

    Args:
        journals: by table, for every table that an export fills.
        counts: of what was stored and refused.
        cardinality: folds runaway values before rows are stored; None lets everything in.
        announced: the series that are known; None announces all of them with every request.
    """

    def __init__(
        self,
        journals: Mapping[str, Journal],
        counts: ReceiverCounts,
        cardinality: Cardinality | None = None,
        announced: Announced | None = None,
    ) -> None:
        self._journals = journals
        self._counts = counts
        self._cardinality = cardinality
        self._announced = announced or Announced(most=0)
        self._quick = Lane("decode-quick", self._take)
        self._slow = Lane("decode-slow", self._take)

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
        project, now_nanos = group[0].sender.project, time.time_ns()
        announcement, series = self._series(decoded, project, now_nanos)
        tables = _tables(group[0].export, decoded)
        tables = {table: self._stored(table, rows, project, now_nanos) for table, rows in tables.items()}
        sizes = [len(waiting.body) for waiting in group]
        self._counts.decoded(len(sizes), sum(sizes), decoded.items, time.perf_counter() - began)
        appends = {
            table: self._journals[table].append(
                rows, () if table in decoded.undated else marks, series if table == POINTS else None
            )
            for table, rows in tables.items()
        }

        def answer(error: BaseException | None) -> None:
            if error is None:
                if announcement is not None and appends[POINTS].result():
                    self._announced.made(announcement)
                self._answer(group, decoded, {name: tables[name].num_rows for name in tables if appends[name].result()})
                return
            for waiting in group:
                waiting.done.set_exception(_refusal(error))

        _when_all_done(list(appends.values()), answer)

    def _series(self, decoded: Decoded, project: str, now_nanos: int) -> tuple[Announcement | None, pa.Table | None]:
        """What is to be said of series that points need, and its rows."""
        if decoded.identify is None or not decoded.rows.num_rows:
            return None, None
        announcement = self._announced.missing(project, decoded.rows, now_nanos)
        if not len(announcement.places):
            return None, None
        return announcement, self._stored(SERIES, decoded.identify(announcement.places), project, now_nanos)

    def _stored(self, table: str, rows: pa.Table, project: str, now_nanos: int) -> pa.Table:
        """Rows as they are stored."""
        if self._cardinality is not None:
            rows = self._cardinality.fold(table, rows, now_nanos, project)
        return of_project(rows, project)

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
