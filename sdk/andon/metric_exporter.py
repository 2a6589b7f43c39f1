"""Sends metrics over OTLP/HTTP, with OpenTelemetry's own exporter.

Imported by those who send metrics only: the exporter brings OpenTelemetry's metrics SDK along.
"""

from collections.abc import Mapping

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

from andon.exporters import overheard, reason_of


class MetricSender:
    """Sends collected metrics to one collector."""

    def __init__(self, url: str, headers: Mapping[str, str] | None) -> None:
        self._url = url
        self._exporter = OTLPMetricExporter(endpoint=url, headers=dict(headers) if headers else None)

    def send(self, items: list[MetricsData], /) -> str | None:
        """Deliver one by one, with the exporter's own retries; stops at the first that is refused."""
        for data in items:
            with overheard.listening_to(self._exporter) as lines:
                result = self._exporter.export(data)
            if result is not MetricExportResult.SUCCESS:
                return reason_of(self._url, lines)
        return None

    def close(self) -> None:
        """Stop retrying."""
        with overheard.listening_to(self._exporter):
            self._exporter.shutdown()
