"""What a decoder gives: rows to store and what was refused; and the pieces of rows that every signal shares.

Times are UTC nanoseconds; identities are bytes of a fixed length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from collector.columns import TIME

EARLIEST_NANOS = 946_684_800 * 10**9  # 2000-01-01: before it a clock was never set
FUTURE_NANOS = 24 * 3600 * 10**9
PROJECT = pa.field("project", pa.string())
TIME_FAULT = "time is before 2000 or more than a day ahead"

Mask: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Decoded:
    """Rows to store, and what was refused: reason -> count; `beside` holds rows of other tables, by table.

    `undated` names the tables in which a row took the time of its arrival, as it had none of its own: the same bytes
    again may be another event. `identify` gives the rows of the series of points, for the places of some rows.
    """

    rows: pa.Table
    refused: dict[str, int] = field(default_factory=dict)
    beside: dict[str, pa.Table] = field(default_factory=dict)
    undated: frozenset[str] = frozenset()
    identify: Callable[[np.ndarray[Any, np.dtype[np.int64]]], pa.Table] | None = None

    @property
    def rejected(self) -> int:
        return sum(self.refused.values())

    @property
    def items(self) -> int:
        """Everything that was sent: what is to be stored, in any table, and what was refused."""
        tables = (self.rows, *self.beside.values())
        return sum(len(rows) for rows in tables) + self.rejected


Bodies: TypeAlias = bytes | Sequence[bytes]
"""The body of one request, or the bodies of several that are decoded as if they were one."""

Decoder: TypeAlias = Callable[[Bodies, int], Decoded]


def without_faulty(columns: dict[str, pa.Array], faults: dict[str, Mask], schema: pa.Schema) -> Decoded:
    """The rows without a fault; a row with several is counted under the first."""
    bad = np.zeros(len(columns[schema.names[0]]), dtype=bool)
    refused: dict[str, Mask] = {}
    for reason, rows in faults.items():
        refused[reason] = rows & ~bad
        bad |= rows
    table = pa.table([columns[name] for name in schema.names], names=schema.names)
    if bad.any():
        table = table.filter(pa.array(~bad))
    return Decoded(table.cast(schema), counted(refused))


def of_project(rows: pa.Table, project: str) -> pa.Table:
    """The rows of a decoder as they are stored, see `stored_schema`: with whose they are, one value for all."""
    return rows.append_column(PROJECT, pa.repeat(pa.scalar(project), rows.num_rows))


def stored_schema(decoded: pa.Schema) -> pa.Schema:
    """What the journal and the store hold of rows that a decoder gives."""
    return decoded.append(PROJECT)


def counted(faults: dict[str, Mask]) -> dict[str, int]:
    """How many rows have each fault; faults that no row has are left out."""
    return {reason: int(rows.sum()) for reason, rows in faults.items() if rows.any()}


def out_of_time(nanos: pa.UInt64Array | np.ndarray[Any, np.dtype[np.uint64]], now_nanos: int) -> Mask:
    """Times before 2000, which a clock that was never set gives, and more than a day ahead."""
    values = nanos if isinstance(nanos, np.ndarray) else nanos.to_numpy(zero_copy_only=False)
    late: Mask = (values < EARLIEST_NANOS) | (values > now_nanos + FUTURE_NANOS)
    return late


def list_lengths(lists: pa.ListArray) -> np.ndarray[Any, np.dtype[np.int64]]:
    """How many elements each list has, where none is null."""
    lengths: np.ndarray[Any, np.dtype[np.int64]] = np.diff(lists.offsets.to_numpy()).astype(np.int64)
    return lengths


def is_identity(ids: pa.BinaryArray, length: int) -> Mask:
    """Identities of the right length that are not all zero."""
    return mask(pc.and_(pc.equal(pc.binary_length(ids), length), pc.not_equal(ids, bytes(length))))


def mask(values: pa.BooleanArray) -> Mask:
    """A boolean column without nulls, as numpy."""
    found: Mask = values.to_numpy(zero_copy_only=False)
    return found


def or_zeros(ids: pa.BinaryArray, length: int) -> pa.BinaryArray:
    """Identities, an absent one as zeros."""
    return pc.if_else(pc.equal(pc.binary_length(ids), 0), bytes(length), ids)


def exactly(ids: pa.BinaryArray, length: int) -> pa.FixedSizeBinaryArray:
    """Identities, one of another length as zeros."""
    return pc.if_else(pc.equal(pc.binary_length(ids), length), ids, bytes(length)).cast(pa.binary(length))


def as_time(nanos: pa.UInt64Array) -> pa.TimestampArray:
    """Nanoseconds of OTLP as timestamps."""
    return nanos.view(TIME)


def as_code(codes: pa.Int32Array) -> pa.UInt8Array:
    """Values of an enum in a byte; one that does not fit as 0."""
    return pc.if_else(pc.and_(pc.greater_equal(codes, 0), pc.less_equal(codes, 255)), codes, 0).cast(pa.uint8())
