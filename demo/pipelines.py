"""The demo's three pipelines, instrumented with nothing but the public SDK.

Each takes random numbers and does one request: they choose what is asked, so that a seed decides everything but time.
Spans, tokens and observations leave through `andon`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

import andon
import numpy as np
from numpy.typing import NDArray

from demo.engine import Engine, Request
from demo.incident import Conditions
from demo.library import Library
from demo.texts import Text

PROVIDER = "andon-demo"
ANSWERS = "andon-ngram-1"
SUMMARIES = "andon-ngram-2"
PIPELINES = ("support-rag", "doc-summaries", "ingest")

FAILURE_SHARE = 0.01
BATCH = 4
_INSTRUCTION = "Answer the question with what the passages say.\n\n"
_WORD = re.compile(r"[A-Za-z]{3,}")
_DIGIT = re.compile(r"[0-9]")
_CHARACTERS = 2000
"""How much of a long document is looked at."""

Random = np.random.Generator
Vector = NDArray[np.float64]


class SupportRag:
    """Questions answered from retrieved passages; the answer is streamed."""

    def __init__(self, library: Library, engine: Engine, conditions: Conditions) -> None:
        self._library = library
        self._engine = engine
        self._conditions = conditions

    @andon.pipeline("support-rag", kind="inference", domain="support")
    async def run(self, rng: Random) -> str:
        """Answer one question.

        Raises:
            NoPassageError: the question has no known word.
        """
        question = _question(self._library.documents, rng)
        prompt_length = int(_lognormal(rng, median=550, sigma=0.6) * self._conditions.prompt_factor)
        asked = f"\n\nQuestion: {question}\nAnswer: "
        room = max(0, prompt_length - len(_INSTRUCTION) - len(asked))
        passages = self.retrieve(question, room)
        prompt = _INSTRUCTION + "\n\n".join(passage.body for passage in passages)[:room] + asked
        max_tokens = _whole(_lognormal(rng, median=36, sigma=0.45), 4, 160)
        tokens = [token async for token in self.generate(prompt, max_tokens, rng)]
        andon.observe(
            model=ANSWERS,
            features={"prompt_length": len(prompt)},
            prediction=passages[0].title,
            score=float(self._engine.model.log_probabilities(tokens).mean()),
        )
        return self._engine.model.vocabulary.decode(tokens)

    @andon.stage("retrieve")
    def retrieve(self, question: str, characters: int) -> list[Text]:
        """Return the best passages, as many as it takes to fill `characters`."""
        passages: list[Text] = []
        for passage in self._library.search(question):
            passages.append(passage)
            characters -= len(passage.body)
            if characters <= 0:
                return passages
        # A rare word stands in few documents; the rest of the context is whatever comes first.
        return [*passages, *self._library.documents]

    @andon.stage("generate")
    async def generate(self, prompt: str, max_tokens: int, rng: Random) -> AsyncIterator[int]:
        """Yield the tokens of the answer."""
        request = self._engine.accept([prompt])
        written = 0
        try:
            async for token, _ in self._engine.answer(request, max_tokens, 0.8, rng):
                written += 1
                yield token
        finally:
            andon.record_tokens(input=request.tokens, output=written, model=ANSWERS, provider=PROVIDER)


class DocSummaries:
    """A headline and an abstract of one document: two calls, of which the second finds the document in the cache."""

    def __init__(self, documents: Sequence[Text], engine: Engine, conditions: Conditions) -> None:
        self._documents = documents
        self._engine = engine
        self._conditions = conditions

    @andon.pipeline("doc-summaries", kind="batch_inference", domain="knowledge")
    async def run(self, rng: Random) -> tuple[str, str]:
        """Summarise one document.

        Raises:
            ContextWindowError: the document is a whole manual.
        """
        document = await self.load(rng)
        headline = await self.summarise(document, "Headline: ", _whole(_lognormal(rng, 10, 0.3), 3, 30), rng)
        abstract = await self.summarise(document, "Abstract: ", _whole(_lognormal(rng, 48, 0.4), 8, 160), rng)
        return headline, abstract

    @andon.stage("load")
    async def load(self, rng: Random) -> str:
        """Fetch one document, when the store of documents answers."""
        await self._conditions.documents_available.wait()
        first = int(rng.integers(len(self._documents)))
        if rng.random() < FAILURE_SHARE:
            return "\n\n".join(document.body for document in self._documents)[:60_000]
        return self._documents[first].body[:_CHARACTERS]

    @andon.stage("summarise")
    async def summarise(self, document: str, instruction: str, max_tokens: int, rng: Random) -> str:
        """Return what the model makes of `document`."""
        request: Request = self._engine.accept([document, f"\n\n{instruction}"])
        tokens = [token async for token, _ in self._engine.answer(request, max_tokens, 0.6, rng)]
        andon.record_tokens(
            input=request.tokens,
            output=len(tokens),
            cache_read=request.cached_tokens,
            model=SUMMARIES,
            provider=PROVIDER,
        )
        andon.observe(
            model=SUMMARIES,
            features={"document_length": len(document)},
            score=float(self._engine.model.log_probabilities(tokens).mean()),
        )
        return self._engine.model.vocabulary.decode(tokens)


class Ingest:
    """Documents turned into vectors, a few at a time, with a look at the quality of the data."""

    def __init__(self, documents: Sequence[Text], engine: Engine) -> None:
        self._documents = documents
        self._engine = engine

    @andon.pipeline("ingest", kind="ingest", domain="knowledge")
    def run(self, rng: Random) -> list[Vector]:
        """Embed one batch of documents.

        Raises:
            UnicodeDecodeError: a document was cut in the middle of a character.
        """
        chosen = [self._documents[int(number)] for number in rng.integers(len(self._documents), size=BATCH)]
        raw = [document.body[:_CHARACTERS].encode() for document in chosen]
        if rng.random() < FAILURE_SHARE:
            raw[0] = "naïve".encode()[:3]
        texts = self.parse(raw)
        andon.observe(
            model=ANSWERS,
            features={
                "document_length": [len(text) for text in texts],
                "non_ascii_share": [1 - len(text.encode("ascii", "ignore")) / len(text) for text in texts],
                "digit_share": [len(_DIGIT.findall(text)) / len(text) for text in texts],
            },
        )
        return self.embed(texts)

    @andon.stage("parse")
    def parse(self, raw: Sequence[bytes]) -> list[str]:
        """Return the documents as text."""
        andon.record_tokens(rows_in=len(raw), bytes_in=sum(map(len, raw)))
        texts = [document.decode("utf-8") for document in raw]
        andon.record_tokens(rows_out=len(texts))
        return texts

    @andon.stage("embed")
    def embed(self, texts: Sequence[str]) -> list[Vector]:
        """Return one vector for each text."""
        tokens = [self._engine.model.tokenize(text) for text in texts]
        andon.record_tokens(
            input=sum(map(len, tokens)), output=0, model=ANSWERS, provider=PROVIDER, operation="embeddings"
        )
        return [self._engine.model.embed(each) for each in tokens]


def _question(documents: Sequence[Text], rng: Random) -> str:
    """A question about some document, or now and then one in no language."""
    if rng.random() < FAILURE_SHARE:
        return "".join(rng.choice(list("qxzjvk"), size=12))
    words = _WORD.findall(documents[int(rng.integers(len(documents)))].body)
    start = int(rng.integers(max(1, len(words) - 6)))
    return f"What does it mean: {' '.join(words[start : start + 6]).lower()}?"


def _lognormal(rng: Random, median: float, sigma: float) -> float:
    return median * float(np.exp(sigma * rng.standard_normal()))


def _whole(value: float, lowest: int, highest: int) -> int:
    return min(highest, max(lowest, round(value)))
