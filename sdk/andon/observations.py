"""What a model was given and what it answered, held as columns until the background thread makes rows of it.

Made by `observe` on the host's thread, which only checks lengths and copies lists; values are looked at later, by
`rows`, on the SDK's thread.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, TypeAlias

from opentelemetry.trace import SpanContext

from andon import attributes
from andon.notices import warn_once

Value: TypeAlias = str | int | float | bool

_INT64_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Observation:
    """One call of `observe`: `count` rows.

    Attributes:
        constants: values by attribute name, the same in every row.
        columns: lists of `count` values by attribute name.
        timestamp_ns: UTC nanoseconds.
    """

    count: int
    constants: Mapping[str, object]
    columns: Mapping[str, list[Any]]
    timestamp_ns: int
    span_context: SpanContext

    def rows(self) -> list[dict[str, Value]]:
        """Return the attributes of each row; what is unknown (None, NaN) is absent."""
        return list(self._rows())

    def _rows(self) -> Iterator[dict[str, Value]]:
        constants = dict(_known(self.constants.items()))
        names = list(self.columns)
        if not names:
            yield constants
            return
        for values in zip(*self.columns.values(), strict=True):
            yield {**constants, **dict(_known(zip(names, values, strict=True)))}


def _known(pairs: Any) -> Iterator[tuple[str, Value]]:
    for name, value in pairs:
        checked = attribute_value(name, value)
        if checked is not None:
            yield name, checked


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
