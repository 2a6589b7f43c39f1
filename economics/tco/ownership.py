"""What an hour of an accelerator costs that one owns, and from which use on it is cheaper than renting.

    $/GPU-h = [(capex - residual / (1+r)^n) x CRF(r, n) + fixed opex + kW x PUE x $/kWh x 8760] / 8760 / availability
    CRF(r, n) = r (1+r)^n / ((1+r)^n - 1)

Pure arithmetic in USD; inputs come from `terms`, results go to `compare` and `breakeven`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

HOURS_PER_YEAR = 8760
HOURS_PER_MONTH = 730
MONTHS_PER_YEAR = 12


def capital_recovery_factor(rate: Decimal, years: int) -> Decimal:
    """The yearly payment that pays one dollar back over `years` at `rate`; 1/n without interest."""
    if rate == 0:
        return 1 / Decimal(years)
    growth = (1 + rate) ** years
    return rate * growth / (growth - 1)


@dataclass(frozen=True)
class Ownership:
    """One owned accelerator.

    Args:
        capex_usd: price with its share of server, network, storage and racks.
        residual_share: of `capex_usd`, what it is sold for after `years`.
        rate: what capital costs, a year.
        maintenance_share: of `capex_usd`, each year.
        hosting_usd_per_year: rent of a place by its provisioned kW.
        staff_usd_per_year, software_usd_per_year: per accelerator.
        kw: average draw while it serves, of its share of the host, without facility overhead.
        pue: facility energy over IT energy.
        availability: share of the hours in which it can serve.
    """

    capex_usd: Decimal
    residual_share: Decimal
    rate: Decimal
    years: int
    maintenance_share: Decimal
    hosting_usd_per_year: Decimal
    staff_usd_per_year: Decimal
    software_usd_per_year: Decimal
    kw: Decimal
    pue: Decimal
    usd_per_kwh: Decimal
    availability: Decimal

    @property
    def residual_usd(self) -> Decimal:
        return self.capex_usd * self.residual_share

    @property
    def capital_usd_per_year(self) -> Decimal:
        """Price less what it is sold for, as equal payments at the end of each year."""
        present = self.capex_usd - self.residual_usd / (1 + self.rate) ** self.years
        return present * capital_recovery_factor(self.rate, self.years)

    @property
    def running_usd_per_year(self) -> Decimal:
        """What is paid every year whether it serves or not, without capital."""
        maintenance = self.maintenance_share * self.capex_usd
        return maintenance + self.hosting_usd_per_year + self.staff_usd_per_year + self.software_usd_per_year

    @property
    def fixed_usd_per_year(self) -> Decimal:
        return self.capital_usd_per_year + self.running_usd_per_year

    @property
    def variable_usd_per_hour(self) -> Decimal:
        """Energy of one hour of serving."""
        return self.kw * self.pue * self.usd_per_kwh

    @property
    def usd_per_gpu_hour(self) -> Decimal:
        """Of an hour in which it can serve, when it serves in all of them."""
        yearly = self.fixed_usd_per_year + self.variable_usd_per_hour * HOURS_PER_YEAR
        return yearly / HOURS_PER_YEAR / self.availability


def break_even_utilisation(
    fixed_usd_per_year: Decimal, variable_usd_per_hour: Decimal, rent_usd_per_hour: Decimal
) -> Decimal | None:
    """Share of a year's hours in use from which owning is cheaper: fixed / (8760 (rent - variable)).

    Above 1 owning never pays; None when an hour's energy alone costs as much as renting it.
    """
    saved = rent_usd_per_hour - variable_usd_per_hour
    return fixed_usd_per_year / (HOURS_PER_YEAR * saved) if saved > 0 else None


def break_even_tokens_per_month(
    fixed_usd_per_month: Decimal, api_usd_per_mtok: Decimal, variable_usd_per_mtok: Decimal
) -> Decimal | None:
    """Tokens a month from which owning is cheaper than the API: 1e6 fixed / (api - variable); None when never."""
    saved = api_usd_per_mtok - variable_usd_per_mtok
    return Decimal(10**6) * fixed_usd_per_month / saved if saved > 0 else None
