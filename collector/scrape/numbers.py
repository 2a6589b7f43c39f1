"""The numbers of an exposition: values, and times in the unit of each format, all lines of a scrape at once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, TypeAlias

import numpy as np

from collector.scrape.answer import Format

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Nanos: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]
Bools: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

_LATEST_SECONDS: Final = 18e9  # what 64 bits of nanoseconds hold


def numbers_of(texts: list[str], kind: Format) -> tuple[Floats, Nanos | None, Bools]:
    """What stands behind names and labels: values, times (0 for none) where any is told, and which are neither."""
    none = np.zeros(len(texts), dtype=bool)
    try:
        # What Python takes for a number is more than the formats do: underscores, and digits of other scripts.
        joined = "".join(texts)
        if "_" not in joined and joined.isascii():
            return np.array(list(map(float, texts)), np.float64), None, none
    except ValueError:
        pass
    values, nanos = np.zeros(len(texts)), np.zeros(len(texts), np.uint64)
    for place, text in enumerate(texts):
        value, *time = text.split() or [""]
        try:
            values[place] = number_of(value)
            if time:
                (nanos[place],) = (nanos_of(told, kind) for told in time)
        except ValueError:
            none[place] = True
    return values, nanos if nanos.any() else None, none


def number_of(text: str) -> float:
    """A value of the formats.

    Raises:
        ValueError: it is none.
    """
    if "_" in text or not text.isascii():
        raise ValueError(text)
    return float(text)


def nanos_of(text: str, kind: Format) -> int:
    """A time of the format, milliseconds in text and seconds in OpenMetrics; what is before 1970 becomes 1 ns after.

    Raises:
        ValueError: it is none, or none that 64 bits of nanoseconds hold.
    """
    units = 1000 if kind is Format.TEXT else 1
    if not abs(number_of(text)) / units < _LATEST_SECONDS:
        raise ValueError(text)
    return max(1, int(text) * 10**6 if kind is Format.TEXT else int(Decimal(text) * 10**9))
