"""Which metric a sample belongs to, and which part of it: by the types that the target declares and the name's ending.

Both formats spread one histogram or summary over several names; one name may also be declared with several types, and
then each keeps its own samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from collector.columns import MetricKind


class Part(Enum):
    """What a sample tells of its metric."""

    VALUE = "value"
    BUCKET = "le"
    QUANTILE = "quantile"
    SUM = "sum"
    COUNT = "count"
    CREATED = "created"


@dataclass(frozen=True, eq=False)
class Family:
    """A metric as it is stored. `Families` makes each once, so that they are compared by identity, which is quick."""

    name: str
    unit: str
    kind: MetricKind
    temporality: str
    monotonic: bool


_CUMULATIVE: Final = "cumulative"
_STORED: Final = {
    "counter": (MetricKind.SUM, _CUMULATIVE, True),
    "histogram": (MetricKind.HISTOGRAM, _CUMULATIVE, False),
    # Its buckets hold what is there now; OTLP has no word for that.
    "gaugehistogram": (MetricKind.HISTOGRAM, "unspecified", False),
    "summary": (MetricKind.SUMMARY, "", False),
}
_GAUGE: Final = (MetricKind.GAUGE, "", False)
_ENDINGS: Final = {
    "_bucket": (Part.BUCKET, ("histogram", "gaugehistogram")),
    "_sum": (Part.SUM, ("histogram", "summary")),
    "_count": (Part.COUNT, ("histogram", "summary")),
    "_gsum": (Part.SUM, ("gaugehistogram",)),
    "_gcount": (Part.COUNT, ("gaugehistogram",)),
    "_total": (Part.VALUE, ("counter",)),
    "_info": (Part.VALUE, ("info",)),
}
_WITH_START: Final = ("counter", "histogram", "summary")


class Families:
    """The metrics that one scrape declares.

    Args:
        types, units: by the name they were declared for.
    """

    def __init__(self, types: Mapping[str, tuple[str, ...]], units: Mapping[str, str]) -> None:
        self._types = types
        self._units = units
        self._known: dict[str, tuple[Family, Part]] = {}
        self._made: dict[tuple[str, str], Family] = {}

    def of(self, name: str) -> tuple[Family, Part]:
        """The metric of a sample, and which part of it the sample is."""
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._told(name)
        return found

    def started(self, name: str) -> list[Family]:
        """The metrics of which `name`, which ends in `_created`, may be the start; none for any other name."""
        if not name.endswith("_created"):
            return []
        base = name.removesuffix("_created")
        found = [
            self._family(f"{base}_total" if each == "counter" else base, base, each)
            for each in self._types.get(base, ())
            if each in _WITH_START
        ]
        if "counter" in self._types.get(f"{base}_total", ()):
            found.append(self._family(f"{base}_total", f"{base}_total", "counter"))
        return found

    def _told(self, name: str) -> tuple[Family, Part]:
        for ending, (part, types) in _ENDINGS.items():
            base = name.removesuffix(ending)
            declared = () if base == name else self._types.get(base, ())
            for each in types:
                if each in declared and not self._is_value(name):
                    return self._family(name if part is Part.VALUE else base, base, each), part
        for each in self._types.get(name, ()):
            if each == "summary":
                return self._family(name, name, each), Part.QUANTILE
            if each in {"counter", "gauge", "untyped", "unknown", "info", "stateset"}:
                return self._family(name, name, each), Part.VALUE
        return self._family(name, name, "untyped"), Part.VALUE

    def _is_value(self, name: str) -> bool:
        """Whether the name is declared as it stands; that says more than its ending."""
        return any(each not in {"histogram", "gaugehistogram", "summary"} for each in self._types.get(name, ()))

    def _family(self, name: str, declared: str, type_: str) -> Family:
        family = Family(name, self._units.get(declared, ""), *_STORED.get(type_, _GAUGE))
        return self._made.setdefault((name, type_), family)
