"""Puts pipeline, stage and run on the spans of other instrumentation below a decorated call.

Such spans know nothing of `andon.*`, and usage on them could not be put to a pipeline's account. Reads the context that
a span starts in, writes attributes on it, and exports nothing: it stands on our provider and on a host's alike.
"""

from collections.abc import Mapping

from opentelemetry.baggage import get_all
from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.trace import get_current_span
from opentelemetry.util.types import AttributeValue

from andon import attributes
from andon.guard import never_raises
from andon.runtime import SCOPE_NAME
from andon.spans import open_span_in
from andon.unstable import current_context

_PLACE = (
    attributes.PIPELINE,
    attributes.PIPELINE_KIND,
    attributes.STAGE,
    attributes.DOMAIN,
    attributes.RUN_ID,
)


class StampingSpanProcessor(SpanProcessor):
    """Stamps each span that starts below a decorated call; what the span says of itself is left."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Add what is missing of pipeline, kind, stage, domain and run."""
        # Our own spans say it themselves, and pay only for this line.
        scope = span.instrumentation_scope
        if scope is None or scope.name != SCOPE_NAME:
            _stamp(span, current_context() if parent_context is None else parent_context)


@never_raises
def _stamp(span: Span, context: Context) -> None:
    work = open_span_in(context)
    place = _said_around(context) if work is None else work.place
    if not place:
        return
    said = span.attributes or {}
    missing = {name: value for name, value in place.items() if name not in said}
    if missing:
        span.set_attributes(missing)


def _said_around(context: Context) -> dict[str, AttributeValue]:
    """Read the place off the parent span, or off the baggage.

    Some frameworks make a context of their own for a child, that holds its parent and nothing else; others carry it
    through W3C headers inside one process, which keeps the baggage alone.
    """
    parent: Mapping[str, AttributeValue] | None = getattr(get_current_span(context), "attributes", None)
    if parent and attributes.RUN_ID in parent:
        return {name: parent[name] for name in _PLACE if name in parent}
    carried = get_all(context)
    if attributes.RUN_ID in carried:
        return {name: str(carried[name]) for name in _PLACE if name in carried}
    return {}
