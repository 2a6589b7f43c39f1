"""Records `andon.observations`: many rows in one, their columns packed into bytes; read as a whole, never row by row.

The layout is told in `docs/sdk.md`, "The packed form". A value costs at least one byte, and what a request may unfold
to is limited, so that few bytes cannot become many rows. A record with a fault is refused whole, and counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.attributes import KeyValues, columns_of, string_maps
from collector.columns import OBSERVATION_ATTRIBUTES, OBSERVATION_PREFIX, OBSERVATIONS_COUNT, SEGMENT_PREFIX
from collector.packed_column import MalformedError, PackedColumn
from collector.signals import (
    BAD_WEIGHT,
    Heads,
    Numbers,
    Signals,
    segments_of,
    signal_pairs,
    table_of,
    weights_of,
)

MAX_VALUES = 1_000_000
MAX_COLUMNS = 50_000
MAX_BYTES = 256 * 2**20
MAX_BYTES_PER_BYTE = 1024
_VALUE_BYTES = 96  # of a stored value, beside its texts
_ENTRY_BYTES = 16  # of one key and text of a segment, beside their letters

TOO_MUCH = f"packed records unfold to more than {MAX_VALUES} values or {MAX_BYTES >> 20} MiB in one request"
TOO_DENSE = f"a packed record unfolds to more than {MAX_BYTES_PER_BYTE} times its size"
TOO_MANY_COLUMNS = f"more than {MAX_COLUMNS} packed columns in one request"
BAD_COUNT = f"{OBSERVATIONS_COUNT} is not a whole number from 1 to {MAX_VALUES}"
NOT_PACKED = "a packed record with a signal that is not packed"
NO_COLUMN = "a packed record without a packed signal"

Contents = list[tuple[str, pa.Buffer]]


@dataclass(frozen=True)
class _Record:
    """One record: its rows, and its packed columns by name; `number` is its place in the request."""

    number: int
    rows: int
    signals: list[tuple[str, PackedColumn]]
    segments: list[tuple[str, PackedColumn]]


def read_packed(heads: Heads, attributes: pa.ListArray) -> tuple[pa.Table, dict[str, int]]:
    """The rows of packed records, and how many records were refused, by reason."""
    plain, contents = _parted(attributes)
    pairs = KeyValues(plain)
    weights, is_weighed = weights_of(pairs)
    typed = columns_of(pairs, OBSERVATION_ATTRIBUTES)
    all_packed = np.ones(pairs.rows, dtype=bool)
    all_packed[pairs.row_of_pair[signal_pairs(pairs, all_packed)]] = False
    counts = _counts(pairs)
    budget = _Budget(_said(heads, typed, pairs))
    records: list[_Record] = []
    refused: Counter[str] = Counter()
    for number, columns in enumerate(contents):
        try:
            if not is_weighed[number]:
                raise MalformedError(BAD_WEIGHT)
            if not all_packed[number]:
                raise MalformedError(NOT_PACKED)
            records.append(_opened(number, int(counts[number]), columns, budget))
        except MalformedError as fault:
            refused[str(fault)] += 1
    return table_of(heads, typed, weights, _signals(records, pairs)), dict(refused)


def _parted(attributes: pa.ListArray) -> tuple[pa.ListArray, list[Contents]]:
    """The pairs whose value is not bytes, and for each record its bytes by key."""
    pairs = attributes.flatten()
    record = pc.list_parent_indices(attributes).to_numpy(zero_copy_only=False).astype(np.int64)
    values = pairs.field("value").field("bytes_value")
    is_packed = values.is_valid().to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(np.bincount(record[~is_packed], minlength=len(attributes)))])
    plain = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pairs.filter(pa.array(~is_packed)))
    contents: list[Contents] = [[] for _ in range(len(attributes))]
    keys = pairs.field("key")
    # One more than allowed, so that the record that goes beyond is refused and the rest costs nothing.
    for place in np.flatnonzero(is_packed)[: MAX_COLUMNS + 1].tolist():
        contents[record[place]].append((keys[place].as_py(), values[place].as_buffer()))
    return plain, contents


def _counts(pairs: KeyValues) -> Numbers:
    """Rows of each record; 0 where it says nothing usable."""
    counts = np.zeros(pairs.rows, dtype=np.int64)
    where = np.flatnonzero(pairs.named(OBSERVATIONS_COUNT))
    said = pairs.values.field("int_value").take(pa.array(where)).fill_null(0)
    counts[pairs.row_of_pair[where]] = said.to_numpy(zero_copy_only=False)
    return counts


def _said(heads: Heads, typed: dict[str, pa.Array], pairs: KeyValues) -> Numbers:
    """Bytes of text that every value of a record repeats: its place, its names and its segment."""
    said = np.bincount(pairs.row_of_pair, weights=_lengths(pairs.keys) + _lengths(pairs.text), minlength=pairs.rows)
    for column in (heads.columns | typed).values():
        said += _lengths(column)
    return said


def _lengths(texts: pa.Array) -> Numbers:
    lengths: Numbers = pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)
    return lengths


class _Budget:
    """What the records of one request may still unfold to.

    Args:
        said: bytes of text that every value of a record repeats.
    """

    def __init__(self, said: Numbers) -> None:
        self._said = said
        self._values = MAX_VALUES
        self._bytes = MAX_BYTES
        self._columns = MAX_COLUMNS

    def open(self, columns: int) -> None:
        """Take columns out of the budget before they are looked at."""
        self._columns -= columns
        if self._columns < 0:
            raise MalformedError(TOO_MANY_COLUMNS)

    def spend(self, record: _Record, received: int) -> None:
        """Take a record's values out of the budget.

        Raises:
            MalformedError: it is too much, for its size or for one request.
        """
        repeated = int(self._said[record.number])
        values = record.rows * len(record.signals)
        in_segments = sum(
            column.text_bytes + record.rows * (len(key) + _ENTRY_BYTES) for key, column in record.segments
        )
        size = values * (_VALUE_BYTES + repeated) + in_segments * len(record.signals)
        size += sum(column.text_bytes + record.rows * len(name) for name, column in record.signals)
        if size > MAX_BYTES_PER_BYTE * (received + repeated):
            raise MalformedError(TOO_DENSE)
        if values > self._values or size > self._bytes:
            raise MalformedError(TOO_MUCH)
        self._values -= values
        self._bytes -= size


def _opened(number: int, rows: int, contents: Contents, budget: _Budget) -> _Record:
    """The record, checked and paid for; nothing of it is unfolded yet."""
    if not 1 <= rows <= MAX_VALUES:
        raise MalformedError(BAD_COUNT)
    budget.open(len(contents))
    record = _Record(number, rows, [], [])
    received = 0
    for key, content in contents:
        if key.startswith(OBSERVATION_PREFIX):
            is_segment = key.startswith(SEGMENT_PREFIX)
            name = key[len(SEGMENT_PREFIX if is_segment else OBSERVATION_PREFIX) :]
            (record.segments if is_segment else record.signals).append((name, PackedColumn(content, rows)))
            received += len(key) + content.size
    if not record.signals:
        raise MalformedError(NO_COLUMN)
    budget.spend(record, received)
    return record


def _signals(records: list[_Record], pairs: KeyValues) -> Signals:
    segments, first_segment = _segments(records, pairs)
    parts = [(record, name, *column.unfold()) for record in records for name, column in record.signals]
    counts = [len(rows) for _, _, rows, _, _ in parts]
    row = _joined([rows for _, _, rows, _, _ in parts])
    varies = np.repeat([bool(record.segments) for record, *_ in parts], counts).astype(bool)
    first = np.repeat([first_segment[record.number] for record, *_ in parts], counts)
    names = pa.array([name for _, name, *_ in parts], pa.string())
    return Signals(
        record=np.repeat([record.number for record, *_ in parts], counts).astype(np.int64),
        row=row,
        signal=names.take(pa.array(np.repeat(np.arange(len(parts)), counts))),
        number=pa.concat_arrays([pa.nulls(0, pa.float64()), *(number for *_, number, _ in parts)]),
        text=pa.concat_arrays([pa.nulls(0, pa.string()), *(text for *_, text in parts)]),
        segments=segments,
        segment=(first + row * varies).astype(np.int64),
    )


def _segments(records: list[_Record], pairs: KeyValues) -> tuple[pa.MapArray, dict[int, int]]:
    """String maps, and where those of each record begin: one for all its rows, or one for each where they differ."""
    of_record = segments_of(pairs)
    varying = [record for record in records if record.segments]
    first = {record.number: record.number for record in records}
    begin = len(of_record)
    maps = [of_record]
    for record in varying:
        first[record.number] = begin
        begin += record.rows
        maps.append(_own_segments(record, of_record))
    return pa.concat_arrays(maps), first


def _own_segments(record: _Record, of_record: pa.MapArray) -> pa.MapArray:
    same = of_record[record.number].as_py()
    every = np.arange(record.rows)
    rows, keys, texts = [], [], []
    for key, text in same:
        rows.append(every)
        keys.append(pa.repeat(key, record.rows))
        texts.append(pa.repeat(text, record.rows))
    for key, column in record.segments:
        known, text = column.unfold_as_text()
        rows.append(known)
        keys.append(pa.repeat(key, len(known)))
        texts.append(text)
    row = _joined(rows)
    order = np.argsort(row, kind="stable")
    place = pa.array(order)
    keep = np.ones(len(order), dtype=bool)
    return string_maps(
        row[order], pa.concat_arrays(keys).take(place), pa.concat_arrays(texts).take(place), keep, record.rows
    )


def _joined(parts: list[Numbers]) -> Numbers:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
