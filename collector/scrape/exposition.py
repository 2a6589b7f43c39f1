"""What a target shows, read: Prometheus text 0.0.4 or OpenMetrics 1.0 as samples, types and units.

A line that cannot be read is counted under its reason and costs nothing else. What stands before a value is read once
and remembered: from one scrape to the next the same texts come again.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from collector.scrape.answer import Format, ScrapeError
from collector.scrape.labels import LINE, Labels, Series, pairs_of, series_of
from collector.scrape.numbers import Floats, Nanos, nanos_of, number_of, numbers_of

TYPES: Final = frozenset(
    ("counter", "gauge", "histogram", "summary", "untyped", "unknown", "info", "stateset", "gaugehistogram")
)
_LINES_PER_SERIES: Final = 8  # HELP, TYPE, UNIT, an empty line: more is no exposition
_LINES_MORE: Final = 1000
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Exemplar:
    """An exemplar of the sample at place `sample`; no time is 0."""

    sample: int
    labels: dict[str, str]
    value: float
    nanos: int


@dataclass(frozen=True)
class Exposition:
    """The samples of one scrape, in their order.

    Attributes:
        keys: name and labels of each as they were written; `Reader.series` knows what they mean.
        nanos: the time of each that came with one, 0 for every other; None when no sample had any.
        types, units: by metric family; one name may have several types.
        refused: lines that could not be read, by reason.
    """

    keys: list[str]
    values: Floats
    nanos: Nanos | None = None
    exemplars: tuple[Exemplar, ...] = ()
    types: dict[str, tuple[str, ...]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)

    def has_series_of(self, other: Exposition) -> bool:
        """Whether both show the same series in the same order, of the same types and units."""
        return self.keys == other.keys and self.types == other.types and self.units == other.units


@dataclass(frozen=True)
class Limits:
    """What of a target is read: beginnings of names, and the most of everything."""

    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    max_series: int = 50_000
    max_labels: int = 64
    max_label_bytes: int = 4096


class Reader:
    """Reads the expositions of one target and remembers its series."""

    def __init__(self, limits: Limits = Limits()) -> None:
        self.series: dict[str, Series] = {}
        self._limits = limits
        self._ignored: set[str] = set()
        self._labels: dict[str, Labels] = {}
        self._names: set[str] = set()

    def read(self, body: bytes, kind: Format) -> Exposition:
        """Read one body.

        Raises:
            ScrapeError: it holds too much, ends before its end, or nothing in it can be read.
        """
        found = _Found(self, self._limits, kind)
        try:
            found.read(_lines(body, self._limits, found.refused))
            return found.exposition()
        finally:
            self._forget(found.keys)

    def series_at(self, text: str) -> Series | None:
        """What a key means; None for a name that is not wanted.

        Raises:
            ValueError: it is no name with labels, or holds too much.
        """
        if text in self._ignored:
            return None
        series = self.series.get(text) or self._learned(text)
        if series is None:
            self._ignored.add(text)
        else:
            self.series[text] = series
        return series

    def is_alike(self, text: str) -> bool:
        """Whether a key is made of a name and of labels that are known, though not yet together; then it is known."""
        name, _, rest = text.partition("{")
        labels = self._labels.get(rest[:-1]) if name in self._names else None
        if labels is None or max(len(labels) - self._limits.max_labels, len(text) - self._limits.max_label_bytes) > 0:
            return False
        self.series[text] = Series(name, labels)
        return True

    def is_ignored(self, text: str) -> bool:
        """Whether a key is known and not wanted."""
        return text in self._ignored

    def _learned(self, text: str) -> Series | None:
        limits = self._limits
        series = series_of(text, self._labels)
        if (limits.only and not series.name.startswith(limits.only)) or series.name.startswith(limits.ignore):
            return None
        if len(series.labels) > limits.max_labels:
            raise ValueError("more labels than max_labels")
        if len(text) > limits.max_label_bytes and any(
            len(part.encode()) > limits.max_label_bytes for pair in ((series.name, ""), *series.labels) for part in pair
        ):
            raise ValueError("a name or label value is longer than max_label_bytes")
        self._names.add(series.name)
        return series

    def _forget(self, keys: list[str]) -> None:
        """What is no longer shown is not kept for ever."""
        if len(self._labels) > 2 * len(keys) + 1000:
            self._labels.clear()
        if len(self._names) > 2 * len(keys) + 1000:
            self._names.clear()
        if len(self.series) > 2 * len(keys) + 1000:
            self.series = {key: self.series[key] for key in keys}
        if len(self._ignored) > self._limits.max_series:
            self._ignored.clear()


class _Found:
    """What was found so far in one body."""

    def __init__(self, reader: Reader, limits: Limits, kind: Format) -> None:
        self.refused: Counter[str] = Counter()
        self._reader = reader
        self._limits = limits
        self._kind = kind
        self.keys: list[str] = []
        self._texts: list[str] = []
        self._exemplars: list[Exemplar] = []
        self._types: dict[str, tuple[str, ...]] = {}
        self._units: dict[str, str] = {}

    def read(self, lines: list[str]) -> None:
        """Take the lines apart; a line whose name and labels are known needs no more than two slices."""
        known, keys, texts = self._reader.series, self.keys, self._texts
        alike, most = self._reader.is_alike, self._limits.max_series
        for number, line in enumerate(lines):
            if not line:
                continue
            if line[0] == "#":
                if line == "# EOF" and self._kind is Format.OPENMETRICS:
                    self._end(lines[number + 1 :])
                    return
                self._read_comment(line)
                continue
            end = line.rfind("}") + 1
            if end:
                key, text = line[:end], line[end:]
            else:
                key, _, text = line.partition(" ")
            # With an exemplar the last brace is the exemplar's, and the text up to it is no key.
            if key in known or (len(keys) < most and alike(key)):
                keys.append(key)
                texts.append(text)
            elif not self._reader.is_ignored(key):
                self._read_new(line)
        if self._kind is Format.OPENMETRICS:
            raise ScrapeError("cut_short", "the answer is OpenMetrics but does not end with # EOF")

    def exposition(self) -> Exposition:
        """Everything that was found, as numbers."""
        if len(self.keys) > self._limits.max_series:
            raise self._too_many()
        values, nanos, bad = numbers_of(self._texts, self._kind)
        keys, exemplars = self.keys, self._exemplars
        if bad.any():
            self.refused["the value or time is not a number"] += int(bad.sum())
            place = np.cumsum(~bad) - 1
            keys = [key for key, is_bad in zip(keys, bad, strict=True) if not is_bad]
            exemplars = [replace(one, sample=int(place[one.sample])) for one in exemplars if not bad[one.sample]]
            values, nanos = values[~bad], None if nanos is None else nanos[~bad]
        if not keys and self.refused:
            ((reason, count),) = self.refused.most_common(1)
            raise ScrapeError("unreadable", f"no line of the answer can be read; of {count} of them {reason}")
        return Exposition(keys, values, nanos, tuple(exemplars), self._types, self._units, self.refused)

    def _read_new(self, line: str) -> None:
        parts = LINE.fullmatch(line)
        if parts is None:
            self.refused["the line is not name, labels and value"] += 1
            return
        key, value, time, labels, exemplar_value, exemplar_time = parts.groups()
        try:
            if self._reader.series_at(key) is None:
                return
        except ValueError as error:
            self.refused[str(error)] += 1
            return
        if len(self.keys) >= self._limits.max_series:
            raise self._too_many()
        self.keys.append(key)
        self._texts.append(f"{value} {time}" if time else value)
        if labels:
            try:
                nanos = nanos_of(exemplar_time, self._kind) if exemplar_time else 0
                pairs = pairs_of(labels[1:-1])
                self._exemplars.append(Exemplar(len(self.keys) - 1, pairs, number_of(exemplar_value), nanos))
            except ValueError:
                self.refused["the exemplar is malformed"] += 1

    def _read_comment(self, line: str) -> None:
        words = line.split(None, 3)
        if len(words) < 4 or words[0] != "#":
            return
        _, what, name, text = words
        if what == "TYPE":
            if text.strip() not in TYPES:
                self.refused["the type is unknown"] += 1
                return
            types = self._types.get(name, ())
            self._types[name] = types if text.strip() in types else (*types, text.strip())
        elif what == "UNIT":
            self._units[name] = text.strip()

    def _end(self, after: list[str]) -> None:
        more = sum(1 for line in after if line)
        if more:
            self.refused["the line is after # EOF"] += more

    def _too_many(self) -> ScrapeError:
        return ScrapeError("too_many_series", f"the target shows more than max_series = {self._limits.max_series}")


def _lines(body: bytes, limits: Limits, refused: Counter[str]) -> list[str]:
    """The lines of a body, those that are no UTF-8 left out and counted."""
    most = _LINES_PER_SERIES * limits.max_series + _LINES_MORE
    if body.count(b"\n") > most:
        raise ScrapeError(
            "too_many_lines", f"the answer has more than {most} lines, {_LINES_PER_SERIES} per max_series"
        )
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = body.decode(errors="surrogateescape")
        lines = text.split("\n")
        good = [line for line in lines if not _SURROGATE.search(line)]
        refused["the line is not UTF-8"] += len(lines) - len(good)
        return good
    return (text.replace("\r\n", "\n") if "\r" in text else text).split("\n")
