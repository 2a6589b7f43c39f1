"""Figures of an answer do not end in the digits of a division."""

from __future__ import annotations

from decimal import Context, Decimal
from typing import overload

# As many digits as the largest figure needs: quantize refuses what it cannot hold.
_WIDE = Context(prec=100)


@overload
def rounded(value: Decimal, places: int = 6) -> Decimal: ...


@overload
def rounded(value: None, places: int = 6) -> None: ...


@overload
def rounded(value: Decimal | None, places: int = 6) -> Decimal | None: ...


def rounded(value: Decimal | None, places: int = 6) -> Decimal | None:
    """The value to so many places; None stays unknown."""
    return None if value is None else value.quantize(Decimal(1).scaleb(-places), context=_WIDE)
