"""A value that is not known exactly: lowest, likeliest and highest. Written as one number where it is known.

Money follows the likeliest in `Decimal`; the simulation draws PERT or triangular between the ends.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

LARGEST = Decimal(10**12)
Distribution = Literal["pert", "triangular"]
Floats = NDArray[np.float64]


class Spread(BaseModel):
    """low <= likely <= high, in the unit of the field that holds it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: Decimal
    likely: Decimal
    high: Decimal

    @model_validator(mode="after")
    def _in_order(self) -> Spread:
        if not self.low <= self.likely <= self.high:
            raise ValueError(f"low = {self.low}, likely = {self.likely}, high = {self.high} must rise in this order")
        if max(abs(self.low), abs(self.high)) > LARGEST:
            raise ValueError(f"{self.high} is beyond {LARGEST}")
        return self

    @classmethod
    def sure(cls, value: Decimal | int | str) -> Spread:
        """A value that is known."""
        known = Decimal(value)
        return cls(low=known, likely=known, high=known)

    @classmethod
    def between(cls, low: Decimal, high: Decimal) -> Spread:
        """Two ends of which nothing more is known: the middle is taken as likeliest."""
        return cls(low=low, likely=(low + high) / 2, high=high)

    @property
    def known(self) -> bool:
        return self.low == self.high

    def times(self, factor: Decimal) -> Spread:
        """All three times a factor that is not negative."""
        return Spread(low=self.low * factor, likely=self.likely * factor, high=self.high * factor)

    def draw(self, random: np.random.Generator, count: int, distribution: Distribution) -> Floats:
        """`count` independent draws.

        PERT is the beta distribution over [low, high] with shapes 1 + 4 (likely - low) / (high - low) and
        1 + 4 (high - likely) / (high - low) (Malcolm et al., 1959); its mean is (low + 4 likely + high) / 6.
        """
        low, likely, high = float(self.low), float(self.likely), float(self.high)
        if low == high:
            return np.full(count, low)
        if distribution == "triangular":
            return random.triangular(low, likely, high, count)
        width = high - low
        return low + width * random.beta(1 + 4 * (likely - low) / width, 1 + 4 * (high - likely) / width, count)


def _widened(given: object) -> object:
    if isinstance(given, bool) or not isinstance(given, int | float | str | Decimal):
        return given
    try:
        number = Decimal(str(given))
    except InvalidOperation:
        raise ValueError("write a number, or a range {low = 1, likely = 2, high = 4}") from None
    if not number.is_finite():
        raise ValueError("write a finite number")
    return Spread.sure(number)


Uncertain = Annotated[Spread, BeforeValidator(_widened, json_schema_input_type=Decimal | Spread)]
"""A field that takes one number, or a table of low, likely and high."""
