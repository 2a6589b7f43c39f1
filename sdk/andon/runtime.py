"""The one state of the SDK in this process: whether it records, through which tracer, into which queues.

Started by `andon.init`, stopped by `andon.shutdown` or at exit. The decorators and `record_tokens` read `tracer`, ended
spans go to `meter`, `observe` reads `observations`; all are None while nothing is recorded.
"""

import atexit
import os
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol, TypeAlias, runtime_checkable

from opentelemetry import metrics, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import ProxyTracerProvider, Tracer

from andon import attributes
from andon.accelerators import process_resource
from andon.exporters import ObservationSender, OutboxSpanProcessor, SpanSender
from andon.ids import OwnIdGenerator, new_run_id
from andon.metering import Meter, Sender, Sink
from andon.notices import log, losses, warn_once
from andon.observations import Observation
from andon.outbox import Outbox
from andon.sampling import RowBudget
from andon.settings import SHUTDOWN_SECONDS, Settings, is_disabled

SCOPE_NAME: Final = "andon"
SDK_VERSION: Final = "0.1.0"
Mask: TypeAlias = Callable[[str], str | None]
"""Gives a text as it may leave the process; None keeps it back."""

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


class Companion(Protocol):
    """What begins after `init` and ends with `shutdown`; an `Outbox` is one."""

    def start_closing(self) -> None:
        """Begin to end; returns at once."""
        ...

    def finish_closing(self, deadline: float) -> None:
        """Wait for the end, until `deadline` (time.monotonic) at most."""
        ...


class Runtime:
    """What is running; one instance in a process, `runtime`."""

    def __init__(self) -> None:
        self.tracer: Tracer | None = None
        self.observations: Outbox[Observation] | None = None
        self.meter: Meter | None = None
        self.mask: Mask | None = None
        self.row_budget = RowBudget(rows_per_second=0)
        # Switched off before the program began: then it stays off, and decorators leave functions as they are.
        self.disabled: Final = is_disabled(os.environ)
        self.off = self.disabled  # on purpose: nobody has to be told
        self.state = State.OFF if self.off else State.NEW
        # Reentrant: a signal handler may call `shutdown` in the middle of `init`.
        self._lock = threading.RLock()
        self._settings: Settings | None = None
        self._spans: Outbox[ReadableSpan] | None = None
        self._own_provider: TracerProvider | None = None
        self._companions: list[Companion] = []
        # Providers keep their processors when the recording ends.
        self._stamped: list[trace.TracerProvider] = []
        self._exported: list[_TakesProcessors] = []

    def __reduce__(self) -> str:
        # There is one in each process: what is pickled with a function names that of the process it comes to.
        return "runtime"

    def start(self, settings: Settings, mask: Mask | None = None) -> None:
        """Begin to record. A second start changes nothing."""
        with self._lock:
            if self.state is State.RUNNING:
                if settings != self._settings:
                    warn_once("init.twice", "andon.init was called before, with other settings; the first ones stay")
                return
            provider = trace.get_tracer_provider()
            if isinstance(provider, ProxyTracerProvider):
                provider = self._provide(settings)
            self._add_stamping(provider)
            if provider is self._own_provider or settings.endpoint_given:
                self._add_export(provider, settings)
            resource = getattr(provider, "resource", None) or process_resource(settings.resource)
            self.row_budget = RowBudget(settings.observed_rows_per_second)
            self.observations = self._observation_outbox(settings, resource)
            self.meter = self._meter(settings, resource)
            self.mask = mask
            self.tracer = provider.get_tracer(SCOPE_NAME, SDK_VERSION, schema_url=SCHEMA_URL)
            self._settings = settings
            self.state = State.RUNNING
            self.off = False
            atexit.register(self.stop, SHUTDOWN_SECONDS)

    def start_if_new(self, settings: Settings) -> bool:
        """Begin to record in a worker process, unless it has been told itself what to do; whether it begins."""
        if self.state is not State.NEW:
            return False
        self.start(settings)
        return True

    def settings_for_children(self) -> Settings | None:
        """Return what a worker process needs to record as this one; None where a provider of the host does."""
        own = self._own_provider is not None or (self._settings is not None and self._settings.endpoint_given)
        return self._settings if own else None

    def switch_off(self) -> None:
        """Record nothing, on request."""
        with self._lock:
            if self.state is not State.RUNNING:
                self.state = State.OFF
                self.off = True

    def stop(self, timeout_seconds: float) -> None:
        """Send what is queued, for at most `timeout_seconds`, and record nothing more."""
        deadline = time.monotonic() + min(timeout_seconds, threading.TIMEOUT_MAX / 2)
        with self._lock:
            if self.state is not State.RUNNING:
                return
            self.state = State.STOPPED
            self.off = True
            self.tracer = self.mask = None
            closing: list[Companion] = [
                part for part in (self._spans, self.observations, self.meter, *self._companions) if part is not None
            ]
            self._spans = self.observations = self.meter = None
            self._companions = []
            atexit.unregister(self.stop)
        for part in closing:
            part.start_closing()
        for part in closing:
            part.finish_closing(deadline)

    @property
    def settings(self) -> Settings | None:
        """What is in force; None while nothing is recorded."""
        return self._settings if self.state is State.RUNNING else None

    def accompany(self, companion: Companion) -> bool:
        """Let `companion` end with the recording; False while nothing is recorded."""
        with self._lock:
            if self.state is State.RUNNING:
                self._companions.append(companion)
            return self.state is State.RUNNING

    def tell_if_forgotten(self) -> None:
        """Say once that nothing is recorded because nobody called init."""
        if self.state is State.NEW:
            warn_once("init.never", "andon.init() has not been called: nothing is recorded")

    def _provide(self, settings: Settings) -> trace.TracerProvider:
        own = TracerProvider(resource=process_resource(settings.resource), id_generator=OwnIdGenerator())
        trace.set_tracer_provider(own)
        provider = trace.get_tracer_provider()
        if provider is own:
            self._own_provider = own
        return provider

    def _add_stamping(self, provider: trace.TracerProvider) -> None:
        from andon.stamping import StampingSpanProcessor  # stamping looks spans up, which look the runtime up

        if isinstance(provider, _TakesProcessors) and not any(provider is one for one in self._stamped):
            provider.add_span_processor(StampingSpanProcessor())
            self._stamped.append(provider)

    def adopt(self, provider: trace.TracerProvider) -> None:
        """Stamp and export what another provider than the program's own records, where spans are exported at all."""
        with self._lock:
            known = any(provider is one for one in self._stamped)
            if self._spans is None or known or not isinstance(provider, _TakesProcessors):
                return
            self._add_stamping(provider)
            self._export_from(provider)

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
        self._export_from(provider)

    def _export_from(self, provider: _TakesProcessors) -> None:
        if not any(provider is one for one in self._exported):
            provider.add_span_processor(OutboxSpanProcessor(lambda: self._spans))
            self._exported.append(provider)

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

    def _meter(self, settings: Settings, resource: Resource) -> Meter:
        scope = InstrumentationScope(SCOPE_NAME, SDK_VERSION, SCHEMA_URL)
        interval = settings.metric_interval_seconds
        host = metrics.get_meter_provider()
        if type(host).__module__.startswith("opentelemetry.metrics.") or settings.endpoint_given:

            def open_sender() -> Sender:
                from andon.metric_data import SumsSender

                return SumsSender(settings.metrics_url, settings.headers, one_process(resource), scope)

            return Meter(interval, open_sender, losses)

        def open_sink() -> Sink:
            from andon.metric_data import HostInstruments

            return HostInstruments(host, scope)

        return Meter(interval, None, losses, open_sink)


def one_process(resource: Resource) -> Resource:
    """Return `resource` with an id for this process: sums of two processes under one name could not be told apart."""
    return resource.merge(Resource({attributes.SERVICE_INSTANCE_ID: new_run_id()}))


runtime: Final = Runtime()

# A child forked in the middle of `init` would wait for it for ever, at its exit if not before.
if hasattr(os, "register_at_fork"):
    _lock = runtime._lock
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
