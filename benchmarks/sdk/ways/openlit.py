"""The call decorated with `openlit.trace`; usage is set on the current span, as OpenLIT has no call for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.sdk.subjects import Subject


def start() -> None:
    """Import and initialise; the endpoint comes from the environment."""
    import openlit

    openlit.init(application_name="benchmark")


def subject() -> Subject:
    """Return the decorated calls."""
    import openlit
    from opentelemetry import trace

    from benchmarks.sdk.subjects import USAGE, decorated

    return decorated(openlit.trace, lambda: trace.get_current_span().set_attributes(USAGE))
