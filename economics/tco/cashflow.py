"""Yearly flows of money, judged: present value, payback, internal rate of return.

Flow 0 is today, flow k comes after k years. Pure arithmetic in USD; flows come from `compare`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

_CLOSE = Decimal("1e-12")
_LOWEST, _HIGHEST = Decimal("-0.9999"), Decimal(10**6)


def npv(flows: Sequence[Decimal], rate: Decimal) -> Decimal:
    """Net present value: sum of flow_k / (1 + rate)^k."""
    return sum((flow / (1 + rate) ** year for year, flow in enumerate(flows)), Decimal(0))


def payback_years(flows: Sequence[Decimal], rate: Decimal = Decimal(0)) -> Decimal | None:
    """When the discounted sum of the flows first stops being negative; within a year money comes in evenly.

    None when it never does within the flows; 0 when nothing is invested. With `rate` it is the discounted payback.
    """
    total = flows[0]
    if total >= 0:
        return Decimal(0)
    for year, flow in enumerate(flows[1:], start=1):
        worth = flow / (1 + rate) ** year
        if total + worth >= 0:
            return year - 1 + -total / worth
        total += worth
    return None


def irr(flows: Sequence[Decimal]) -> Decimal | None:
    """The rate at which `npv` is 0; None when there is none or more than one (the flows change sign not just once)."""
    signs = [flow > 0 for flow in flows if flow != 0]
    if sum(a != b for a, b in pairwise(signs)) != 1:
        return None
    low, high = _LOWEST, _HIGHEST
    rising = npv(flows, low) < 0
    if rising == (npv(flows, high) < 0):
        return None
    while high - low > _CLOSE * (1 + abs(low)):
        middle = (low + high) / 2
        if (npv(flows, middle) < 0) == rising:
            low = middle
        else:
            high = middle
    return (low + high) / 2


@dataclass(frozen=True)
class Returns:
    """An investment judged by its flows against a baseline. None is: not defined, or never.

    Attributes:
        benefit_cost_ratio: present value of what later years save over the investment.
        roi: (savings - investment) / investment: benefit_cost_ratio - 1.
    """

    investment_usd: Decimal
    npv_usd: Decimal
    irr: Decimal | None
    payback_months: Decimal | None
    discounted_payback_months: Decimal | None
    benefit_cost_ratio: Decimal | None
    roi: Decimal | None


def judge_flows(flows: Sequence[Decimal], rate: Decimal) -> Returns:
    """Judge flows of savings; the investment is the negative of flow 0."""
    invested = -flows[0]
    value = npv(flows, rate)
    ratio = (value + invested) / invested if invested > 0 else None
    simple, discounted = payback_years(flows), payback_years(flows, rate)
    return Returns(
        investment_usd=invested,
        npv_usd=value,
        irr=irr(flows),
        payback_months=None if simple is None else simple * 12,
        discounted_payback_months=None if discounted is None else discounted * 12,
        benefit_cost_ratio=ratio,
        roi=None if ratio is None else ratio - 1,
    )
