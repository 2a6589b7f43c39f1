"""Run requests of every pipeline under the real SDK, and print what the engine itself read and wrote as JSON.

Arguments: address of a collector, number of requests, factor of the prompts.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import andon
import numpy as np

from demo.engine import Engine, Request, Speed
from demo.floor import CONTEXT_WINDOW, EXPECTED_ERRORS
from demo.incident import Conditions
from demo.language_model import LanguageModel
from demo.library import Library
from demo.pipelines import DocSummaries, Ingest, SupportRag
from demo.texts import shipped_texts

AT_ONCE = Speed(read=math.inf, write=math.inf)


class CountedEngine(Engine):
    """Counts apart from what the pipelines record."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.counts = {"input": 0, "output": 0, "cache_read": 0}

    def accept(self, parts: Sequence[str]) -> Request:
        request = super().accept(parts)
        self.counts["input"] += sum(len(self.model.tokenize(part)) for part in parts)
        self.counts["cache_read"] += request.cached_tokens
        return request

    async def answer(self, *given: Any) -> AsyncIterator[tuple[int, str]]:
        async for token in super().answer(*given):
            self.counts["output"] += 1
            yield token


async def main(endpoint: str, requests: int, prompt_factor: float) -> None:
    texts = shipped_texts(150_000)
    model = LanguageModel.learn((text.body for text in texts), merges=200)
    answers = CountedEngine(model, AT_ONCE, CONTEXT_WINDOW)
    summaries = CountedEngine(model, AT_ONCE, CONTEXT_WINDOW, 8)
    conditions = Conditions(prompt_factor=prompt_factor)
    pipelines = (
        SupportRag(Library(texts), answers, conditions),
        DocSummaries(texts, summaries, conditions),
        Ingest(texts, Engine(model, AT_ONCE, CONTEXT_WINDOW)),
    )
    andon.init("test", endpoint)
    failures = 0
    for number in range(requests):
        for pipeline in pipelines:
            try:
                made = pipeline.run(np.random.default_rng([1, number]))
                if not isinstance(made, list):
                    await made
            except EXPECTED_ERRORS:
                failures += 1
    andon.shutdown(20)
    counts = {"answers": answers.counts, "summaries": summaries.counts, "failures": failures}
    sys.stdout.write(json.dumps(counts))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
