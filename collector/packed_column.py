"""One packed column of observations: bytes that are checked first, and unfolded only when the request may.

The layout is told in `docs/sdk.md`, "The packed form". Checking looks at views of the bytes that were received;
nothing is allocated that is larger than a small multiple of them.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NUMBERS = 1
DICTIONARY = 2
_HEAD = struct.Struct("<BBII")
_FIRST_ENTRY = 3  # 0 unknown, 1 false, 2 true

BAD_LENGTH = "a packed column's length does not fit its head and the row count"
BAD_ENCODING = "a packed column has an encoding that this version does not know"
BAD_INDEX = "a packed column points outside its dictionary"
BAD_TEXT = "a packed column's text is not UTF-8"

Numbers = np.ndarray[Any, Any]


class MalformedError(ValueError):
    """A packed record that cannot be stored; the message is one of a fixed few, since refusals are counted by it."""


class PackedColumn:
    """A column of `rows` values, checked.

    Attributes:
        text_bytes: what the texts of all rows take together.

    Raises:
        MalformedError: the bytes are not such a column.
    """

    def __init__(self, content: pa.Buffer, rows: int) -> None:
        self.text_bytes = 0
        encoding = content[0] if content.size else None
        if encoding == NUMBERS:
            if content.size != 1 + 8 * rows:
                raise MalformedError(BAD_LENGTH)
            self._entries = np.frombuffer(content, "<f8", rows, 1)
            self._indices: Numbers | None = None
        elif encoding == DICTIONARY:
            self._open_dictionary(content, rows)
        else:
            raise MalformedError(BAD_ENCODING)

    def _open_dictionary(self, content: pa.Buffer, rows: int) -> None:
        if content.size < _HEAD.size:
            raise MalformedError(BAD_LENGTH)
        _, width, numbers, texts = _HEAD.unpack(content.slice(0, _HEAD.size))
        if width not in {1, 2, 4}:
            raise MalformedError(BAD_ENCODING)
        lengths_at = _HEAD.size + 8 * numbers
        texts_at = lengths_at + 4 * texts
        text_bytes = content.size - texts_at - width * rows
        if text_bytes < 0:
            raise MalformedError(BAD_LENGTH)
        lengths = np.frombuffer(content, "<u4", texts, lengths_at).astype(np.int64)
        if int(lengths.sum()) != text_bytes:
            raise MalformedError(BAD_LENGTH)
        self._entries = np.frombuffer(content, "<f8", numbers, _HEAD.size)
        self._indices = np.frombuffer(content, f"<u{width}", rows, texts_at + text_bytes)
        if rows and int(self._indices.max()) >= _FIRST_ENTRY + numbers + texts:
            raise MalformedError(BAD_INDEX)
        self._texts = _texts(content.slice(texts_at, text_bytes), lengths)
        of_index = np.concatenate([[0, 5, 4], np.zeros(numbers, np.int64), lengths])
        self.text_bytes = int(of_index[self._indices].sum())

    def unfold(self) -> tuple[Numbers, pa.DoubleArray, pa.StringArray]:
        """The rows whose value is known, and for each its number or else its text."""
        if self._indices is None:
            rows = np.flatnonzero(~np.isnan(self._entries))
            return rows, pa.array(self._entries[rows]), pa.nulls(len(rows), pa.string())
        unknown, texts = np.full(_FIRST_ENTRY, np.nan), np.full(len(self._texts), np.nan)
        numbers = np.concatenate([unknown, self._entries, texts])
        names = pa.concat_arrays(
            [pa.array([None, "false", "true"]), pa.nulls(len(self._entries), pa.string()), self._texts]
        )
        is_known = ~np.isnan(numbers) | names.is_valid().to_numpy(zero_copy_only=False)
        rows = np.flatnonzero(is_known[self._indices])
        indices = self._indices[rows]
        number = numbers[indices]
        return rows, pa.array(number, mask=np.isnan(number)), names.take(pa.array(indices))

    def unfold_as_text(self) -> tuple[Numbers, pa.StringArray]:
        """The rows whose value is known, and the text of each."""
        rows, number, text = self.unfold()
        return rows, pc.coalesce(text, number.cast(pa.string()))


def _texts(content: pa.Buffer, lengths: Numbers) -> pa.StringArray:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    texts = pa.StringArray.from_buffers(len(lengths), pa.py_buffer(offsets), content)
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        raise MalformedError(BAD_TEXT) from None
    return texts
