"""The call decorated with `logfire.instrument`; usage is set on the current span.

Sends nothing to Logfire and prints nothing; its own OTLP/HTTP exporter goes to the endpoint of the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.sdk.subjects import Subject


def start() -> None:
    """Import and configure."""
    import logfire

    logfire.configure(send_to_logfire=False, console=False, service_name="benchmark")


def subject() -> Subject:
    """Return the decorated calls; generators must be allowed by name."""
    import logfire
    from opentelemetry import trace

    from benchmarks.sdk.subjects import USAGE, decorated

    return decorated(
        logfire.instrument("generate"),
        lambda: trace.get_current_span().set_attributes(USAGE),
        logfire.instrument("generate", allow_generator=True),
    )
