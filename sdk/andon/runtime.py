"""The one state of the SDK in this process: whether it records, through which tracer, into which queues.

Started by `andon.init`, stopped by `andon.shutdown` or at exit. The decorators and `record_tokens` read `tracer`,
`observe` reads `observations`; both are None while nothing is recorded.
"""

import atexit
import os
import threading
import time
from enum import Enum
from typing import Final, Protocol, runtime_checkable

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import ProxyTracerProvider, Tracer

from andon.exporters import ObservationSender, OutboxSpanProcessor, SpanSender
from andon.ids import OwnIdGenerator
from andon.notices import log, losses, warn_once
from andon.observations import Observation
from andon.outbox import Outbox
from andon.sampling import RowBudget
from andon.settings import SHUTDOWN_SECONDS, Settings, is_disabled

SCOPE_NAME: Final = "andon"
SDK_VERSION: Final = "0.1.0"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/gen-ai/1.42.0"


class State(Enum):
    """Where the SDK stands in its life."""

    NEW = "init has not been called"
    RUNNING = "recording"
    OFF = "switched off"
    STOPPED = "shut down"


@runtime_checkable
class _TakesProcessors(Protocol):
    def add_span_processor(self, span_processor: SpanProcessor) -> None: ...


class Runtime:
    """What is running; one instance in a process, `runtime`."""

    def __init__(self) -> None:
        self.tracer: Tracer | None = None
        self.observations: Outbox[Observation] | None = None
        self.row_budget = RowBudget(rows_per_second=0)
        self.state = State.OFF if is_disabled(os.environ) else State.NEW
        self._lock = threading.Lock()
        self._settings: Settings | None = None
        self._spans: Outbox[ReadableSpan] | None = None
        self._own_provider: TracerProvider | None = None

    def start(self, settings: Settings) -> None:
        """Begin to record. A second start changes nothing."""
        with self._lock:
            if self.state is State.RUNNING:
                if settings != self._settings:
                    warn_once("init.twice", "andon.init was called before, with other settings; the first ones stay")
                return
            provider = trace.get_tracer_provider()
            if isinstance(provider, ProxyTracerProvider):
                provider = self._provide(settings)
            if provider is self._own_provider or settings.endpoint_given:
                self._add_export(provider, settings)
            resource = getattr(provider, "resource", None) or Resource.create(dict(settings.resource))
            self.row_budget = RowBudget(settings.observed_rows_per_second)
            self.observations = self._observation_outbox(settings, resource)
            self.tracer = provider.get_tracer(SCOPE_NAME, SDK_VERSION, schema_url=SCHEMA_URL)
            self._settings = settings
            self.state = State.RUNNING
            atexit.register(self.stop, SHUTDOWN_SECONDS)

    def switch_off(self) -> None:
        """Record nothing, on request."""
        with self._lock:
            if self.state is not State.RUNNING:
                self.state = State.OFF

    def stop(self, timeout_seconds: float) -> None:
        """Send what is queued, for at most `timeout_seconds`, and record nothing more."""
        with self._lock:
            if self.state is not State.RUNNING:
                return
            self.state = State.STOPPED
            self.tracer = None
            outboxes = [outbox for outbox in (self._spans, self.observations) if outbox is not None]
            self._spans = self.observations = None
            atexit.unregister(self.stop)
        deadline = time.monotonic() + timeout_seconds
        for outbox in outboxes:
            outbox.start_closing()
        for outbox in outboxes:
            outbox.finish_closing(deadline)

    def tell_if_forgotten(self) -> None:
        """Say once that nothing is recorded because nobody called init."""
        if self.state is State.NEW:
            warn_once("init.never", "andon.init() has not been called: nothing is recorded")

    def _provide(self, settings: Settings) -> trace.TracerProvider:
        own = TracerProvider(resource=Resource.create(dict(settings.resource)), id_generator=OwnIdGenerator())
        trace.set_tracer_provider(own)
        provider = trace.get_tracer_provider()
        if provider is own:
            self._own_provider = own
        return provider

    def _add_export(self, provider: trace.TracerProvider, settings: Settings) -> None:
        if not isinstance(provider, _TakesProcessors):
            log.warning(
                "andon.init: spans are not sent to %s: the tracer provider %s takes no span processors",
                settings.traces_url,
                type(provider).__name__,
            )
            return
        url, headers = settings.traces_url, settings.headers
        self._spans = Outbox("spans", settings.spans, lambda: SpanSender(url, headers), losses)
        provider.add_span_processor(OutboxSpanProcessor(self._spans))

    def _observation_outbox(self, settings: Settings, resource: Resource) -> Outbox[Observation]:
        scope = InstrumentationScope(SCOPE_NAME, SDK_VERSION)
        limits = settings.observations

        def open_sender() -> ObservationSender:
            return ObservationSender(settings.logs_url, settings.headers, resource, scope, limits.max_batch)

        return Outbox(
            "observations",
            limits,
            open_sender,
            losses,
            weigh=lambda observation: observation.count,
            measure=lambda observation: observation.size_bytes,
        )


runtime: Final = Runtime()
