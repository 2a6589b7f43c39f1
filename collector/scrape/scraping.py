"""All targets, scraped side by side in a thread and an event loop of their own, so that no target holds up another or
the receivers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from collector.announced import Announced
from collector.bodies import Budget
from collector.cardinality import Cardinality
from collector.journal import Journal
from collector.scrape.fetch import Fetch
from collector.scrape.schedule import next_scrape, offset_of
from collector.scrape.target import Target
from settings import ScrapeTarget

MAX_IN_FLIGHT_BYTES: Final = 256 * 2**20
_READERS: Final = 2


class Scraping:
    """Scrapes every target of the settings; without one there is no thread.

    Args:
        journal: of `metric_points`.
        announced: the series that are known.
        cardinality: folds runaway values of what is scraped; None lets everything in.
    """

    def __init__(
        self,
        targets: Sequence[ScrapeTarget],
        journal: Journal,
        announced: Announced,
        cardinality: Cardinality | None = None,
    ) -> None:
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="scrape-read")
        budget = Budget(max(MAX_IN_FLIGHT_BYTES, *(target.max_body_bytes for target in targets), 0))
        self.targets = [
            Target(
                settings, Fetch(settings, budget), journal, self._readers, announced=announced, cardinality=cardinality
            )
            for settings in targets
        ]
        self._loop = asyncio.new_event_loop() if targets else None
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="scrape", daemon=True)

    def start(self) -> None:
        """Begin; the first scrape of each target comes within its interval."""
        if self._loop is not None:
            self._thread.start()

    def stop(self) -> None:
        """End; a scrape that runs is given up."""
        if self._thread.is_alive() and self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
        if self._loop is not None:
            self._loop.close()
        self._readers.shutdown()

    @property
    def alive(self) -> bool:
        """Whether the thread still works, where there is something to do."""
        return self._loop is None or self._thread.is_alive()

    def health(self) -> dict[str, Any]:
        """How many targets there are, and the counts of each under its name and address."""
        by_target = {f"{one.settings.name} {one.settings.instance}": one.health() for one in self.targets}
        return {
            "targets": len(by_target),
            "targets_up": sum(1 for health in by_target.values() if health["up"]),
            "by_target": by_target,
        }

    def _run(self) -> None:
        assert self._loop is not None  # noqa: S101  started only with a loop
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._scrape_all())

    async def _scrape_all(self) -> None:
        running = [asyncio.create_task(_scrape_for_ever(target)) for target in self.targets]
        stopping = asyncio.create_task(self._stopping.wait())
        # A task that ends is a fault of ours: it ends the thread, and the health page says so.
        await asyncio.wait([stopping, *running], return_when=asyncio.FIRST_COMPLETED)
        for task in (stopping, *running):
            task.cancel()
        await asyncio.gather(stopping, *running, return_exceptions=True)
        for target in self.targets:
            await target.close()


async def _scrape_for_ever(target: Target) -> None:
    settings = target.settings
    interval = settings.interval_seconds
    offset = offset_of(f"{settings.name} {settings.instance}", interval)
    while True:
        now = time.monotonic()
        await asyncio.sleep(next_scrape(now, offset, interval, target.counts.failures_in_row) - now)
        await target.scrape()
