"""How one metric is spelled by those who carry it: as exposed, without `_total`, with units in the name, underscored.

A scraper keeps the exposed name; the OpenTelemetry Collector may cut `_total` and unit off; an exporter to Prometheus
turns dots and colons to underscores and puts unit and `_total` behind.
"""

from __future__ import annotations

from collections.abc import Iterable

# What an exporter to Prometheus puts behind a name, by the unit of OpenTelemetry.
_SUFFIX_OF = {"s": "_seconds", "J": "_joules", "W": "_watts", "By": "_bytes", "1": "_ratio", "%": "_percent",
              "Cel": "_celsius"}  # fmt: skip
_CUT = ("_seconds", "_bytes", "_joules", "_watts")


def spellings(metric: str, counter: bool, unit: str, also: Iterable[str] = ()) -> tuple[str, ...]:
    """Every spelling of a metric, the exposed one first.

    Args:
        counter: whether `_total` may stand behind it.
        unit: of OpenTelemetry, as the source means it.
        also: older names of it.
    """
    found: dict[str, None] = {}
    for name in (metric, *also):
        bare = name.removesuffix("_total") if counter else name
        stems = [bare]
        if "." in bare and unit in _SUFFIX_OF:
            stems.append(bare + _SUFFIX_OF[unit])
        # Not of counters: llama.cpp counts tokens and seconds under names that differ in the unit alone.
        if ":" in bare and not counter:
            stems += [bare.removesuffix(suffix) for suffix in _CUT if bare.endswith(suffix)]
        for stem in dict.fromkeys((name, *stems)):
            for spelled in (stem, f"{stem}_total") if counter and not stem.endswith("_total") else (stem,):
                found.setdefault(spelled)
                found.setdefault(spelled.replace(":", "_").replace(".", "_").replace("-", "_"))
    return tuple(found)


def underscored(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels, each with the spelling that Prometheus gives it."""
    return tuple(dict.fromkeys(each for label in labels for each in (label, label.replace(".", "_").replace("-", "_"))))
