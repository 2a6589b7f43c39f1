"""What a model was given and what it answered: one row, or rows as packed columns, on the way to the background thread.

Made by `observe` on the host's thread, queued, and turned into one log record by the sender: single values are looked
at there, by the rules of `attribute_value`.
"""

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from numbers import Integral, Real
from sys import getsizeof
from typing import Any, TypeAlias

from opentelemetry.trace import SpanContext

from andon import attributes
from andon.notices import warn_once

Value: TypeAlias = str | int | float | bool

_INT64_MAX = 2**63 - 1
_SMALL = {float, int, bool, str, type(None)}
_SMALL_BYTES = 32


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A column whose packing is left to the background, since it takes a look at each value.

    Attributes:
        size_bytes: memory that the list and its values take.
    """

    values: list[Any]
    size_bytes: int

    @property
    def packed_bytes(self) -> int:
        """About what it takes packed: an object takes some four times the place of a number or a short text."""
        return self.size_bytes // 4

    @classmethod
    def of(cls, values: list[Any], kinds: Set[type]) -> "Unpacked":
        """Return `values`, whose types are `kinds`, with what they take."""
        if kinds <= _SMALL:
            inside = _SMALL_BYTES * len(values)
            if str in kinds:
                inside += sum(map(getsizeof, [value for value in values if type(value) is str]))
        else:
            inside = sum(map(getsizeof, values))
        return cls(values, getsizeof(values) + inside)


Packed: TypeAlias = bytes | Unpacked


@dataclass(frozen=True, slots=True)
class Observation:
    """One log record: a row (without columns), or `count` rows.

    Attributes:
        constants: values by attribute name, the same in every row.
        columns: for each attribute name `count` values.
        timestamp_ns: UTC nanoseconds of the first row; each further row counts as one nanosecond later.
        size_bytes: memory that it takes while it waits.
    """

    count: int
    constants: Mapping[str, object]
    columns: Mapping[str, Packed]
    timestamp_ns: int
    span_context: SpanContext
    size_bytes: int

    def known_constants(self) -> dict[str, Value]:
        """Return the constants as attributes; what is unknown (None, NaN) is absent."""
        checked = ((name, attribute_value(name, value)) for name, value in self.constants.items())
        return {name: value for name, value in checked if value is not None}


def attribute_value(name: str, value: object) -> Value | None:
    """Return `value` as an attribute can carry it; None when it is unknown or of no type that a detector can use.

    Numbers of other libraries (numpy, Decimal, Fraction) become int or float, an integer beyond 64 bits a float. A
    segment is text, whatever it was.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return valid_text(value)
    if hasattr(value, "item") and not isinstance(value, Real):
        value = value.item()  # numpy's bool and string scalars
    if name.startswith(attributes.OBSERVATION_SEGMENT):
        return valid_text(str(value))
    if isinstance(value, bool | str):
        return value
    if isinstance(value, Integral) and abs(int(value)) <= _INT64_MAX:
        return int(value)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        warn_once(
            f"observe.type.{name}",
            "andon.observe: %s=%r is left out; allowed: a number, a text, True, False, or None for unknown",
            name,
            value,
        )
        return None
    return None if math.isnan(number) else number


def valid_text(text: str) -> str:
    """Return `text` with what UTF-8 cannot say (lone surrogates) replaced, since one such text would fail its batch."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text
