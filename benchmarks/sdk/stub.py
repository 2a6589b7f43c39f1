"""A network end that costs nothing: OpenTelemetry's own exporters, told to deliver nowhere.

Every way that is measured exports through these classes, so the same stub serves all of them alike. It also counts
what arrived, so that a way that records nothing cannot look fast.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_PROTO: Final = "opentelemetry.exporter.otlp.proto"
_OTHER_EXPORTERS: Final = (("metric_exporter", "OTLPMetricExporter"), ("_log_exporter", "OTLPLogExporter"))


@dataclass
class Received:
    """What the stubbed exporters were given.

    Attributes:
        spans: how many.
        attributes: names of the attributes of the last span.
        longest_ms: longest duration that a span recorded, in milliseconds; None before any.
    """

    spans: int = 0
    attributes: list[str] = field(default_factory=list)
    longest_ms: float | None = None

    def take(self, spans: Sequence[Any]) -> None:
        """Note what one export was given."""
        self.spans += len(spans)
        self.attributes = sorted(spans[-1].attributes or {})
        if len(spans) < 100:  # durations are asked of single calls; a busy queue is left alone
            longest = max((span.end_time - span.start_time) / 1e6 for span in spans)
            self.longest_ms = max(longest, self.longest_ms or 0.0)


def install() -> Received:
    """Put the stub in place of every OTLP exporter of this process."""
    received = Received()
    if importlib.util.find_spec("opentelemetry") is None:
        return received
    from opentelemetry.sdk.trace.export import SpanExportResult

    def take(_: object, spans: Sequence[Any]) -> SpanExportResult:
        received.take(spans)
        return SpanExportResult.SUCCESS

    for transport in ("http", "grpc"):
        if importlib.util.find_spec(f"{_PROTO}.{transport}") is None:
            continue
        importlib.import_module(f"{_PROTO}.{transport}.trace_exporter").OTLPSpanExporter.export = take
        for module, name in _OTHER_EXPORTERS:
            _silence(getattr(importlib.import_module(f"{_PROTO}.{transport}.{module}"), name))
    return received


def _silence(exporter: Any) -> None:
    from opentelemetry.sdk._logs.export import LogRecordExportResult
    from opentelemetry.sdk.metrics.export import MetricExportResult

    success = MetricExportResult.SUCCESS if "Metric" in exporter.__name__ else LogRecordExportResult.SUCCESS
    exporter.export = lambda *_, **__: success
