"""Senders over OTLP/HTTP: OpenTelemetry's own exporters, with their log lines turned into one reason.

The exporters log each retry and each failure. On the SDK's thread those lines are caught and handed back as the reason
of the failure; the exporters that a host runs on its own threads speak as before.
"""

import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from andon import attributes, unstable
from andon.guard import fault
from andon.notices import warn_once
from andon.observations import Observation
from andon.outbox import Outbox, Passing
from andon.packing import packed_attributes
from andon.settings import SHUTDOWN_SECONDS

REQUEST_BYTES: Final = 4 * 2**20


class _OverheardLines(logging.Filter):
    """Takes the lines that one thread logs while it listens."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        lines: list[str] | None = getattr(self._thread, "lines", None)
        if lines is None:
            return True
        if record.name == unstable.ENCODER_LOGGER:
            # One attribute that OTLP cannot say; all else is sent.
            warn_once("exporters.encoding", "andon: an attribute is left out of what is sent: %s", record.getMessage())
        else:
            lines.append(record.getMessage())
        return False

    @contextmanager
    def listening_to(self, exporter: object) -> Iterator[list[str]]:
        lines: list[str] = []
        # Adding a filter a second time changes nothing.
        for name in (type(exporter).__module__, unstable.ENCODER_LOGGER):
            logging.getLogger(name).addFilter(self)
        self._thread.lines = lines
        try:
            yield lines
        finally:
            self._thread.lines = None


overheard = _OverheardLines()


_ANSWERED: Final = re.compile(r"code: \d")


def reason_of(url: str, lines: list[str]) -> str:
    """Return why nothing was delivered to `url`, from what the exporter said.

    It gives up at once on an answer that will not change (400, 413), and names its code. Anything else may pass: a
    collector that is away, hangs, or answers 503 for as long as it was tried.
    """
    line = lines[-1] if lines else "no answer"
    reason = f"{url}: {line}"
    return reason if _ANSWERED.search(line) else Passing(reason)


class SpanSender:
    """Sends spans to one collector."""

    def __init__(self, url: str, headers: Mapping[str, str] | None) -> None:
        self._url = url
        self._exporter = OTLPSpanExporter(endpoint=url, headers=dict(headers) if headers else None)

    def send(self, items: list[ReadableSpan], /) -> str | None:
        """Deliver, with the exporter's own retries."""
        with overheard.listening_to(self._exporter) as lines:
            delivered = self._exporter.export(items) is SpanExportResult.SUCCESS
        return None if delivered else reason_of(self._url, lines)

    def close(self) -> None:
        """Stop retrying."""
        with overheard.listening_to(self._exporter):
            self._exporter.shutdown()  # type: ignore[no-untyped-call]


class ObservationSender:
    """Sends observations to one collector, a log record for each call of `observe`."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None,
        resource: Resource,
        scope: InstrumentationScope,
        max_records: int,
    ) -> None:
        self._url = url
        self._resource = resource
        self._scope = scope
        self._max_records = max_records
        self._exporter = unstable.open_log_exporter(url, headers)

    def send(self, items: list[Observation], /) -> str | None:
        """Deliver in requests of at most `max_records` records and about `REQUEST_BYTES`."""
        for request in _requests(items.copy(), self._max_records):
            records = [self._record(observation) for observation in request]
            with overheard.listening_to(self._exporter) as lines:
                result = self._exporter.export(records)
            if not unstable.log_export_succeeded(result):
                return reason_of(self._url, lines)
            del items[: len(request)]
        return None

    def _record(self, observation: Observation) -> unstable.ReadableLogRecord:
        packed = bool(observation.columns)
        return unstable.log_record(
            packed_attributes(observation) if packed else observation.known_constants(),
            event_name=attributes.OBSERVATIONS_EVENT if packed else attributes.OBSERVATION_EVENT,
            timestamp_ns=observation.timestamp_ns,
            span_context=observation.span_context,
            resource=self._resource,
            scope=self._scope,
        )

    def close(self) -> None:
        """Stop retrying."""
        with overheard.listening_to(self._exporter):
            self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _requests(observations: list[Observation], max_records: int) -> Iterator[list[Observation]]:
    request: list[Observation] = []
    size = 0
    for observation in observations:
        if request and (len(request) == max_records or size + observation.size_bytes > REQUEST_BYTES):
            yield request
            request, size = [], 0
        request.append(observation)
        size += observation.size_bytes
    if request:
        yield request


class OutboxSpanProcessor(SpanProcessor):
    """Hands each finished, sampled span to an outbox.

    Args:
        outbox: gives the outbox of the moment; None while nothing is sent. A provider keeps its processors for good,
            and recording may end and begin again.
    """

    def __init__(self, outbox: Callable[[], Outbox[ReadableSpan] | None]) -> None:
        self._outbox = outbox

    def on_end(self, span: ReadableSpan) -> None:
        """Queue the span; never blocks, never raises."""
        try:
            outbox = self._outbox()
            if outbox is not None and span.context is not None and span.context.trace_flags.sampled:
                outbox.put(span)
        except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
            fault("the queue of spans", problem)

    def shutdown(self) -> None:
        """Send what is queued before a host's provider goes down; the outbox itself is closed by the runtime."""
        self.force_flush(round(SHUTDOWN_SECONDS * 1000))

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is queued; False when that took longer than `timeout_millis`."""
        outbox = self._outbox()
        return outbox is None or outbox.flush(timeout_millis / 1000)
