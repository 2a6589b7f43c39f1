"""The factory floor: the three pipelines and the workers that keep them busy at a steady pace.

Made and ended by `demo.factory`; the requests themselves are in `demo.pipelines`.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Iterator

import numpy as np

from demo.engine import ContextWindowError, Engine, Speed
from demo.incident import Conditions
from demo.language_model import LanguageModel
from demo.library import Library, NoPassageError
from demo.pace import Pace
from demo.pipelines import PIPELINES, DocSummaries, Ingest, SupportRag
from demo.texts import shipped_texts

LEARNED_CHARACTERS = 700_000
SHARES = {"support-rag": 24 / 44, "doc-summaries": 8 / 44, "ingest": 12 / 44}
WORKERS = {"support-rag": 40, "doc-summaries": 6, "ingest": 1}
"""Requests of a pipeline that may be under way at once."""

ANSWER_SPEED = Speed(read=600, write=400)
"""A prompt is read in about a third of a second: long against what a busy machine adds to a wait."""
SUMMARY_SPEED = Speed(read=4000, write=500)
CONTEXT_WINDOW = 8192
CACHED_PARTS = 64

EXPECTED_ERRORS = (NoPassageError, ContextWindowError, UnicodeDecodeError)
"""What a request may fail with: it shows in the trace, and the factory goes on."""

Run = Callable[[np.random.Generator], Awaitable[object]]


class Floor:
    """The three pipelines and those who work them."""

    def __init__(self, rate: float, seed: int) -> None:
        """Learn the model; takes about a second.

        Args:
            rate: requests per second of all pipelines together, above 0.

        Raises:
            NoTextError: this Python brings nothing to learn from.
        """
        texts = shipped_texts(LEARNED_CHARACTERS)
        self.model = LanguageModel.learn(text.body for text in texts)
        self.conditions = Conditions()
        answers = Engine(self.model, ANSWER_SPEED, CONTEXT_WINDOW)
        summaries = Engine(self.model, SUMMARY_SPEED, CONTEXT_WINDOW, CACHED_PARTS)
        ingest = Ingest(texts, answers)

        async def run_ingest(rng: np.random.Generator) -> object:
            return ingest.run(rng)

        self._runs: dict[str, Run] = {
            "support-rag": SupportRag(Library(texts), answers, self.conditions).run,
            "doc-summaries": DocSummaries(texts, summaries, self.conditions).run,
            "ingest": run_ingest,
        }
        self._rate = rate
        self._seed = seed
        self._workers: list[asyncio.Task[None]] = []
        self._idle: set[asyncio.Task[None] | None] = set()
        self._stopping = False

    def start(self) -> None:
        """Begin to work, in the running event loop."""
        for number, name in enumerate(PIPELINES):
            pace = Pace(self._rate * SHARES[name], random.Random(f"{self._seed} {name}"))
            requests = (np.random.default_rng([self._seed, number, request]) for request in itertools.count())
            for _ in range(WORKERS[name]):
                self._workers.append(asyncio.create_task(self._work(self._runs[name], pace, requests)))

    async def watch(self, seconds: float) -> None:
        """Let the pipelines work for that long.

        Raises:
            Exception: what a request failed with, when it is none of `EXPECTED_ERRORS`.
        """
        done, _ = await asyncio.wait(self._workers, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for worker in done:
            worker.result()

    async def stop(self, finish_seconds: float) -> None:
        """Start no more requests, let those under way finish, and abandon what takes longer than `finish_seconds`."""
        self._stopping = True
        for worker in self._idle:
            if worker is not None:
                worker.cancel()
        _, late = await asyncio.wait(self._workers, timeout=finish_seconds)
        for worker in late:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self, run: Run, pace: Pace, requests: Iterator[np.random.Generator]) -> None:
        clock = asyncio.get_running_loop().time
        this = asyncio.current_task()
        while not self._stopping:
            rng = next(requests)
            self._idle.add(this)
            await asyncio.sleep(max(0.0, pace.next_arrival(clock()) - clock()))
            self._idle.discard(this)
            try:
                await run(rng)
            except EXPECTED_ERRORS:
                continue
