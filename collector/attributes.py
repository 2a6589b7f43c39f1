"""Key-value lists of OTLP, as Arrow: to string maps, and to the typed columns that `collector.columns` names.

Everything works on whole columns; only array and kvlist values, which are rare and repeat, are read one by one.

Text of a value: strings as they are, integers in decimal, doubles in their shortest form, `true`/`false`, bytes in
base64, arrays and kvlists as JSON, and the empty string for a value that is not set.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from collector.columns import TypedColumn, ValueKind

LARGEST_COUNT = 2**62
KEPT_BYTES = 1024
_DIGITS = r"^[0-9]{1,18}$"


class KeyValues:
    """A list column of OTLP KeyValue, opened: `rows` lists holding `len(keys)` pairs."""

    def __init__(self, lists: pa.ListArray) -> None:
        self.rows = len(lists)
        pairs = lists.flatten()
        self.keys: pa.StringArray = pairs.field("key")
        self.values: pa.StructArray = pairs.field("value")
        self.row_of_pair = pc.list_parent_indices(lists).to_numpy(zero_copy_only=False).astype(np.int64)
        self.text = value_text(self.values)
        encoded = pc.dictionary_encode(self.keys)
        self._key_names: list[str] = encoded.dictionary.to_pylist()
        self._key_ids = encoded.indices.to_numpy(zero_copy_only=False)
        self._used = np.zeros(len(self.keys), dtype=bool)

    def pick(self, column: TypedColumn) -> pa.Array:
        """Values of a typed column, one per row; null (or '' for text) where no spelling is present and usable."""
        pair_of_row = self._pair_of_row(column.spellings)
        if not (pair_of_row >= 0).any():
            return (
                pa.array([""] * self.rows) if column.kind is ValueKind.TEXT else pa.nulls(self.rows, column.kind.value)
            )
        where = pa.array(pair_of_row, mask=pair_of_row < 0)
        if column.kind is ValueKind.TEXT:
            picked = self.text.take(where)
        elif column.kind is ValueKind.COUNT:
            picked = _as_count(self.values, where)
        else:
            picked = _as_seconds(self.values, where)
        usable = picked.is_valid().to_numpy(zero_copy_only=False)
        self._used[pair_of_row[usable]] = True
        return picked.fill_null("") if column.kind is ValueKind.TEXT else picked

    def told(self, key: str, meanings: Mapping[str, str]) -> pa.StringArray:
        """What the text of `key` means, one per row; null where it is absent or means nothing here. Takes nothing."""
        pair_of_row = self._pair_of_row((key,))
        said = self.text.take(pa.array(pair_of_row, mask=pair_of_row < 0))
        return pa.array(list(meanings.values())).take(pc.index_in(said, value_set=pa.array(list(meanings))))

    def has(self, key: str) -> bool:
        """Whether any row holds `key`."""
        return key in self._key_names

    def _pair_of_row(self, spellings: Sequence[str]) -> np.ndarray[Any, Any]:
        """The pair that holds the first spelling that a row has, -1 where it has none."""
        pair_of_row = np.full(self.rows, -1, dtype=np.int64)
        for spelling in reversed(spellings):
            if self.has(spelling):
                pairs = np.flatnonzero(self._key_ids == self._key_names.index(spelling))
                pair_of_row[self.row_of_pair[pairs]] = pairs
        return pair_of_row

    def drop(self, pairs: np.ndarray[Any, Any]) -> None:
        """Take pairs (a boolean mask over all pairs) out of what `rest` returns."""
        self._used |= pairs

    def having_prefix(self, prefix: str) -> np.ndarray[Any, Any]:
        """A boolean mask over the pairs whose key starts with `prefix`."""
        named = np.array([name.startswith(prefix) for name in self._key_names], dtype=bool)
        return named[self._key_ids] if len(named) else np.zeros(0, dtype=bool)

    def named(self, key: str) -> np.ndarray[Any, Any]:
        """A boolean mask over the pairs whose key is `key`."""
        is_it = np.array([name == key for name in self._key_names], dtype=bool)
        return is_it[self._key_ids] if len(is_it) else np.zeros(0, dtype=bool)

    def rest(self) -> pa.MapArray:
        """The pairs that filled no typed column, as one string map per row."""
        return string_maps(self.row_of_pair, self.keys, self.text, ~self._used, self.rows)


def string_maps(
    row_of_pair: np.ndarray[Any, Any],
    keys: pa.StringArray,
    texts: pa.StringArray,
    keep: np.ndarray[Any, Any],
    rows: int,
) -> pa.MapArray:
    """One string map per row from the pairs marked in `keep`."""
    counts = np.bincount(row_of_pair[keep], minlength=rows)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    mask = pa.array(keep)
    return pa.MapArray.from_arrays(pa.array(offsets), keys.filter(mask), texts.filter(mask))


def value_text(values: pa.StructArray) -> pa.StringArray:
    """The text of each AnyValue."""
    text = pc.coalesce(
        values.field("string_value"),
        values.field("int_value").cast(pa.string()),
        values.field("double_value").cast(pa.string()),
        pc.if_else(values.field("bool_value"), "true", "false"),
    )
    if text.null_count:
        text = _fill_nested(text, values)
    return text


def _fill_nested(text: pa.StringArray, values: pa.StructArray) -> pa.StringArray:
    places = np.flatnonzero(text.is_null().to_numpy(zero_copy_only=False))
    filled = [_nested_text(value) for value in values.take(pa.array(places)).to_pylist()]
    mask = np.zeros(len(text), dtype=bool)
    mask[places] = True
    return pc.replace_with_mask(text, pa.array(mask), pa.array(filled, pa.string()))


def _nested_text(value: dict[str, Any] | None) -> str:
    if value is None:
        return ""
    if value["bytes_value"] is not None:
        return base64.b64encode(value["bytes_value"]).decode()
    for kind, text_of in (("array_value", _array_text), ("kvlist_value", _kvlist_text)):
        if value[kind] is not None:
            items = tuple(_as_bytes(item) for item in value[kind]["values"])
            # Short values repeat and are kept; long ones would fill the memory.
            keep = sum(map(len, items)) <= KEPT_BYTES
            return text_of(items) if keep else text_of.__wrapped__(items)
    return ""


def _as_bytes(item: bytes | dict[str, Any]) -> bytes:
    """An element as its protobuf bytes. A message is left as bytes where it recurs: below an attribute that is each
    pair of a kvlist, below the body of a log record it is the pair's value."""
    if isinstance(item, bytes):
        return item
    pair: bytes = KeyValue(key=item["key"], value=AnyValue.FromString(item["value"] or b"")).SerializeToString()
    return pair


@lru_cache(maxsize=4096)
def _array_text(items: tuple[bytes, ...]) -> str:
    return as_json([plain(AnyValue.FromString(item)) for item in items])


@lru_cache(maxsize=4096)
def _kvlist_text(items: tuple[bytes, ...]) -> str:
    pairs = (KeyValue.FromString(item) for item in items)
    return as_json({pair.key: plain(pair.value) for pair in pairs})


def as_json(value: object) -> str:
    """Compact JSON; characters outside ASCII stay readable."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def plain(value: AnyValue) -> Any:
    """An AnyValue as what JSON can hold: bytes in base64, NaN and infinities as text."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind == "double_value" and not math.isfinite(value.double_value):
        return str(value.double_value)
    return None if kind is None else getattr(value, kind)


def _as_count(values: pa.StructArray, where: pa.Array) -> pa.Int64Array:
    """Non-negative whole numbers; doubles and digit strings that are whole numbers count, anything else is null."""
    whole = values.field("int_value").take(where)
    doubles = values.field("double_value").take(where)
    if doubles.null_count < len(doubles):
        is_whole = pc.and_(pc.equal(doubles, pc.floor(doubles)), pc.less(pc.abs(doubles), float(LARGEST_COUNT)))
        whole = pc.coalesce(whole, pc.if_else(is_whole, doubles, None).cast(pa.int64()))
    if values.field("string_value").take(where).null_count < len(where):
        strings = values.field("string_value").take(where)
        digits = pc.if_else(pc.match_substring_regex(strings, _DIGITS), strings, None)
        whole = pc.coalesce(whole, digits.cast(pa.int64()))
    in_range = pc.and_(pc.greater_equal(whole, 0), pc.less_equal(whole, LARGEST_COUNT))
    return pc.if_else(in_range, whole, None)


def _as_seconds(values: pa.StructArray, where: pa.Array) -> pa.DoubleArray:
    """Finite, non-negative seconds from a double or an integer; anything else is null."""
    seconds = pc.coalesce(
        values.field("double_value").take(where), values.field("int_value").take(where).cast(pa.float64(), safe=False)
    )
    return pc.if_else(pc.and_(pc.is_finite(seconds), pc.greater_equal(seconds, 0.0)), seconds, None)


def regroup(lists: pa.ListArray, elements: pa.Array) -> pa.ListArray:
    """A list column shaped as `lists` that holds `elements`, one per element of `lists`."""
    counts = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), elements)


def columns_of(pairs: KeyValues, columns: Sequence[TypedColumn]) -> dict[str, pa.Array]:
    """Every typed column of `columns`, by name."""
    return {column.name: pairs.pick(column) for column in columns}
