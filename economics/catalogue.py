"""What exporters call their metrics, and which canonical quantity each is: `signals.json`, read and checked.

The data names sources, quantities and signals; this file gives them types and refuses data that contradicts itself.
`economics/growth.py` makes SQL of it, `docs/engines.md` a table.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from economics.spellings import spellings, underscored


class CatalogueError(ValueError):
    """`signals.json` says something that cannot be; the message names the entry and what is allowed."""


class Form(StrEnum):
    """How a quantity adds up over time."""

    GROWTH = "growth"  # a sum of what came to be
    LEVEL = "level"  # a value that holds for a while: value times seconds adds up
    DISTRIBUTION = "distribution"  # events with a size each: their count, the sum of sizes, buckets


class Kind(StrEnum):
    """The kind of data that a signal arrives as; a name that arrives as another kind is another signal."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Take(StrEnum):
    """Which value of the data is taken."""

    GROWTH = "growth"  # how much a counter grew
    SUM = "sum"  # how much the sum of a histogram grew
    COUNT = "count"  # how much the count of a histogram grew
    DISTRIBUTION = "distribution"  # growth of count, sum and buckets
    LEVEL = "level"  # the value as it stands
    INTEGRAL = "integral"  # value times seconds, as growth: watts become joules


_FORM_OF = {Take.LEVEL: Form.LEVEL, Take.DISTRIBUTION: Form.DISTRIBUTION}
_KINDS_OF = {
    Take.GROWTH: {Kind.COUNTER},
    Take.LEVEL: {Kind.GAUGE, Kind.COUNTER},
    Take.INTEGRAL: {Kind.GAUGE},
}


@dataclass(frozen=True)
class Quantity:
    """A canonical quantity. `adds`: whether the levels of two accelerators or engines are added, or averaged."""

    id: str
    unit: str
    form: Form
    what: str
    adds: bool = True


@dataclass(frozen=True)
class Vantage:
    """Who saw it. Within one value of the `scope` columns only the members of lowest precedence count."""

    name: str
    who: str
    scope: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """An exporter, and the labels in which it names things; the first label that is there holds."""

    id: str
    name: str
    vantage: str
    model: tuple[str, ...] = ()
    accelerator: tuple[str, ...] = ()
    index: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()


@dataclass(frozen=True)
class Signal:
    """One metric as one canonical quantity.

    Args:
        metric: its name as the source exposes it; `names` are all its spellings.
        scale: what its value is multiplied by; `units` holds other factors, for points that name their unit.
        precedence: of members that count the same, those with the lowest number count.
        part, part_labels: which part of the quantity it is, or the label that says so, in its spellings.
        only: the spellings of a label, and its values; other series are something else.
        skip: label and prefix; series whose label begins so are already in another.
        repeated: labels that tell copies of one number apart (ranks, MIG instances): one copy counts.
        ratio_or_percent: a value above 1 is a percentage.
    """

    source: Source
    vantage: str
    metric: str
    names: tuple[str, ...]
    kind: Kind
    take: Take
    quantity: Quantity
    scale: float
    units: Mapping[str, float]
    precedence: int
    part: str = ""
    part_labels: tuple[str, ...] = ()
    only: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = ()
    skip: tuple[str, str] = ("", "")
    repeated: tuple[str, ...] = ()
    ratio_or_percent: bool = False


@dataclass(frozen=True)
class Catalogue:
    """All that is understood."""

    version: int
    taken: str
    quantities: Mapping[str, Quantity]
    vantages: Mapping[str, Vantage]
    sources: Mapping[str, Source]
    signals: tuple[Signal, ...]
    left_out: Mapping[tuple[str, str], str]

    def named(self, metrics: Iterable[str]) -> tuple[Signal, ...]:
        """The signals that go by one of these names."""
        wanted = set(metrics)
        return tuple(signal for signal in self.signals if not wanted.isdisjoint(signal.names))

    @property
    def names(self) -> frozenset[str]:
        """Every spelling of every signal."""
        return frozenset(name for signal in self.signals for name in signal.names)

    def parts(self, source: str, quantity: str, precedence: int) -> frozenset[str]:
        """The parts that only together are the quantity, by the data; empty where it comes in one piece."""
        return frozenset(
            signal.part
            for signal in self.signals
            if (signal.source.id, signal.quantity.id, signal.precedence) == (source, quantity, precedence)
            and signal.part
        )


@cache
def catalogue() -> Catalogue:
    """The catalogue that comes with this version."""
    return parse(json.loads(files("economics").joinpath("signals.json").read_text(encoding="utf-8")))


def parse(data: Mapping[str, Any]) -> Catalogue:
    """A catalogue from the parsed JSON.

    Raises:
        CatalogueError: an entry names what is not there, or two signals claim one name.
    """
    quantities = {
        name: Quantity(name, entry["unit"], Form(entry["form"]), entry["what"], entry.get("adds", True))
        for name, entry in data["quantities"].items()
    }
    vantages = {name: Vantage(name, entry["who"], tuple(entry["scope"])) for name, entry in data["vantages"].items()}
    sources = {name: _source(name, entry, vantages) for name, entry in data["sources"].items()}
    signals = [_signal(entry, sources, quantities, vantages, data["units"]) for entry in data["signals"]]
    for name, entry in data["sources"].items():
        if "like" in entry:
            signals += _alike(sources[name], sources[entry["like"]], entry["prefix"], signals)
    _refuse_ambiguous(signals)
    return Catalogue(
        version=data["version"],
        taken=data["taken"],
        quantities=quantities,
        vantages=vantages,
        sources={
            name: replace(sources[entry["like"]], id=name, name=entry["name"]) if "like" in entry else sources[name]
            for name, entry in data["sources"].items()
        },
        signals=tuple(signals),
        left_out={(entry["source"], entry["metric"]): entry["reason"] for entry in data["left_out"]},
    )


def _source(name: str, entry: Mapping[str, Any], vantages: Mapping[str, Vantage]) -> Source:
    _known("sources", name, "vantage", entry["vantage"], vantages)
    labels = {key: underscored(entry.get(key, ())) for key in ("model", "accelerator", "index", "host", "repeated")}
    return Source(name, entry["name"], entry["vantage"], **labels)


def _signal(
    entry: Mapping[str, Any],
    sources: Mapping[str, Source],
    quantities: Mapping[str, Quantity],
    vantages: Mapping[str, Vantage],
    units: Mapping[str, Mapping[str, float]],
) -> Signal:
    metric = entry["metric"]
    _known("signals", metric, "source", entry["source"], sources)
    _known("signals", metric, "quantity", entry["quantity"], quantities)
    source, quantity = sources[entry["source"]], quantities[entry["quantity"]]
    vantage = entry.get("vantage", source.vantage)
    _known("signals", metric, "vantage", vantage, vantages)
    kind, take = Kind(entry["kind"]), Take(entry["take"])
    if _FORM_OF.get(take, Form.GROWTH) is not quantity.form:
        raise CatalogueError(f"{metric}: take = {take} does not give {quantity.id}, which is a {quantity.form}")
    allowed = _KINDS_OF.get(take, {Kind.HISTOGRAM})
    if kind not in allowed:
        raise CatalogueError(f"{metric}: take = {take} cannot be had of a {kind}, only of {', '.join(sorted(allowed))}")
    scale = float(entry.get("scale", 1))
    if scale <= 0:
        raise CatalogueError(f"{metric}: scale = {scale} must be above 0")
    skip = entry.get("skip", {})
    return Signal(
        source=source,
        vantage=vantage,
        metric=metric,
        names=spellings(metric, kind is Kind.COUNTER, entry["unit"], entry.get("also", ())),
        kind=kind,
        take=take,
        quantity=quantity,
        scale=scale,
        # Of a level in watts that is taken as joules, the sender's unit is still one of watts.
        units=units.get("W" if take is Take.INTEGRAL else quantity.unit, {}),
        precedence=entry["precedence"],
        part=entry.get("part", ""),
        part_labels=underscored([entry["part_label"]] if "part_label" in entry else ()),
        only=tuple((underscored([label]), tuple(values)) for label, values in entry.get("only", {}).items()),
        skip=(skip["label"], skip["prefix"]) if skip else ("", ""),
        repeated=underscored(entry.get("repeated", source.repeated)),
        ratio_or_percent=entry.get("ratio_or_percent", False),
    )


def _alike(source: Source, like: Source, prefix: str, signals: Iterable[Signal]) -> Iterator[Signal]:
    """The signals of an exporter that puts a prefix before those of another."""
    own = replace(like, id=source.id, name=source.name)
    for signal in tuple(signals):
        if signal.source is like:
            yield replace(signal, source=own, names=tuple(prefix + name for name in signal.names))


def _known(where: str, name: str, field: str, value: str, allowed: Mapping[str, object]) -> None:
    if value not in allowed:
        raise CatalogueError(f"{where}: {name}: {field} = {value!r} is not one of {', '.join(allowed)}")


def _refuse_ambiguous(signals: Iterable[Signal]) -> None:
    claimed: dict[tuple[str, Kind], Signal] = {}
    for signal in signals:
        for name in signal.names:
            other = claimed.setdefault((name, signal.kind), signal)
            if (other.source.id, other.metric) != (signal.source.id, signal.metric):
                raise CatalogueError(
                    f"signals: {name!r} as a {signal.kind} is claimed by {other.source.id} ({other.metric}) "
                    f"and by {signal.source.id} ({signal.metric})"
                )
