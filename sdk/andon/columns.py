"""Columns as hosts hold them, each with its library's own fast way to pick rows and to copy itself into packed bytes.

Made by `containers`, which recognises them; `observe` picks and cuts rows and packs what is left. Values do not pass
through Python objects where the library holds numbers.
"""

import sys
from array import array
from collections.abc import Sequence
from typing import Any, Protocol

from andon.observations import Packed, Unpacked
from andon.packing import pack_booleans, pack_entries, pack_float64, pack_uniform


class Column(Protocol):
    """Values of one name, one for each row."""

    def __len__(self) -> int: ...

    def take(self, rows: "array[int]") -> "Column":
        """The values of some rows."""
        ...

    def cut(self, start: int, end: int) -> "Column":
        """The values of the rows start … end - 1."""
        ...

    def pack(self, name: str) -> Packed:
        """A copy that the host can no longer change."""
        ...


class Listed:
    """A sequence of any values that nobody else changes."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def take(self, rows: "array[int]") -> Column:
        return Listed(list(map(self._values.__getitem__, rows)))

    def cut(self, start: int, end: int) -> Column:
        return Listed(self._values[start:end])

    def pack(self, name: str) -> Packed:
        kinds = set(map(type, self._values))
        packed = pack_uniform(name, self._values, kinds)
        return Unpacked.of(list(self._values), kinds) if packed is None else packed


class Numpy:
    """A numpy array of one dimension, of numbers or booleans."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def take(self, rows: "array[int]") -> Column:
        return Numpy(self._values.take(rows))

    def cut(self, start: int, end: int) -> Column:
        return Numpy(self._values[start:end])

    def pack(self, name: str) -> Packed:
        if self._values.dtype.kind == "b":
            return pack_booleans((self._values.astype("u1") + 1).tobytes())
        numbers = self._values.astype("<f8", copy=False)
        if hasattr(numbers, "filled"):  # a masked array
            numbers = numbers.filled(float("nan"))
        return pack_float64(numbers.tobytes())


class PandasTexts:
    """A pandas Series or Index of texts or categories."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def take(self, rows: "array[int]") -> Column:
        return PandasTexts(self._values.take(rows))

    def cut(self, start: int, end: int) -> Column:
        return PandasTexts(getattr(self._values, "iloc", self._values)[start:end])

    def pack(self, name: str) -> Packed:
        codes, entries = self._values.factorize()
        return pack_entries(name, list(entries), codes.tolist())


class ArrowTexts:
    """An Arrow array of texts, dictionary-encoded or not."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def take(self, rows: "array[int]") -> Column:
        return Listed(self._values.to_pylist()).take(rows)

    def cut(self, start: int, end: int) -> Column:
        return ArrowTexts(self._values.slice(start, end - start))

    def pack(self, name: str) -> Packed:
        values = self._values.combine_chunks() if hasattr(self._values, "combine_chunks") else self._values
        encoded = values if hasattr(values, "dictionary") else _encoded(values)
        if encoded is None:
            return Listed(values.to_pylist()).pack(name)
        codes = encoded.indices
        # Without nulls the buffer protocol serves; with nulls numpy would turn the codes into floats.
        codes = [-1 if code is None else code for code in codes.to_pylist()] if codes.null_count else codes.tolist()
        return pack_entries(name, encoded.dictionary.to_pylist(), codes)


class Polars:
    """A polars Series that is read as a list: texts, booleans, objects."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def take(self, rows: "array[int]") -> Column:
        return Polars(self._values.gather(rows.tolist()))

    def cut(self, start: int, end: int) -> Column:
        return Polars(self._values.slice(start, end - start))

    def pack(self, name: str) -> Packed:
        return Listed(self._values.to_list()).pack(name)


class Nothing:
    """A column of a type that no detector can use; only its length counts."""

    def __init__(self, rows: int) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return self._rows

    def take(self, rows: "array[int]") -> Column:
        return Nothing(len(rows))

    def cut(self, start: int, end: int) -> Column:
        return Nothing(end - start)

    def pack(self, name: str) -> Packed:
        return pack_booleans(bytes(self._rows))


def _encoded(values: Any) -> Any | None:
    # Loading the compute functions takes longer than reading one column as a list.
    return values.dictionary_encode() if "pyarrow.compute" in sys.modules else None
