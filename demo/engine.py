"""Serves the language model at a limited speed, with a prefix cache: the demo's inference server.

Reading and writing take wall time as on a real accelerator, so that the demo leaves the machine to whoever watches it
and a longer prompt means a later first token. What is read and written is real, and so is the time that passes.
"""

from __future__ import annotations

import asyncio
import codecs
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np

from demo.language_model import LanguageModel, Prompt, prompt_of

TOKENS_AT_ONCE = 8
"""Tokens written between two waits: a wait for each would cost more than the token."""


class ContextWindowError(ValueError):
    """A prompt that is longer than the engine reads."""


@dataclass(frozen=True)
class Speed:
    """Tokens per second that one request is read and written at."""

    read: float
    write: float


@dataclass(frozen=True)
class Request:
    """A prompt that is about to be answered; `cached_tokens` of its tokens need not be read again."""

    prompt: Prompt
    cached_tokens: int

    @property
    def tokens(self) -> int:
        """Length of the whole prompt, cached part included."""
        return len(self.prompt.tokens)


class Engine:
    """One model, served."""

    def __init__(self, model: LanguageModel, speed: Speed, context_window: int, cached_parts: int = 0) -> None:
        """Serve `model`.

        Args:
            context_window: the longest prompt, tokens.
            cached_parts: how many parts of earlier prompts are kept; 0 switches the cache off.
        """
        self.model = model
        self._speed = speed
        self._context_window = context_window
        self._cached_parts = cached_parts
        self._cache: OrderedDict[str, list[int]] = OrderedDict()

    def accept(self, parts: Sequence[str]) -> Request:
        """Take a prompt that consists of `parts`; leading parts that were read before come from the cache.

        Raises:
            ContextWindowError: the prompt is longer than the context window.
        """
        tokens: list[int] = []
        cached_tokens = 0
        cached = self._cached_parts > 0
        read: list[tuple[str, list[int]]] = []
        for part in parts:
            known = self._cache.get(part) if cached else None
            cached = known is not None
            part_tokens = self.model.tokenize(part) if known is None else known
            cached_tokens += len(part_tokens) if cached else 0
            tokens.extend(part_tokens)
            read.append((part, part_tokens))
        if len(tokens) > self._context_window:
            raise ContextWindowError(f"a prompt of {len(tokens)} tokens does not fit into {self._context_window}")
        for part, part_tokens in read if self._cached_parts else ():
            self._remember(part, part_tokens)
        return Request(prompt_of(tokens), cached_tokens)

    async def answer(
        self, request: Request, max_tokens: int, temperature: float, rng: np.random.Generator
    ) -> AsyncIterator[tuple[int, str]]:
        """Yield the answer token by token, each with the text that it completes ('' inside a character)."""
        clock = asyncio.get_running_loop().time
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        due = clock() + (request.tokens - request.cached_tokens) / self._speed.read
        for number, token in enumerate(self.model.generate(request.prompt, max_tokens, temperature, rng)):
            if number % TOKENS_AT_ONCE == 0:
                await asyncio.sleep(due - clock())
                due += TOKENS_AT_ONCE / self._speed.write
            yield token, decode(self.model.vocabulary.piece(token))

    def _remember(self, part: str, tokens: list[int]) -> None:
        self._cache[part] = tokens
        self._cache.move_to_end(part)
        if len(self._cache) > self._cached_parts:
            self._cache.popitem(last=False)
