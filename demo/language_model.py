"""A real, tiny language model: interpolated trigrams over byte pairs, learned in about two seconds.

Text of `demo.texts` goes in, probabilities and tokens come out. Every count of tokens that the demo reports is a count
of what this model read and wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from demo.byte_pairs import BytePairs, learn_byte_pairs

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MERGES = 1200
EMBEDDING_SIZE = 32
PROMPT_WEIGHT = 0.25
"""Share of the next token's probability that goes to what followed the same token in the prompt."""


@dataclass(frozen=True)
class Prompt:
    """What the model has read: the tokens, and for each token those that followed it."""

    tokens: tuple[int, ...]
    followers: Mapping[int, tuple[int, ...]]


class LanguageModel:
    """Trigrams, bigrams and single tokens, interpolated after Witten & Bell (1991).

    `P(w|h) = (c(h,w) + T(h) P(w|h')) / (n(h) + T(h))`: c counts, n is how often the context h was seen, T how many
    different tokens followed it, h' the context without its oldest token. While it answers, a prompt's own bigrams are
    mixed in (a cache model, Kuhn & De Mori 1990), so that an answer takes up the words of its prompt.
    """

    def __init__(self, vocabulary: BytePairs, tokens: Sequence[int]) -> None:
        self._vocabulary = vocabulary
        size = vocabulary.size
        stream = np.asarray(tokens, dtype=np.int64)
        self._trained_on = len(stream)
        single = np.bincount(stream, minlength=size).astype(np.float64)
        seen = np.count_nonzero(single)
        self._single: Floats = (single + seen / size) / (single.sum() + seen) if seen else np.full(size, 1 / size)
        self._pairs, self._pair_counts = _counted(stream[:-1] * size + stream[1:])
        self._triples, self._triple_counts = _counted((stream[:-2] * size + stream[1:-1]) * size + stream[2:])
        contexts = np.arange(size + 1, dtype=np.int64)
        self._pair_starts: Integers = np.searchsorted(self._pairs, contexts * size)
        self._triple_starts: Integers = np.searchsorted(self._triples, self._pairs * size)
        self._triple_ends: Integers = np.searchsorted(self._triples, (self._pairs + 1) * size)
        self._pair_totals = _sums(self._pair_counts, self._pair_starts[:-1], self._pair_starts[1:])
        self._triple_totals = _sums(self._triple_counts, self._triple_starts, self._triple_ends)
        self._embeddings = self._project()

    @classmethod
    def learn(cls, texts: Iterable[str], merges: int = MERGES) -> LanguageModel:
        """Learn vocabulary and counts from `texts`."""
        texts = list(texts)
        vocabulary = learn_byte_pairs(texts, merges)
        return cls(vocabulary, [token for text in texts for token in vocabulary.encode(text + "\n\n")])

    @property
    def trained_on(self) -> int:
        """How many tokens it has learned from."""
        return self._trained_on

    @property
    def vocabulary(self) -> BytePairs:
        """Its tokens."""
        return self._vocabulary

    def tokenize(self, text: str) -> list[int]:
        """Return the tokens of `text`."""
        return self._vocabulary.encode(text)

    def read(self, text: str) -> Prompt:
        """Read a prompt."""
        return prompt_of(self.tokenize(text))

    def probabilities(self, context: Sequence[int], prompt: Prompt | None = None) -> Floats:
        """Return the probability of each next token, shape (vocabulary size,), after the tokens of `context`."""
        found = self._single
        if context:
            last = int(context[-1])
            found = _interpolated(found, *self._row_of_pairs(last))
            if len(context) > 1:
                found = _interpolated(found, *self._row_of_triples(int(context[-2]), last))
            followers = prompt.followers.get(last) if prompt is not None else None
            if followers:
                found = found * (1 - PROMPT_WEIGHT)
                np.add.at(found, list(followers), PROMPT_WEIGHT / len(followers))
        return found

    def generate(self, prompt: Prompt, max_tokens: int, temperature: float, rng: np.random.Generator) -> Iterator[int]:
        """Yield `max_tokens` tokens that continue `prompt`.

        Args:
            temperature: above 0; probabilities are raised to its reciprocal. 1 samples as learned, less is bolder.

        Raises:
            ValueError: a temperature of 0 or less.
        """
        if not temperature > 0:
            raise ValueError(f"temperature={temperature} cannot be used; it must be above 0 (1 samples as learned)")
        context = list(prompt.tokens[-2:])
        for _ in range(max_tokens):
            weights = self.probabilities(context, prompt)
            if temperature != 1:
                weights = (weights / weights.max()) ** (1 / temperature)  # the likeliest stays 1, however cold it is
            sums = np.cumsum(weights)
            token = min(int(np.searchsorted(sums, rng.random() * sums[-1], side="right")), len(sums) - 1)
            context = [*context[-1:], token]
            yield token

    def log_probabilities(self, tokens: Sequence[int]) -> Floats:
        """Return the natural logarithm of each token's probability after those before it, shape (len(tokens),)."""
        size = self._vocabulary.size
        stream = np.asarray(tokens, dtype=np.int64)
        found = self._single[stream]
        if len(stream) > 1:
            before = stream[:-1]
            kinds = self._pair_starts[before + 1] - self._pair_starts[before]
            counts = _looked_up(self._pairs, self._pair_counts, before * size + stream[1:])
            found[1:] = _witten_bell(found[1:], counts, self._pair_totals[before], kinds)
        if len(stream) > 2 and len(self._pairs):
            context = stream[:-2] * size + stream[1:-1]
            place = np.minimum(np.searchsorted(self._pairs, context), len(self._pairs) - 1)
            known = self._pairs[place] == context
            totals = np.where(known, self._triple_totals[place], 0)
            kinds = np.where(known, self._triple_ends[place] - self._triple_starts[place], 0)
            counts = _looked_up(self._triples, self._triple_counts, context * size + stream[2:])
            found[2:] = _witten_bell(found[2:], counts, totals, kinds)
        return np.asarray(np.log(found), dtype=np.float64)

    def perplexity(self, text: str) -> float:
        """Return exp of the mean negative log probability of a token of `text`: lower is better predicted."""
        return float(np.exp(-self.log_probabilities(self.tokenize(text)).mean()))

    def single_token_perplexity(self, text: str) -> float:
        """Return the perplexity of `text` for a model that knows how frequent tokens are and nothing else."""
        return float(np.exp(-np.log(self._single[self.tokenize(text)]).mean()))

    def embed(self, tokens: Sequence[int]) -> Floats:
        """Return a text's vector, shape (EMBEDDING_SIZE,), of length 1: the mean of its tokens' vectors."""
        mean = self._embeddings[np.asarray(tokens, dtype=np.int64)].mean(axis=0)
        return np.asarray(mean / (np.linalg.norm(mean) or 1.0), dtype=np.float64)

    def _row_of_pairs(self, last: int) -> tuple[Integers, Integers, int]:
        start, end = self._pair_starts[last], self._pair_starts[last + 1]
        return self._pairs[start:end] % self._vocabulary.size, self._pair_counts[start:end], self._pair_totals[last]

    def _row_of_triples(self, older: int, last: int) -> tuple[Integers, Integers, int]:
        context = older * self._vocabulary.size + last
        place = int(np.searchsorted(self._pairs, context))
        if place == len(self._pairs) or self._pairs[place] != context:
            return _NONE, _NONE, 0
        start, end = self._triple_starts[place], self._triple_ends[place]
        return (
            self._triples[start:end] % self._vocabulary.size,
            self._triple_counts[start:end],
            self._triple_totals[place],
        )

    def _project(self) -> Floats:
        """Random indexing (Kanerva, 2000): a token's vector is the sum of random vectors of the tokens that follow."""
        size = self._vocabulary.size
        directions = np.random.default_rng(0).standard_normal((size, EMBEDDING_SIZE))
        vectors = np.zeros((size, EMBEDDING_SIZE))
        weights = np.log1p(self._pair_counts)[:, None]
        np.add.at(vectors, self._pairs // size, weights * directions[self._pairs % size])
        return vectors


_NONE: Integers = np.empty(0, dtype=np.int64)


def prompt_of(tokens: Sequence[int]) -> Prompt:
    """Return the prompt that consists of `tokens`."""
    followers: dict[int, list[int]] = {}
    for first, second in pairwise(tokens):
        followers.setdefault(first, []).append(second)
    return Prompt(tuple(tokens), {token: tuple(after) for token, after in followers.items()})


def _counted(keys: Integers) -> tuple[Integers, Integers]:
    found, counts = np.unique(keys, return_counts=True)
    return found, counts.astype(np.int64)


def _sums(counts: Integers, starts: Integers, ends: Integers) -> Integers:
    running = np.concatenate(([0], np.cumsum(counts)))
    return np.asarray(running[ends] - running[starts], dtype=np.int64)


def _looked_up(keys: Integers, counts: Integers, wanted: Integers) -> Integers:
    if not len(keys):
        return np.zeros(len(wanted), dtype=np.int64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, counts[place], 0)


def _witten_bell(lower: Floats, counts: Integers, totals: Integers, kinds: Integers) -> Floats:
    return np.where(totals > 0, (counts + kinds * lower) / np.maximum(totals + kinds, 1), lower)


def _interpolated(lower: Floats, tokens: Integers, counts: Integers, total: int) -> Floats:
    if not total:
        return lower
    kinds = len(tokens)
    found = lower * (kinds / (total + kinds))
    found[tokens] += counts / (total + kinds)
    return found
