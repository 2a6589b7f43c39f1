"""The packed form of observations, read one value at a time: slow, obvious, and what the collector must agree with."""

from __future__ import annotations

import math
import struct
from typing import Any

COUNT = "andon.observations.count"


def rows_of(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """The attributes of each row that a packed record stands for; unknown values are absent."""
    count = attributes[COUNT]
    constants = {name: value for name, value in attributes.items() if not isinstance(value, bytes) and name != COUNT}
    columns = {name: values_of(value, count) for name, value in attributes.items() if isinstance(value, bytes)}
    return [
        constants | {name: values[row] for name, values in columns.items() if values[row] is not None}
        for row in range(count)
    ]


def values_of(column: bytes, count: int) -> list[float | str | bool | None]:
    """The values of one packed column."""
    if column[0] == 1:
        assert len(column) == 1 + 8 * count
        return [None if math.isnan(number) else number for number in struct.unpack_from(f"<{count}d", column, 1)]
    assert column[0] == 2
    _, width, numbers, texts = struct.unpack_from("<BBII", column)
    at = struct.calcsize("<BBII")
    entries: list[float | str | bool | None] = [None, False, True, *struct.unpack_from(f"<{numbers}d", column, at)]
    at += 8 * numbers
    lengths = struct.unpack_from(f"<{texts}I", column, at)
    at += 4 * texts
    for length in lengths:
        entries.append(column[at : at + length].decode())
        at += length
    assert len(column) == at + width * count
    return [entries[index] for index in struct.unpack_from(f"<{count}{ {1: 'B', 2: 'H', 4: 'I'}[width] }", column, at)]
