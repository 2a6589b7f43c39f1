"""Sums and distributions of model calls, kept apart from spans so that sampling takes nothing from them.

The names, units and bucket edges are those of the OpenTelemetry GenAI conventions 1.42 (client metrics). Pure: takes
measurements, holds sums since a moment; `metering` feeds it and sends what it holds.
"""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import pairwise
from typing import Final, TypeAlias

from andon import attributes
from andon.ledger import AttributeValue

TOKEN_USAGE: Final = "gen_ai.client.token.usage"  # noqa: S105 - a name
OPERATION_DURATION: Final = "gen_ai.client.operation.duration"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"
TIME_PER_OUTPUT_CHUNK: Final = "gen_ai.client.operation.time_per_output_chunk"
ROWS: Final = "andon.rows"
BYTES: Final = "andon.bytes"

TOKEN_EDGES: Final = tuple(float(4**power) for power in range(14))
SECOND_EDGES: Final = tuple(0.01 * 2**power for power in range(14))

EDGES: Final = {
    TOKEN_USAGE: TOKEN_EDGES,
    OPERATION_DURATION: SECOND_EDGES,
    TIME_TO_FIRST_CHUNK: SECOND_EDGES,
    TIME_PER_OUTPUT_CHUNK: SECOND_EDGES,
}
UNITS: Final = {
    TOKEN_USAGE: ("{token}", "Tokens of one call."),
    OPERATION_DURATION: ("s", "Duration of one call."),
    TIME_TO_FIRST_CHUNK: ("s", "From the start of a streamed call to its first chunk."),
    TIME_PER_OUTPUT_CHUNK: ("s", "Between two chunks of a streamed call."),
    ROWS: ("{row}", "Rows that a stage has taken and given."),
    BYTES: ("By", "Bytes that a stage has taken and given."),
}

NANOSECONDS: Final = 1_000_000_000
MOST_SERIES: Final = 2000
_OVERFLOW: Final = (("otel.metric.overflow", True),)

_DIMENSIONS: Final = (
    attributes.OPERATION,
    attributes.PROVIDER,
    attributes.REQUEST_MODEL,
    attributes.RESPONSE_MODEL,
    attributes.ERROR_TYPE,
)
_AMOUNTS: Final = (
    (attributes.ROWS_IN, ROWS, "in"),
    (attributes.ROWS_OUT, ROWS, "out"),
    (attributes.BYTES_IN, BYTES, "in"),
    (attributes.BYTES_OUT, BYTES, "out"),
)

SeriesAttributes: TypeAlias = tuple[tuple[str, AttributeValue], ...]

Measurement: TypeAlias = tuple[Mapping[str, AttributeValue], Mapping[str, str], int | None, int, list[int] | None]
"""What one ended call has to say, as a bare tuple since one is made in each call: the attributes of its span (usage,
error, rows, bytes), its place, its duration in nanoseconds (None where it has none of its own), and when it started
and when the chunks of its stream came, on one clock."""


class Histogram:
    """Counts of values by bucket; a value on an edge belongs to the bucket that the edge closes."""

    __slots__ = ("counts", "edges", "total")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.total: float = 0

    def add(self, *values: float) -> None:
        """Count each value."""
        counts, edges = self.counts, self.edges
        for value in values:
            counts[bisect_left(edges, value)] += 1
        self.total += sum(values)


class Sums:
    """Everything measured since `started_ns` (UTC nanoseconds), by metric and attributes.

    At most `MOST_SERIES` sets of attributes for each metric; what comes beyond is kept under `otel.metric.overflow`.
    """

    def __init__(self, started_ns: int) -> None:
        self.started_ns = started_ns
        self.histograms: dict[str, dict[SeriesAttributes, Histogram]] = {}
        self.counters: dict[str, dict[SeriesAttributes, float]] = {}
        self._known = KnownSeries()

    def add(self, measurement: Measurement) -> None:
        """Add one measurement."""
        for metric, series, values in self._known.values(measurement):
            edges = EDGES.get(metric)
            if edges is None:
                counters = self.counters.setdefault(metric, {})
                series = _admitted(counters, series)
                counters[series] = counters.get(series, 0) + sum(values)
                continue
            known = self.histograms.get(metric)
            if known is None:
                known = self.histograms[metric] = {}
            histogram = known.get(series)
            if histogram is None:
                histogram = known.setdefault(_admitted(known, series), Histogram(edges))
            histogram.add(*values)


class KnownSeries:
    """Remembers the attributes of the series that a program's calls belong to, which are few and come again."""

    def __init__(self) -> None:
        self._of_calls: dict[tuple[object, ...], tuple[SeriesAttributes, ...]] = {}

    def values(self, measurement: Measurement) -> list[tuple[str, SeriesAttributes, tuple[float, ...]]]:
        """Return what a measurement says: metric, attributes, and values.

        A call of a model has its tokens and its duration (seconds); a stream its time to first chunk and the time
        between its chunks; a stage the rows and bytes that it took and gave.
        """
        found, place, duration_ns, started_ns, stamps_ns = measurement
        told: list[tuple[str, SeriesAttributes, tuple[float, ...]]] = []
        if attributes.OPERATION in found:
            series, of_input, of_output = self._of_call(found, place)
            if attributes.INPUT_TOKENS in found:
                told.append((TOKEN_USAGE, of_input, _number(found[attributes.INPUT_TOKENS])))
            if attributes.OUTPUT_TOKENS in found:
                told.append((TOKEN_USAGE, of_output, _number(found[attributes.OUTPUT_TOKENS])))
            if duration_ns is not None:
                told.append((OPERATION_DURATION, series, (duration_ns / NANOSECONDS,)))
            if stamps_ns:
                told.append((TIME_TO_FIRST_CHUNK, series, ((stamps_ns[0] - started_ns) / NANOSECONDS,)))
                if len(stamps_ns) > 1:
                    gaps = tuple([(after - before) / NANOSECONDS for before, after in pairwise(stamps_ns)])
                    told.append((TIME_PER_OUTPUT_CHUNK, series, gaps))
        for name, metric, direction in _AMOUNTS:
            if name in found:
                told.append((metric, (*_where(place), (attributes.DIRECTION, direction)), _number(found[name])))
        return told

    def _of_call(self, found: Mapping[str, AttributeValue], place: Mapping[str, str]) -> tuple[SeriesAttributes, ...]:
        key = (*map(found.get, _DIMENSIONS), place.get(attributes.PIPELINE), place.get(attributes.STAGE))
        known = self._of_calls.get(key)
        if known is None:
            series = tuple((name, found[name]) for name in _DIMENSIONS if name in found) + _where(place)
            known = (series, *((*series, (attributes.TOKEN_TYPE, name)) for name in ("input", "output")))
            if len(self._of_calls) < MOST_SERIES:
                self._of_calls[key] = known
        return known


def _where(place: Mapping[str, str]) -> SeriesAttributes:
    return tuple((name, place[name]) for name in (attributes.PIPELINE, attributes.STAGE) if name in place)


def _number(value: AttributeValue) -> tuple[float, ...]:
    return (value,) if isinstance(value, int | float) else ()


def _admitted(known: Mapping[SeriesAttributes, object], series: SeriesAttributes) -> SeriesAttributes:
    return series if series in known or len(known) < MOST_SERIES else _OVERFLOW
