"""The demo's documents and the search over them.

Texts of `demo.texts` are indexed once; questions of the support pipeline find passages here, ranked by BM25 (Robertson
& Zaragoza, 2009).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from demo.texts import Text

_WORD = re.compile(r"[a-z]{3,}")
_SATURATION = 1.2
_LENGTH_WEIGHT = 0.75


class NoPassageError(LookupError):
    """No document holds any word of the question."""


class Library:
    """Documents that can be searched."""

    def __init__(self, documents: Sequence[Text]) -> None:
        """Index `documents`, of which there is at least one."""
        self.documents = tuple(documents)
        lengths: list[int] = []
        postings: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, document in enumerate(self.documents):
            counts = Counter(_WORD.findall(document.body.lower()))
            lengths.append(sum(counts.values()))
            for word, count in counts.items():
                postings[word].append((number, count))
        relative = np.asarray(lengths, dtype=np.float64) / max(1.0, float(np.mean(lengths)))
        self._weights = {word: _bm25(found, relative) for word, found in postings.items()}

    def search(self, question: str) -> list[Text]:
        """Return the documents that hold a word of `question`, best first.

        Raises:
            NoPassageError: there is none.
        """
        scores = np.zeros(len(self.documents))
        for word in set(_WORD.findall(question.lower())):
            if word in self._weights:
                numbers, weights = self._weights[word]
                scores[numbers] += weights
        found = int(np.count_nonzero(scores))
        if not found:
            raise NoPassageError(f"no document holds any word of {question!r}")
        return [self.documents[number] for number in np.argsort(-scores, kind="stable")[:found]]


def _bm25(
    found: Sequence[tuple[int, int]], relative_length: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    numbers = np.asarray([number for number, _ in found], dtype=np.int64)
    counts = np.asarray([count for _, count in found], dtype=np.float64)
    rarity = np.log1p((len(relative_length) - len(found) + 0.5) / (len(found) + 0.5))
    length = 1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * relative_length[numbers]
    return numbers, rarity * counts * (_SATURATION + 1) / (counts + _SATURATION * length)
