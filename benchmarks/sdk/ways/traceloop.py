"""The call decorated with Traceloop's `task` (OpenLLMetry); usage is set on the current span."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.sdk.subjects import Subject


def start() -> None:
    """Import and initialise with the endpoint given as Traceloop wants it."""
    import os

    from traceloop.sdk import Traceloop

    Traceloop.init(
        app_name="benchmark", api_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"], telemetry_enabled=False
    )


def subject() -> Subject:
    """Return the decorated calls."""
    from opentelemetry import trace
    from traceloop.sdk.decorators import task

    from benchmarks.sdk.subjects import USAGE, decorated

    return decorated(task(name="generate"), lambda: trace.get_current_span().set_attributes(USAGE))
