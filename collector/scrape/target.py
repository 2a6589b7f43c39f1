"""One target: scraped, turned into rows, and remembered, so that a series that ends is said to have ended.

Rows go to the journal of `metric_points`; what was lost on the way is counted here and shown at `/metrics`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import pyarrow as pa

from collector.announced import Announced, Announcement
from collector.cardinality import Cardinality
from collector.identities import points_of, series_of
from collector.journal import Journal
from collector.rows import of_project
from collector.scrape.answer import ScrapeError, Shown
from collector.scrape.exposition import Exposition, Limits, Reader
from collector.scrape.layout import Layout, Origin, layout_of
from collector.scrape.rows import ended, gaps, rows_of, synthetic, synthetic_identity
from settings import ScrapeTarget
from store.keys import DEFAULT_PROJECT

log = logging.getLogger(__name__)

_DEFAULT_RESOURCE: Final = ("service.name", "service.instance.id")


@dataclass
class TargetCounts:
    """What came of the scrapes of a target since start.

    `failures_in_row` is 0 after a scrape that succeeded; `succeeded_at` is in seconds of the monotonic clock.
    """

    scrapes: int = 0
    samples: int = 0
    rows: int = 0
    lost_rows: int = 0
    ended: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    failures_in_row: int = 0
    succeeded_at: float | None = None
    duration_seconds: float | None = None
    last_samples: int | None = None
    last_error: str | None = None


@dataclass(frozen=True)
class _Scrape:
    """The rows of a scrape: to store, with those of series that are new, and the identity of the series that they
    leave alive."""

    rows: pa.Table
    series: pa.Table | None
    announcement: Announcement
    alive: pa.Table
    ended: int


class Digest:
    """Turns what a target shows into rows. Holds what the last scrape was like, as the next is mostly the same."""

    def __init__(self, target: ScrapeTarget) -> None:
        self._reader = Reader(
            Limits(target.only, target.ignore, target.max_series, target.max_labels, target.max_label_bytes)
        )
        self._origin = Origin(resource_of(target))
        self.synthetic = synthetic_identity(self._origin)
        self._layout: Layout | None = None
        self._made_of: Exposition | None = None

    @property
    def none_alive(self) -> pa.Table:
        """The identity columns of no series."""
        return self.synthetic.slice(0, 0)

    def rows(self, shown: Shown, now_nanos: int) -> tuple[pa.Table, int, Counter[str]]:
        """The rows that a target shows, of how many samples, and what was refused by reason.

        Raises:
            ScrapeError: it cannot be read.
        """
        read = self._reader.read(shown.body, shown.format)
        layout = self._layout_of(read)
        decoded = rows_of(layout, read, now_nanos)
        return decoded.rows, len(read.keys), read.refused + layout.refused + Counter(decoded.refused)

    def _layout_of(self, read: Exposition) -> Layout:
        before = self._made_of
        if self._layout is None or before is None or not read.has_series_of(before):
            self._layout, self._made_of = layout_of(read, self._reader.series, self._origin), read
        return self._layout


class Asks(Protocol):
    """What gets the answer of a target: `collector.scrape.fetch.Fetch`."""

    async def get(self) -> Shown:
        """Ask once; raises ScrapeError."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class Target:
    """One target and its counts.

    Args:
        fetch: asks the target.
        journal: takes the rows.
        workers: where answers are read, which takes the processor and not the loop.
        now_nanos: UTC now.
        announced: the series that are known.
        cardinality: folds runaway values before rows are stored; None lets everything in.
    """

    def __init__(
        self,
        settings: ScrapeTarget,
        fetch: Asks,
        journal: Journal,
        workers: Executor | None = None,
        now_nanos: Callable[[], int] = time.time_ns,
        announced: Announced | None = None,
        cardinality: Cardinality | None = None,
    ) -> None:
        self.settings = settings
        self.counts = TargetCounts()
        self._journal = journal
        self._fetch = fetch
        self._workers = workers
        self._now_nanos = now_nanos
        self._announced = announced or Announced()
        self._cardinality = cardinality
        self._digest = Digest(settings)
        self._alive = self._digest.none_alive

    async def scrape(self) -> None:
        """Scrape once and return when the rows are on disk; what goes wrong is counted, nothing is raised."""
        now, began = self._now_nanos(), time.monotonic()
        rows, samples = None, 0
        try:
            shown = await self._fetch.get()
            rows, samples, refused = await self._apart(self._digest.rows, shown, now)
            self.counts.refused.update(refused)
            self._succeeded(samples)
        except ScrapeError as error:
            self._failed(error.reason, str(error))
        except Exception as error:  # noqa: BLE001  one target's fault is counted and must not end the others
            self._faulted(error)
        self.counts.scrapes += 1
        self.counts.duration_seconds = time.monotonic() - began
        how = {
            "up": float(rows is not None),
            "scrape_duration_seconds": self.counts.duration_seconds,
            "scrape_samples_scraped": samples,
        }
        try:
            await self._store(await self._apart(self._completed, rows, how, now))
        except Exception as error:  # noqa: BLE001  one target's fault is counted and must not end the others
            self._faulted(error)

    async def close(self) -> None:
        """Let go of connections."""
        await self._fetch.close()

    def health(self) -> dict[str, Any]:
        """The counts under names that are stable."""
        counts = self.counts
        known = counts.scrapes > 0
        return {
            "up": counts.failures_in_row == 0 if known else None,
            "last_success_age_seconds": None if counts.succeeded_at is None else time.monotonic() - counts.succeeded_at,
            "duration_seconds": counts.duration_seconds,
            "samples": counts.last_samples,
            "scrapes_total": counts.scrapes,
            "samples_total": counts.samples,
            "rows_total": counts.rows,
            "lost_rows_total": counts.lost_rows,
            "ended_series_total": counts.ended,
            "failures_in_row": counts.failures_in_row,
            "failures_total": dict(counts.failures),
            "refused_total": dict(counts.refused),
            "last_error": counts.last_error,
        }

    async def _apart(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._workers, work, *arguments)

    def _succeeded(self, samples: int) -> None:
        counts = self.counts
        counts.samples += samples
        counts.last_samples = samples
        counts.failures_in_row = 0
        counts.succeeded_at = time.monotonic()
        counts.last_error = None

    def _failed(self, reason: str, message: str) -> None:
        counts = self.counts
        counts.last_samples = None
        counts.failures[reason] += 1
        counts.failures_in_row += 1
        if counts.last_error != message:
            log.warning("scrape of %s at %s failed: %s", self.settings.name, self.settings.instance, message)
        counts.last_error = message

    def _faulted(self, error: Exception) -> None:
        log.error("scrape of %s at %s", self.settings.name, self.settings.instance, exc_info=error)
        self._failed("internal", f"{type(error).__name__}, see the log")

    def _completed(self, rows: pa.Table | None, how: dict[str, float], now_nanos: int) -> _Scrape:
        """With the rows that no target shows: of series that have ended, and of how it went."""
        alive = self._digest.none_alive if rows is None else rows.select(self._alive.column_names)
        gone = ended(self._alive, alive)
        parts = [] if rows is None else [rows]
        if gone.num_rows:
            parts.append(gaps(gone, now_nanos))
        if self._cardinality is not None and parts:
            # What is alive stays as it is shown: only what is stored is folded. How it went is always told.
            parts = [self._cardinality.fold("metric_series", pa.concat_tables(parts), now_nanos, DEFAULT_PROJECT)]
        parts.append(synthetic(self._digest.synthetic, how, now_nanos))
        whole = pa.concat_tables(parts)
        points = points_of(whole)
        announcement = self._announced.missing(DEFAULT_PROJECT, points, now_nanos)
        series = None
        if len(announcement.places):
            series = of_project(series_of(whole.take(pa.array(announcement.places))), DEFAULT_PROJECT)
        return _Scrape(of_project(points, DEFAULT_PROJECT), series, announcement, alive, gone.num_rows)

    async def _store(self, scrape: _Scrape) -> None:
        """What the journal does not take is lost; then the series that were alive before are taken to be so still."""
        try:
            await asyncio.wrap_future(self._journal.append(scrape.rows, beside=scrape.series))
        except (OSError, RuntimeError) as error:
            self.counts.lost_rows += scrape.rows.num_rows
            self.counts.last_error = f"the rows cannot be stored: {error}"
            return
        self._announced.made(scrape.announcement)
        self._alive = scrape.alive
        self.counts.rows += scrape.rows.num_rows
        self.counts.ended += scrape.ended


def resource_of(target: ScrapeTarget) -> dict[str, str]:
    """The resource attributes of everything that a target shows; its labels go before what is said of itself."""
    resource = dict(zip(_DEFAULT_RESOURCE, (target.name, target.instance), strict=True))
    if target.accelerator_pool:
        resource["andon.accelerator.pool"] = target.accelerator_pool
    return resource | target.labels
