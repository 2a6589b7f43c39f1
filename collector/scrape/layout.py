"""The rows that a list of samples makes, as far as they do not change: names, labels, bounds, series.

Made when a target shows other series than before, and kept as long as it shows the same; `collector.scrape.rows` fills
in the values of each scrape.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from collector import series
from collector.columns import ATTRIBUTES, METRIC_SCHEMA, RESOURCE_ATTRIBUTES, MetricKind
from collector.scrape.exposition import Exposition
from collector.scrape.families import Families, Family, Part
from collector.scrape.labels import Labels, Series

Places: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

SCOPE: Final = "andon.scrape"
# Series that tell how a scrape went, with their units.
SYNTHETIC: Final = {"up": "", "scrape_duration_seconds": "seconds", "scrape_samples_scraped": ""}
TWICE: Final = "the series is there twice"
OURS: Final = "the series is one that the scraper makes itself"
_WORD_OF_PART: Final[dict[Part, str]] = {Part.BUCKET: "le", Part.QUANTILE: "quantile"}


@dataclass(slots=True)
class _Row:
    """Where the samples of one row stand, the first of them, and each by what it tells; -1 for none."""

    first: int
    value: int = -1
    sum: int = -1
    count: int = -1
    created: int = -1
    steps: dict[float, int] | None = None  # bound or quantile -> sample


@dataclass(frozen=True)
class Lists:
    """A list column that samples fill: for each row the numbers that are known, and the samples that come beside them.

    Attributes:
        known: bounds of buckets, or quantiles.
        offsets: of the samples, one more than rows.
        samples: the place of each.
    """

    known: pa.ListArray
    offsets: Places
    samples: Places


@dataclass(frozen=True)
class Layout:
    """The rows of a scrape without their values.

    Attributes:
        identity: every column that says which series a row is.
        value, sum, count, created: for each row the place of the sample that tells it, -1 for none.
        first: for each row the place of its first sample, whose time is the row's.
        buckets, quantiles: what lists hold.
        refused: samples that belong to no row, by reason.
    """

    identity: pa.Table
    value: Places
    sum: Places
    count: Places
    created: Places
    first: Places
    buckets: Lists
    quantiles: Lists
    refused: Counter[str]


class Origin:
    """What all series of a target have in common: its resource.

    Args:
        resource: its attributes.
    """

    def __init__(self, resource: Mapping[str, str]) -> None:
        spelled = {column.name: column.spellings for column in RESOURCE_ATTRIBUTES}
        rest = dict(resource)
        self._columns = {}
        for name, spellings in spelled.items():
            said = next((spelling for spelling in spellings if spelling in rest), None)
            self._columns[name] = pa.array([rest.pop(said) if said else ""])
        self._columns["resource"] = pa.array([list(rest.items())], ATTRIBUTES)
        self._columns["scope_name"] = pa.array([SCOPE])
        self._columns["scope_version"] = pa.array([""])
        keys, texts = (pa.array(list(each), pa.string()) for each in (resource.keys(), resource.values()))
        self._resource = series.of_text_pairs(keys, texts, np.array([len(resource)]))
        empty = pa.array([], pa.string())
        self._scope = series.combined(
            series.of_texts(pa.array([SCOPE])),
            series.of_texts(pa.array([""])),
            series.of_text_pairs(empty, empty, np.array([0])),
        )

    def identity(self, rows: list[tuple[Family, Labels]]) -> pa.Table:
        """The columns that say which series each row is."""
        families = list(dict.fromkeys(family for family, _ in rows))
        place = {family: number for number, family in enumerate(families)}
        of_row = np.array([place[family] for family, _ in rows], np.int64)
        told = {
            "metric": pa.array([family.name for family in families], pa.string()),
            "unit": pa.array([family.unit for family in families], pa.string()),
            "kind": pa.array([family.kind.value for family in families], pa.string()),
            "temporality": pa.array([family.temporality for family in families], pa.string()),
            "monotonic": pa.array([family.monotonic for family in families], pa.bool_()),
        }
        streams = [f"{one.kind.value}/{one.temporality}/{str(one.monotonic).lower()}" for one in families]
        many = np.zeros(len(families), np.int64)
        family_series = series.combined(
            series.combined(
                series.of_texts(told["metric"]), series.of_texts(told["unit"]), self._scope[many], self._resource[many]
            ),
            series.of_texts(pa.array(streams, pa.string())),
        )
        sets = {labels: number for number, labels in enumerate(dict.fromkeys(labels for _, labels in rows))}
        set_of = np.array([sets[labels] for _, labels in rows], np.int64)
        counts = np.array([len(labels) for labels in sets], np.int64)
        keys = pa.array([key for labels in sets for key, _ in labels], pa.string())
        texts = pa.array([text for labels in sets for _, text in labels], pa.string())
        attributes = pa.MapArray.from_arrays(pa.array(_offsets(counts), pa.int32()), keys, texts)
        pairs_series = series.of_text_pairs(keys, texts, counts)
        each, first = pa.array(of_row), pa.array(np.zeros(len(rows), np.int64))
        columns = {
            **{name: column.take(each) for name, column in told.items()},
            **{name: column.take(first) for name, column in self._columns.items()},
            "series": pa.array(series.combined(family_series[of_row], pairs_series[set_of])),
            "attributes": attributes.take(pa.array(set_of)),
        }
        names = [name for name in METRIC_SCHEMA.names if name in columns]
        return pa.table([columns[name] for name in names], schema=pa.schema([METRIC_SCHEMA.field(n) for n in names]))


def layout_of(exposition: Exposition, known: Mapping[str, Series], origin: Origin) -> Layout:
    """The rows that these samples make.

    Args:
        known: what the keys of the exposition mean.
        origin: of the target they come from.
    """
    found = _Rows(Families(exposition.types, exposition.units))
    starts: list[tuple[int, Series, Family | None]] = []
    last: Family | None = None
    for place, key in enumerate(exposition.keys):
        sample = known[key]
        if sample.name in SYNTHETIC and not sample.labels:
            found.refused[OURS] += 1
        elif sample.name.endswith("_created"):
            starts.append((place, sample, last))
        else:
            last = found.add(place, sample)
    for place, sample, before in starts:
        found.add_start(place, sample, before)
    found.complete()
    rows = found.rows
    return Layout(
        identity=origin.identity(list(rows)),
        value=_places(row.value for row in rows.values()),
        sum=_places(row.sum for row in rows.values()),
        count=_places(row.count for row in rows.values()),
        created=_places(row.created for row in rows.values()),
        first=_places(row.first for row in rows.values()),
        buckets=_lists(rows, MetricKind.HISTOGRAM),
        quantiles=_lists(rows, MetricKind.SUMMARY),
        refused=found.refused,
    )


class _Rows:
    """Rows while samples are sorted into them."""

    def __init__(self, families: Families) -> None:
        self.rows: dict[tuple[Family, Labels], _Row] = {}
        self.refused: Counter[str] = Counter()
        self._families = families
        self._numbers: dict[str, float | None] = {}

    def add(self, place: int, sample: Series) -> Family:
        """Sort one sample in; the metric it belongs to."""
        family, part = self._families.of(sample.name)
        labels, step = sample.labels, None
        word = _WORD_OF_PART.get(part)
        if word is not None:
            text = ""
            for number, (key, told) in enumerate(labels):
                if key == word:
                    text, labels = told, labels[:number] + labels[number + 1 :]
                    break
            step = self._number(text)
            if step is None:
                self.refused[f"the label {word} is missing or no number"] += 1
                return family
        row = self.rows.get((family, labels))
        if row is None:
            row = self.rows[family, labels] = _Row(place)
        if step is not None:
            row.steps = {} if row.steps is None else row.steps
            taken = row.steps.setdefault(step, place)
        else:
            taken = getattr(row, part.value)
            if taken < 0:
                setattr(row, part.value, place)
                taken = place
        if taken != place:
            self.refused[TWICE] += 1
        return family

    def _number(self, text: str) -> float | None:
        """A bound or quantile, which come again and again; None for what is none."""
        if text not in self._numbers:
            try:
                number = math.nan if "_" in text else float(text)
            except ValueError:
                number = math.nan
            self._numbers[text] = None if math.isnan(number) else number
        return self._numbers[text]

    def add_start(self, place: int, sample: Series, before: Family | None) -> None:
        """Give a start to the row that it is the start of; where there is none, it is a gauge of its own."""
        families = self._families.started(sample.name)
        rows = {family: self.rows[family, sample.labels] for family in families if (family, sample.labels) in self.rows}
        if before in rows:
            rows = {before: rows[before]}
        elif not rows:
            self.add(place, sample)
        for row in rows.values():
            row.created = place

    def complete(self) -> None:
        """Bring every histogram to its last bucket; one that has none, or no count either, is no histogram."""
        for (family, labels), row in list(self.rows.items()):
            if family.kind is MetricKind.HISTOGRAM:
                row.steps = {math.inf: row.count} | (row.steps or {})
                if row.steps[math.inf] < 0:
                    self.refused['a histogram without a bucket le="+Inf" and without a count'] += 1
                    del self.rows[family, labels]
                else:
                    row.count = row.steps[math.inf]


def _lists(rows: Mapping[tuple[Family, Labels], _Row], kind: MetricKind) -> Lists:
    """Bounds and buckets of histograms, quantiles of summaries; of other rows nothing."""
    steps = [
        sorted(row.steps.items()) if row.steps and family.kind is kind else [] for (family, _), row in rows.items()
    ]
    known = [[step for step, _ in each if kind is MetricKind.SUMMARY or step < math.inf] for each in steps]
    return Lists(
        known=pa.array(known, pa.list_(pa.float64())),
        offsets=_offsets(np.array([len(each) for each in steps], np.int64)),
        samples=_places(place for each in steps for _, place in each),
    )


def _places(places: Any) -> Places:
    return np.fromiter(places, np.int64)


def _offsets(counts: Places) -> Places:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
