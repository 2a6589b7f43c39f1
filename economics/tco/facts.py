"""Prices and other facts that a scenario may leave to us: `facts.json`, read and checked.

Every fact keeps its source, date and confidence to the answer that rests on it; one older than 90 days is marked there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

from economics.tco.egress import Tariff, Tier
from economics.tco.origin import Origin
from economics.tco.spread import Spread


class FactError(ValueError):
    """A fact that is not known by that name; the message names it and those that are."""


@dataclass(frozen=True)
class Rent:
    """What one provider asks for one accelerator, USD an hour."""

    provider: str
    sku: str
    kind: str
    usd_per_gpu_hour: Decimal
    origin: Origin


@dataclass(frozen=True)
class Accelerator:
    """One accelerator as it is bought and rented; None is unknown.

    Args:
        provisioned_kw: utility power that is provisioned for one, its share of host and facility included.
        purchase_usd: price of a bare one.
    """

    name: str
    aliases: tuple[str, ...]
    provisioned_kw: Decimal | None
    provisioned_origin: Origin | None
    purchase_usd: Spread | None
    purchase_origin: Origin | None
    rent: tuple[Rent, ...]


@dataclass(frozen=True)
class Power:
    """Price of electricity, or the power usage effectiveness of a kind of facility."""

    region: str
    usd_per_kwh: Decimal | None
    pue: Spread | None
    origin: Origin


@dataclass(frozen=True)
class Default:
    """A value that is assumed where a scenario gives none."""

    name: str
    value: Decimal
    origin: Origin


@dataclass(frozen=True)
class FactBook:
    """All facts."""

    version: int
    taken: str
    accelerators: tuple[Accelerator, ...]
    egress: Mapping[str, Tariff]
    power: tuple[Power, ...]
    bytes_per_output_token: Mapping[str, tuple[Decimal, Origin]]
    defaults: Mapping[str, Default]

    def accelerator(self, name: str) -> Accelerator:
        """By its name or an alias, without regard to case.

        Raises:
            FactError: there is none.
        """
        wanted = name.lower()
        for each in self.accelerators:
            if wanted in (each.name.lower(), *(alias.lower() for alias in each.aliases)):
                return each
        raise FactError(_unknown("accelerator", name, (each.aliases[0] for each in self.accelerators)))

    def same_accelerator(self, one: str, other: str) -> bool:
        """Whether two names mean one accelerator; names that are not known only when they are alike."""
        try:
            return self.accelerator(one) is self.accelerator(other)
        except FactError:
            return one.lower() == other.lower()

    def rent(self, accelerator: str, provider: str, kind: str) -> Rent:
        """The first price of that kind.

        Raises:
            FactError: there is none.
        """
        offers = self.accelerator(accelerator).rent
        for offer in offers:
            if (offer.provider.lower(), offer.kind) == (provider.lower(), kind):
                return offer
        known = (f"{offer.provider} ({offer.kind})" for offer in offers if not offer.kind.startswith("tco_"))
        raise FactError(_unknown(f"{kind} price of {accelerator} at", provider, known))

    def tariff(self, name: str) -> Tariff:
        """An egress tariff.

        Raises:
            FactError: there is none.
        """
        for known, tariff in self.egress.items():
            if known.lower() == name.lower():
                return tariff
        raise FactError(_unknown("egress tariff", name, self.egress))

    def power_of(self, region: str) -> Power:
        """Electricity or facility of a region.

        Raises:
            FactError: there is none.
        """
        for power in self.power:
            if power.region.lower() == region.lower():
                return power
        raise FactError(_unknown("power", region, (power.region for power in self.power)))


@cache
def fact_book() -> FactBook:
    """The facts that come with this version."""
    return parse(json.loads(files("economics.tco").joinpath("facts.json").read_text(encoding="utf-8")))


def parse(data: Mapping[str, Any]) -> FactBook:
    """A book from the parsed JSON."""
    return FactBook(
        version=data["version"],
        taken=data["taken"],
        accelerators=tuple(_accelerator(entry) for entry in data["accelerators"]),
        egress={entry["name"]: _tariff(entry) for entry in data["egress"]},
        power=tuple(_power(entry) for entry in data["power"]),
        bytes_per_output_token={
            entry["name"]: (Decimal(entry["bytes_per_output_token"]), _origin(entry)) for entry in data["traffic"]
        },
        defaults={
            entry["name"]: Default(entry["name"], Decimal(entry["value"]), _origin(entry)) for entry in data["defaults"]
        },
    )


def _origin(entry: Mapping[str, Any]) -> Origin:
    return Origin(entry["source"], entry["as_of"], entry["confidence"], entry.get("note", ""))


def _accelerator(entry: Mapping[str, Any]) -> Accelerator:
    power, purchase = entry.get("provisioned_kw"), entry.get("purchase_usd")
    return Accelerator(
        name=entry["name"],
        aliases=tuple(entry["aliases"]),
        provisioned_kw=Decimal(power["value"]) if power else None,
        provisioned_origin=_origin(power) if power else None,
        purchase_usd=Spread.between(Decimal(purchase["low"]), Decimal(purchase["high"])) if purchase else None,
        purchase_origin=_origin(purchase) if purchase else None,
        rent=tuple(
            Rent(each["provider"], each["sku"], each["kind"], Decimal(each["usd_per_gpu_hour"]), _origin(each))
            for each in entry["rent"]
        ),
    )


def _tariff(entry: Mapping[str, Any]) -> Tariff:
    tiers: Sequence[Mapping[str, Any]] = entry["tiers"]
    # A tariff is as old and as sure as its least sure tier, and its note belongs to all of it.
    worst = min(tiers, key=lambda tier: ("low", "medium", "high").index(tier["confidence"]))
    return Tariff(
        entry["name"],
        tuple(
            Tier(
                Decimal(tier["from_gb"]),
                None if tier["to_gb"] is None else Decimal(tier["to_gb"]),
                Decimal(tier["usd_per_gb"]),
            )
            for tier in tiers
        ),
        _origin(worst),
    )


def _power(entry: Mapping[str, Any]) -> Power:
    price, pue = entry.get("usd_per_kwh"), entry.get("pue")
    likely = None if pue is None else Decimal(pue)
    return Power(
        region=entry["region"],
        usd_per_kwh=None if price is None else Decimal(price),
        pue=None
        if likely is None
        else Spread(
            low=Decimal(entry.get("pue_low", likely)), likely=likely, high=Decimal(entry.get("pue_high", likely))
        ),
        origin=_origin(entry),
    )


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    listed = ", ".join(dict.fromkeys(known)) or "none"
    return f"no {what} {name!r} is known; there are: {listed}"
