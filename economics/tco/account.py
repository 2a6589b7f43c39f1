"""Keeps account of the inputs of a case while they are taken one by one: where each came from, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from economics.tco.case import Assumption, Missing, ScenarioError
from economics.tco.egress import Tariff
from economics.tco.facts import FactBook, FactError
from economics.tco.origin import STALE_DAYS, Origin
from economics.tco.scenario import OptionName, Scenario
from economics.tco.spread import Spread

YOURS = Origin("your scenario", "", "yours")
UNSET = Origin("not set: as it stands in docs/tco.md", "", "assumption")


class Account:
    """Inputs by the name of their field, with their origins."""

    def __init__(
        self, scenario: Scenario, facts: FactBook, now: datetime, origins: Mapping[str, Origin] | None = None
    ) -> None:
        self.scenario = scenario
        self.facts = facts
        self.now = now
        self._origins = origins or {}
        self.spreads: dict[str, Spread] = {}
        self.assumptions: list[Assumption] = []
        self.missing: list[Missing] = []

    def assume(self, name: str, value: object, unit: str, origin: Origin) -> None:
        """Note an input."""
        age = origin.age_days(self.now)
        stale = age is not None and age > STALE_DAYS
        text = value if isinstance(value, str) else _spelt(value)
        self.assumptions.append(
            Assumption(name, text, unit, origin.source, origin.as_of, origin.confidence, origin.note, stale)
        )

    def miss(self, option: str, what: str, fix: str, *, blocks: bool) -> None:
        """Note what is not known."""
        self.missing.append(Missing(option, what, fix, blocks))

    def given(self, name: str, spread: Spread, unit: str, origin: Origin | None = None) -> None:
        """An input that is known, from a fact or, without `origin`, from the scenario."""
        self.spreads[name] = spread
        self.assume(name, spread, unit, origin or self._origin(name))

    def plain(self, name: str, value: object, unit: str) -> None:
        """Note an input that is no spread."""
        self.assume(name, value, unit, self._origin(name))

    def take(self, name: str, spread: Spread | None, default: str, unit: str) -> None:
        """An input of the scenario, or the default of the facts."""
        if spread is not None:
            self.given(name, spread, unit)
        else:
            fact = self.facts.defaults[default]
            self.given(name, Spread.sure(fact.value), unit, fact.origin)

    def default(self, name: str, value: int | None, default: str, unit: str) -> Decimal:
        """A plain number of the scenario, or the default of the facts."""
        fact = self.facts.defaults[default]
        chosen = fact.value if value is None else Decimal(value)
        self.assume(name, chosen, unit, fact.origin if value is None else self._origin(name))
        return chosen

    def tariff(
        self, option: OptionName, name: str | None, own: Decimal | None, provider: str | None, what: str
    ) -> Tariff | None:
        """The tariff by which bytes of an option leave: a price of its own, a named one, or that of its provider."""
        if own is not None:
            self.plain(f"{option}.egress_usd_per_gb", own, "USD/GB")
            return Tariff.flat("own price", own)
        if name is None and provider is not None:
            name = next((known for known in self.facts.egress if known.lower() == provider.lower()), None)
        if name is None:
            fix = f"set {option}.egress (a tariff) or {option}.egress_usd_per_gb (0 when it costs nothing)"
            self.miss(option, f"egress of {what} is not in the cost", fix, blocks=False)
            return None
        try:
            tariff = self.facts.tariff(name)
        except FactError as error:
            raise ScenarioError(f"{option}.egress", name, f"{error}; or set {option}.egress_usd_per_gb") from None
        if tariff.origin is not None:
            text = ", ".join(f"{tier.usd_per_gb} from {tier.from_gb} GB" for tier in tariff.tiers)
            self.assume(f"{option}.egress", f"{tariff.name}: {text}", "USD/GB", tariff.origin)
        return tariff

    def speed(self, option: OptionName, speed: Spread | None) -> bool:
        """Take the speed of one accelerator; False when it is not known."""
        if speed is None:
            fix = f"set {option}.output_tokens_per_second, measured on this workload at the SLO"
            self.miss(option, "the tokens per second of one accelerator", fix, blocks=True)
            return False
        self.given(f"{option}.output_tokens_per_second", speed, "tok/s")
        return True

    def _origin(self, name: str) -> Origin:
        """Who set a field of the scenario."""
        if name in self._origins:
            return self._origins[name]
        part: object = self.scenario
        for step in name.split("."):
            if part is None or step not in getattr(part, "model_fields_set", ()):
                return UNSET
            part = getattr(part, step)
        return YOURS


def _spelt(value: object) -> str:
    if isinstance(value, Spread) and not value.known:
        return f"{plain(value.low)} / {plain(value.likely)} / {plain(value.high)}"
    return plain(value.likely if isinstance(value, Spread) else Decimal(str(value)))


def plain(value: Decimal) -> str:
    """A number without exponent or needless digits."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return text or "0"
