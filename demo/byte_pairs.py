"""A byte-pair vocabulary: how the demo's model cuts text into tokens.

Learned from word counts, as in Sennrich, Haddow & Birch, "Neural Machine Translation of Rare Words with Subword Units"
(ACL 2016), over bytes, so that every text has tokens and the tokens give the text back.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise

BYTES = 256
_WORDS = re.compile(r" ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+")
_REMEMBERED_WORDS = 50_000

Pair = tuple[int, int]


class BytePairs:
    """A vocabulary: the 256 bytes, and one more token for each merge of two earlier ones."""

    def __init__(self, merges: Sequence[Pair]) -> None:
        self._rank = {pair: rank for rank, pair in enumerate(merges)}
        self._pieces = [bytes([value]) for value in range(BYTES)]
        for first, second in merges:
            self._pieces.append(self._pieces[first] + self._pieces[second])
        self._known: dict[str, tuple[int, ...]] = {}

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return len(self._pieces)

    def encode(self, text: str) -> list[int]:
        """Return the tokens of `text`, numbers below `size`; lone surrogates count as a question mark."""
        tokens: list[int] = []
        for word in _WORDS.findall(text):
            known = self._known.get(word)
            tokens.extend(known if known is not None else self._learn(word))
        return tokens

    def piece(self, token: int) -> bytes:
        """Return the bytes that one token stands for; part of a character, perhaps."""
        return self._pieces[token]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of `tokens`."""
        return b"".join(self._pieces[token] for token in tokens).decode("utf-8", "replace")

    def _learn(self, word: str) -> tuple[int, ...]:
        tokens = list(word.encode("utf-8", "replace"))
        while len(tokens) > 1:
            best = min(pairwise(tokens), key=lambda pair: self._rank.get(pair, len(self._rank)))
            if best not in self._rank:
                break
            tokens = _merged(tokens, best, BYTES + self._rank[best])
        if len(self._known) < _REMEMBERED_WORDS:
            self._known[word] = tuple(tokens)
        return tuple(tokens)


def learn_byte_pairs(texts: Iterable[str], merges: int) -> BytePairs:
    """Learn a vocabulary of `BYTES + merges` tokens; fewer when the texts repeat too little.

    Each merge takes the pair of neighbours that stands together most often, of equals the lowest pair.
    """
    counts = Counter(word for text in texts for word in _WORDS.findall(text))
    words = [(list(word.encode("utf-8", "replace")), count) for word, count in counts.items() if count > 1]
    frequency: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)
    for index, (tokens, count) in enumerate(words):
        for pair in pairwise(tokens):
            frequency[pair] += count
            where[pair].add(index)
    waiting = [(-count, pair) for pair, count in frequency.items()]
    heapify(waiting)
    learned: list[Pair] = []
    while len(learned) < merges and waiting:
        promised, best = heappop(waiting)
        now = frequency[best]
        if now != -promised:
            # Earlier merges took some of its places; it waits again with what is left.
            if now > 1:
                heappush(waiting, (-now, best))
            continue
        if now < 2:
            break
        changed: set[Pair] = set()
        for index in where.pop(best):
            tokens, count = words[index]
            for pair in pairwise(tokens):
                frequency[pair] -= count
            tokens = _merged(tokens, best, BYTES + len(learned))
            words[index] = (tokens, count)
            for pair in pairwise(tokens):
                frequency[pair] += count
                where[pair].add(index)
                changed.add(pair)
        for pair in changed:
            heappush(waiting, (-frequency[pair], pair))
        learned.append(best)
    return BytePairs(learned)


def _merged(tokens: list[int], pair: Pair, merged: int) -> list[int]:
    result: list[int] = []
    index = 0
    while index < len(tokens):
        if index + 1 < len(tokens) and (tokens[index], tokens[index + 1]) == pair:
            result.append(merged)
            index += 2
        else:
            result.append(tokens[index])
            index += 1
    return result
