"""Sums as OpenTelemetry metrics: for our own OTLP/HTTP export, or for the instruments of a program's meter provider.

Imported in the background, since OpenTelemetry's metrics SDK takes as long to load as the rest of ours.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.metrics.export import Sum as SumData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from andon.measuring import EDGES, UNITS, Histogram, KnownSeries, Measurement, SeriesAttributes, Sums
from andon.metric_exporter import MetricSender

CUMULATIVE: Final = AggregationTemporality.CUMULATIVE


def metrics_data(sums: Sums, resource: Resource, scope: InstrumentationScope, now_ns: int) -> MetricsData:
    """Return `sums` as one cumulative export, from `sums.started_ns` to `now_ns`."""
    metrics = [
        Metric(name, UNITS[name][1], UNITS[name][0], HistogramData(_histograms(sums, known, now_ns), CUMULATIVE))
        for name, known in sums.histograms.items()
    ]
    for name, counters in sums.counters.items():
        points = [
            NumberDataPoint(dict(series), sums.started_ns, now_ns, value, []) for series, value in counters.items()
        ]
        metrics.append(Metric(name, UNITS[name][1], UNITS[name][0], SumData(points, CUMULATIVE, is_monotonic=True)))
    scopes = [ScopeMetrics(scope, metrics, scope.schema_url or "")]
    return MetricsData([ResourceMetrics(resource, scopes, resource.schema_url)])


def _histograms(sums: Sums, known: Mapping[SeriesAttributes, Histogram], now_ns: int) -> list[HistogramDataPoint]:
    return [
        HistogramDataPoint(
            attributes=dict(series),
            start_time_unix_nano=sums.started_ns,
            time_unix_nano=now_ns,
            count=sum(histogram.counts),
            sum=histogram.total,
            bucket_counts=list(histogram.counts),
            explicit_bounds=histogram.edges,
            # Optional on the wire, and a minimum since the start says nothing.
            min=None,  # type: ignore[arg-type]
            max=None,  # type: ignore[arg-type]
        )
        for series, histogram in known.items()
    ]


class SumsSender:
    """Sends sums to one collector."""

    def __init__(
        self, url: str, headers: Mapping[str, str] | None, resource: Resource, scope: InstrumentationScope
    ) -> None:
        self._resource = resource
        self._scope = scope
        self._sender = MetricSender(url, headers)

    def pack(self, sums: Sums, now_ns: int) -> MetricsData:
        """Return the sums as they are now."""
        return metrics_data(sums, self._resource, self._scope, now_ns)

    def send(self, packed: MetricsData, /) -> str | None:
        """Deliver, with the exporter's own retries."""
        return self._sender.send([packed])

    def close(self) -> None:
        """Stop retrying."""
        self._sender.close()


class HostInstruments:
    """Passes measurements on to the instruments of the program's own meter provider."""

    def __init__(self, provider: MeterProvider, scope: InstrumentationScope) -> None:
        self._meter = provider.get_meter(scope.name, scope.version, scope.schema_url)
        self._instruments: dict[str, Callable[..., Any]] = {}
        self._known = KnownSeries()

    def add(self, measurement: Measurement) -> None:
        """Record what one measurement holds."""
        for metric, series, values in self._known.values(measurement):
            record = self._instruments.get(metric)
            if record is None:
                record = self._instruments[metric] = self._made(metric, *UNITS[metric])
            for value in values:
                record(value, dict(series))

    def _made(self, metric: str, unit: str, description: str) -> Callable[..., Any]:
        edges = EDGES.get(metric)
        if edges is None:
            return self._meter.create_counter(metric, unit, description).add
        return self._meter.create_histogram(metric, unit, description, explicit_bucket_boundaries_advisory=edges).record
