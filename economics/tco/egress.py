"""Price of bytes that leave a cloud: tiers that add up over a month, each byte at the price of the tier it falls in.

GB are 10^9 bytes. What lies beyond the last known tier has no known price.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from economics.tco.origin import Origin
from economics.tco.spread import Floats

BYTES_PER_GB = Decimal(10**9)


@dataclass(frozen=True)
class Tier:
    """USD per GB from `from_gb` up to `to_gb` of a month; None: without end."""

    from_gb: Decimal
    to_gb: Decimal | None
    usd_per_gb: Decimal


@dataclass(frozen=True)
class Tariff:
    """Tiers without holes, rising from 0. `origin` None: a price of the user's own."""

    name: str
    tiers: tuple[Tier, ...]
    origin: Origin | None = None

    @classmethod
    def flat(cls, name: str, usd_per_gb: Decimal) -> Tariff:
        """One price for every GB."""
        return cls(name, (Tier(Decimal(0), None, usd_per_gb),))

    def usd(self, month_gb: Decimal) -> Decimal | None:
        """What a month's GB cost, USD; None beyond the last tier that is known."""
        end = self.tiers[-1].to_gb
        if end is not None and month_gb > end:
            return None
        return sum(
            (
                (min(month_gb, tier.to_gb if tier.to_gb is not None else month_gb) - tier.from_gb) * tier.usd_per_gb
                for tier in self.tiers
                if month_gb > tier.from_gb
            ),
            Decimal(0),
        )

    def usd_of(self, month_gb: Floats) -> Floats:
        """The same for many months at once; the last tier that is known goes on without end."""
        usd = np.zeros_like(month_gb)
        for tier in self.tiers:
            end = np.inf if tier is self.tiers[-1] or tier.to_gb is None else float(tier.to_gb)
            usd += np.clip(month_gb - float(tier.from_gb), 0, end - float(tier.from_gb)) * float(tier.usd_per_gb)
        return usd


def gigabytes(tokens: Decimal, bytes_per_token: Decimal) -> Decimal:
    """GB of so many tokens."""
    return tokens * bytes_per_token / BYTES_PER_GB
