"""Numbers to show of what engines and accelerators report: facts summed by a label, with what they rest on.

Growth is added, levels are averaged over time and added or averaged over accelerators, quantiles come from buckets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import add
from typing import Final, Literal, get_args

from economics.catalogue import Catalogue, Form
from economics.engines import EngineFacts, EngineKey, EngineRow

By = Literal[
    "project",
    "environment",
    "service",
    "accelerator_pool",
    "instance",
    "host",
    "source",
    "model",
    "accelerator",
    "part",
]
BY: Final[tuple[By, ...]] = get_args(By)


@dataclass(frozen=True)
class Aside:
    """What another member says of the same, and does not count."""

    source: str
    signal: str
    value: float | None


@dataclass(frozen=True)
class EngineNumber:
    """One quantity as one vantage has seen it. None is unknown.

    Args:
        value: growth over the window; the average level; of a distribution the mean size.
        total: of a distribution the sum of its sizes; of growth its `value`; of a level its integral, in unit seconds.
        events: of a distribution.
        p50, p95, p99: of a distribution, from its buckets; None where they differ in their bounds.
        parts: the value of each part, where there are parts.
        missing_parts: parts that only with the others are the whole quantity, and that nobody sent.
        coverage: share of points whose growth or level is known.
        reach_seconds: how far before the window growth may have been, at most.
        aside: what others say of the same.
    """

    quantity: str
    unit: str
    form: Form
    vantage: str
    labels: dict[str, str]
    sources: tuple[str, ...]
    signals: tuple[str, ...]
    value: float | None
    total: float | None
    lowest: float | None
    highest: float | None
    last: float | None
    last_time: datetime | None
    events: int | None
    p50: float | None
    p95: float | None
    p99: float | None
    parts: dict[str, float | None]
    missing_parts: tuple[str, ...]
    points: int
    coverage: float | None
    reach_seconds: float
    aside: tuple[Aside, ...]


def numbers(rows: Iterable[EngineRow], catalogue: Catalogue, by: By | None = None) -> tuple[EngineNumber, ...]:
    """One number for each quantity, vantage and value of `by` (one of `BY`)."""
    groups: dict[tuple[str, str, str], list[EngineRow]] = defaultdict(list)
    for row in rows:
        label = str(getattr(row.key, by)) if by else ""
        groups[row.key.quantity, row.key.vantage, label].append(row)
    return tuple(
        _number(catalogue, quantity, vantage, {by: label} if by else {}, group)
        for (quantity, vantage, label), group in sorted(groups.items())
        if quantity in catalogue.quantities
    )


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """A quantile from buckets, events being spread evenly in each; None without events or bounds.

    The lowest bucket of positive bounds begins at 0; in the highest, which has no end, the answer is its beginning.
    """
    total = sum(counts)
    if not total or not bounds:
        return None
    upto = 0
    for place, count in enumerate(counts):
        if count and upto + count >= share * total:
            if place == len(bounds):
                return bounds[-1]
            low = bounds[place - 1] if place else min(0.0, bounds[0])
            return low + (bounds[place] - low) * max(0.0, share * total - upto) / count
        upto += count
    return bounds[-1]


def _number(
    catalogue: Catalogue, name: str, vantage: str, labels: dict[str, str], rows: list[EngineRow]
) -> EngineNumber:
    quantity = catalogue.quantities[name]
    counted = [row for row in rows if row.counts]
    facts = _sum(counted)
    parts: dict[str, list[EngineRow]] = defaultdict(list)
    members: dict[tuple[str, str], list[EngineRow]] = defaultdict(list)
    for row in counted:
        parts[row.key.part].append(row)
    for row in rows:
        if not row.counts:
            members[row.key.source, row.key.signal].append(row)

    def value_of(some: list[EngineRow]) -> float | None:
        return _value(some, quantity.form, quantity.adds)

    distribution = quantity.form is Form.DISTRIBUTION
    bounds = {row.key.bucket_bounds for row in counted if row.facts.events}
    (edges,) = bounds if len(bounds) == 1 else ((),)
    p50, p95, p99 = (quantile(edges, facts.bucket_counts, share) if edges else None for share in (0.5, 0.95, 0.99))
    return EngineNumber(
        quantity=name,
        unit=quantity.unit,
        form=quantity.form,
        vantage=vantage,
        labels=labels,
        sources=tuple(sorted({row.key.source for row in counted})),
        signals=tuple(sorted({row.key.signal for row in counted})),
        value=value_of(counted),
        total=facts.value,
        lowest=facts.lowest,
        highest=facts.highest,
        last=_last(counted, quantity.adds),
        last_time=facts.last_time,
        events=facts.events if distribution else None,
        p50=p50,
        p95=p95,
        p99=p99,
        parts={part: value_of(some) for part, some in sorted(parts.items())} if set(parts) != {""} else {},
        missing_parts=_missing(catalogue, counted),
        points=facts.points,
        coverage=1 - facts.unknown_points / facts.points if facts.points else None,
        reach_seconds=facts.reach_seconds,
        aside=tuple(Aside(source, signal, value_of(some)) for (source, signal), some in sorted(members.items())),
    )


def _value(rows: list[EngineRow], form: Form, adds: bool) -> float | None:
    facts = _sum(rows)
    if facts.value is None:
        return None
    if form is Form.GROWTH:
        return facts.value
    if form is Form.DISTRIBUTION:
        return facts.value / facts.events if facts.events else None
    if not adds:
        return facts.value / facts.seconds if facts.seconds else None
    # Each engine or accelerator over the time that is known of it: one that was not seen for a while does not make
    # the others' sum smaller.
    known = [row.facts for row in rows if row.facts.value is not None and row.facts.covered_seconds]
    return sum(facts.value / facts.covered_seconds for facts in known if facts.value is not None) if known else None


def _last(rows: list[EngineRow], adds: bool) -> float | None:
    """The newest level, where it is that of one series; nothing else can be told of a moment."""
    known = [row.facts.last for row in rows if row.facts.last is not None]
    return known[0] if len(known) == 1 else (sum(known) if known and adds else None)


def _missing(catalogue: Catalogue, rows: list[EngineRow]) -> tuple[str, ...]:
    seen: dict[tuple[str, str, int], set[str]] = defaultdict(set)
    for row in rows:
        key: EngineKey = row.key
        seen[key.source, key.quantity, key.precedence].add(key.part)
    return tuple(sorted({part for member, parts in seen.items() for part in catalogue.parts(*member) - parts}))


def _sum(rows: list[EngineRow]) -> EngineFacts:
    return reduce(add, (row.facts for row in rows), EngineFacts())
