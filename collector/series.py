"""The 64-bit name of a time series: the same for every point of it, whichever request, order or process it comes from.

Values derived from it are stored, so its arithmetic never changes. Texts are hashed with BLAKE2b; key-value pairs are
mixed by the finaliser of splitmix64 and added up, so that the order in which a sender lists them does not matter.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.attributes import KeyValues

Hashes: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)


def of_texts(texts: pa.StringArray) -> Hashes:
    """The first eight bytes, little-endian, of each text's BLAKE2b; every distinct text is hashed once."""
    encoded = pc.dictionary_encode(texts)
    distinct = [blake2b(text, digest_size=8).digest() for text in encoded.dictionary.cast(pa.binary()).to_pylist()]
    hashes = np.frombuffer(b"".join(distinct), dtype="<u8").astype(np.uint64)
    of_each: Hashes = hashes[encoded.indices.to_numpy(zero_copy_only=False)]
    return of_each


def of_pairs(pairs: KeyValues) -> Hashes:
    """One hash per row, of all its pairs in any order."""
    return of_text_pairs(pairs.keys, pairs.text, np.bincount(pairs.row_of_pair, minlength=pairs.rows))


def of_text_pairs(keys: pa.StringArray, texts: pa.StringArray, counts: np.ndarray[Any, Any]) -> Hashes:
    """One hash per row, of its `counts` many pairs in any order; the pairs of the rows follow each other."""
    return of_pair_hashes(combined(of_texts(keys), of_texts(texts)), counts)


def of_pair_hashes(each: Hashes, counts: np.ndarray[Any, Any]) -> Hashes:
    """One hash per row, of its `counts` many pairs, each hashed already."""
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(each, dtype=np.uint64)])
    ends = np.cumsum(counts)
    upto = sums[ends]
    of_each: Hashes = np.diff(upto, prepend=np.uint64(0)).astype(np.uint64)
    return of_each


def combined(*parts: Hashes) -> Hashes:
    """One hash of several, in their order."""
    result = np.zeros(len(parts[0]), dtype=np.uint64)
    for part in parts:
        result = _mixed(result + _GOLDEN + part)
    return result


def _mixed(values: Hashes) -> Hashes:
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    return values ^ (values >> np.uint64(31))
