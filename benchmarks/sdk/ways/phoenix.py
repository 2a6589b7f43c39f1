"""The call decorated with `tracer.chain` of arize-phoenix-otel, in batches; usage is set on the current span."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.sdk.subjects import Subject


def start() -> None:
    """Import and register a provider with a batch processor (the default sends each span at once, on the caller)."""
    import os

    from phoenix.otel import register

    endpoint = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] + "/v1/traces"
    register(endpoint=endpoint, protocol="http/protobuf", batch=True, verbose=False)


def subject() -> Subject:
    """Return the decorated calls."""
    from opentelemetry import trace

    from benchmarks.sdk.subjects import USAGE, decorated

    tracer = trace.get_tracer_provider().get_tracer("benchmark")
    return decorated(tracer.chain(name="generate"), lambda: trace.get_current_span().set_attributes(USAGE))
