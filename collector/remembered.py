"""Hashes of what comes again and again, remembered by its bytes: it is opened once, and never while it is remembered.

Used for the attributes, resources, scopes and names of metrics, whose hashes make the name of a series.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.series import Hashes

MOST_BYTES: Final = 64 * 2**20
_ENTRY_BYTES: Final = 160  # of an entry, beside its bytes
_LONG: Final = 2**12  # longer ones are not remembered


class Remembered:
    """The hashes that `compute` gives, of distinct bytes. Thread-safe, as what is forgotten is computed again.

    Args:
        most: bytes of memory, about; beyond it everything is forgotten.
    """

    def __init__(self, compute: Callable[[pa.BinaryArray], Hashes], most: int = MOST_BYTES) -> None:
        self._compute = compute
        self._most = most
        self._known: dict[bytes, int] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._known)

    def of(self, values: pa.BinaryArray) -> Hashes:
        """One hash for each value.

        Raises:
            ValueError: what `compute` raises of values that are seen for the first time.
        """
        encoded = pc.dictionary_encode(values)
        distinct = encoded.dictionary.to_pylist()
        known = self._known
        found = [known.get(value) for value in distinct]
        missing = [place for place, name in enumerate(found) if name is None]
        if missing:
            fresh = self._compute(encoded.dictionary.take(pa.array(missing, pa.int32())))
            for place, name in zip(missing, fresh.tolist(), strict=True):
                found[place] = name
            self._remember({distinct[place]: name for place, name in zip(missing, fresh.tolist(), strict=True)})
        of_each: Hashes = np.array(found, np.uint64)[encoded.indices.to_numpy(zero_copy_only=False)]
        return of_each

    def _remember(self, fresh: dict[bytes, int]) -> None:
        short = {value: name for value, name in fresh.items() if len(value) <= _LONG}
        size = sum(map(len, short)) + _ENTRY_BYTES * len(short)
        if self._bytes + size > self._most:
            self._known, self._bytes = {}, 0
        if size <= self._most:
            self._known.update(short)
            self._bytes += size
