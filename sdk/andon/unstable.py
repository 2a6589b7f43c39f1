"""Every import that OpenTelemetry for Python does not promise to keep, behind names of our own.

Its logs API is still spelled with an underscore, and so are the key that mutes instrumentation and the context
variable. When one of them moves, this is the file that changes.
"""

from collections.abc import Callable, Mapping
from contextvars import Token
from typing import Any

from opentelemetry import context as context_api
from opentelemetry._logs import LogRecord
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import ReadableLogRecord as ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, set_span_in_context

ContextFunctions = tuple[Callable[[], Context], Callable[[Context], Token[Context]], Callable[[Token[Context]], None]]


def _context_functions() -> ContextFunctions:
    """Return (current, attach, detach) of the running context.

    The context variable itself, where the default runtime keeps one: it is several times as fast as the functions
    around it, and a stream switches context twice an item. Otherwise the public functions.
    """
    variable = getattr(getattr(context_api, "_RUNTIME_CONTEXT", None), "_current_context", None)
    if variable is None:
        return context_api.get_current, context_api.attach, context_api.detach
    return variable.get, variable.set, variable.reset


current_context, attach, detach = _context_functions()


ENCODER_LOGGER = "opentelemetry.exporter.otlp.proto.common._internal"
"""Says, with a traceback, of each attribute that cannot be encoded; where it is another, the lines are the host's."""


def set_clean_attributes(span: Span, found: Mapping[str, Any]) -> None:
    """Set attributes whose values are texts, numbers, booleans or tuples of texts, and need no cleaning.

    The span's own dictionary, where it has room for them: OpenTelemetry would look at each value again, which costs
    more than all that we do in a call. Otherwise the public function.
    """
    held = getattr(span, "_attributes", None)
    if type(held) is BoundedAttributes and held.max_value_len is None and not held._immutable:
        kept = held._dict
        if held.maxlen is None or len(kept) + len(found) <= held.maxlen:
            with held._lock:
                kept.update(found)
            return
    span.set_attributes(found)


def mute_instrumentation() -> None:
    """Keep instrumented HTTP clients from making spans of what this thread sends from now on."""
    key = getattr(context_api, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
    context_api.attach(context_api.set_value(key, True))


def open_log_exporter(url: str, headers: Mapping[str, str] | None) -> OTLPLogExporter:
    """Return the OTLP/HTTP exporter for log records."""
    return OTLPLogExporter(endpoint=url, headers=dict(headers) if headers else None)


def log_record(
    record_attributes: Mapping[str, Any],
    *,
    event_name: str,
    timestamp_ns: int,
    span_context: SpanContext,
    resource: Resource,
    scope: InstrumentationScope,
) -> ReadableLogRecord:
    """Return an exportable log record of one moment and one span; attributes may be bytes."""
    return ReadableLogRecord(
        LogRecord(
            timestamp=timestamp_ns,
            observed_timestamp=timestamp_ns,
            context=set_span_in_context(NonRecordingSpan(span_context), Context()),
            event_name=event_name,
            attributes=record_attributes,
        ),
        resource,
        scope,
    )


def log_export_succeeded(result: object) -> bool:
    """Whether the log exporter's answer means delivered."""
    return result is LogRecordExportResult.SUCCESS
