"""Sends GPU metrics for as long as a process or an agent lives: `watch`, and the `Watch` behind it.

One thread samples; what it collects goes to an outbox, whose thread sends it over OTLP/HTTP. A collector that is away
costs a bounded queue and a log line a minute; nobody waits for it.
"""

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry.sdk.resources import Resource

from andon.accelerators import process_resource
from andon.gpu.nvml import NvmlUnavailableError, load_binding
from andon.gpu.samples import Reading, Sample
from andon.gpu.sampling import session
from andon.gpu.scope import scope_of_process
from andon.guard import never_raises
from andon.notices import Loss, losses, warn_once
from andon.outbox import Outbox
from andon.runtime import runtime
from andon.settings import QueueLimits, is_disabled

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData

INTERVAL_SECONDS: Final = 10.0
POWER_SECONDS: Final = 1.0
# Ten minutes of samples, about 40 kB each for eight GPUs.
METRIC_QUEUE: Final = QueueLimits(max_items=60, max_batch=1, delay_seconds=1.0)


class Gpus(Protocol):
    """Where samples come from; the NVML session of this process."""

    def samples(self) -> tuple[Sample, ...]:
        """Return every GPU in full; raises `NvmlUnavailableError`."""
        ...

    def readings(self) -> dict[str, Reading]:
        """Return power and energy by UUID; raises `NvmlUnavailableError`."""
        ...


def own_gpus(samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """Return the GPUs that this process can use."""
    uuids = set(scope_of_process(samples).uuids)
    return tuple(sample for sample in samples if sample.uuid in uuids)


class Watch:
    """Samples power every second and everything every `interval_seconds`, and sends it.

    Args:
        url: whole address for metrics.
        interval_seconds: between two exports.
        choose: which of the GPUs are sent.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str] | None,
        resource: Resource,
        interval_seconds: float = INTERVAL_SECONDS,
        choose: Callable[[tuple[Sample, ...]], tuple[Sample, ...]] = lambda samples: samples,
        gpus: Gpus = session,
    ) -> None:
        # Late, since it loads OpenTelemetry's metrics SDK, which takes as long as all of `import andon`.
        from andon.gpu.metrics import HardwareMetrics
        from andon.metric_exporter import MetricSender

        self._gpus = gpus
        self._choose = choose
        self._interval_seconds = interval_seconds
        self._metrics = HardwareMetrics(resource)
        self._outbox: Outbox[MetricsData] = Outbox(
            "GPU samples", METRIC_QUEUE, lambda: MetricSender(url, headers), losses
        )
        self._chosen: frozenset[str] = frozenset()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="andon gpu watch", daemon=True)

    @property
    def alive(self) -> bool:
        """Whether it samples, in this process."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def start_closing(self) -> None:
        """Sample a last time, send it and end; returns at once."""
        self._closing.set()

    def finish_closing(self, deadline: float) -> None:
        """Wait until all is sent or `deadline` (time.monotonic) has passed."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self._outbox.start_closing()
        self._outbox.finish_closing(deadline)

    def _work(self) -> None:
        power_seconds = min(POWER_SECONDS, self._interval_seconds)
        export_at = time.monotonic()
        while not self._closing.is_set():
            if time.monotonic() >= export_at:
                export_at = max(export_at + self._interval_seconds, time.monotonic())
                self._tick(self._export)
            else:
                self._tick(self._read_power)
            self._closing.wait(power_seconds)
        self._tick(self._export)

    def _tick(self, do: Callable[[], None]) -> None:
        try:
            do()
        except NvmlUnavailableError as error:
            warn_once("gpu.unavailable", "%s", error)
        except Exception as error:  # noqa: BLE001 - the next tick may go well
            losses.add(Loss.FAULT, 1, f"andon.gpu.watch failed with {type(error).__name__}: {error}")

    def _export(self) -> None:
        samples = self._choose(self._gpus.samples())
        self._chosen = frozenset(sample.uuid for sample in samples)
        data = self._metrics.collect(samples)
        if data is not None:
            self._outbox.put(data)

    def _read_power(self) -> None:
        readings = self._gpus.readings()
        self._metrics.add({uuid: reading for uuid, reading in readings.items() if uuid in self._chosen})


_watch: Watch | None = None


@never_raises
def watch(interval_seconds: float = INTERVAL_SECONDS) -> None:
    """Keep sending metrics of the GPUs that this process can use, until `andon.shutdown`.

    Call it after `andon.init`; a second call changes nothing. Where a launcher starts several processes on a host
    (`LOCAL_RANK`), the first of them sends. Where `andon agent` runs on the host, leave it out.

    Args:
        interval_seconds: between two exports, above 0.
    """
    global _watch
    if is_disabled(os.environ):
        return
    settings = runtime.settings
    if settings is None:
        runtime.tell_if_forgotten()
        return
    if not 0 < interval_seconds < float("inf"):
        warn_once("gpu.interval", "andon.gpu.watch: interval_seconds=%r is ignored; allowed: above 0", interval_seconds)
        interval_seconds = INTERVAL_SECONDS
    if os.environ.get("LOCAL_RANK", "0") != "0" or (_watch is not None and _watch.alive):
        return
    try:
        # Here, and not on the thread: a process that is forked in the middle of an import waits for it for ever.
        load_binding()
    except NvmlUnavailableError as error:
        warn_once("gpu.unavailable", "%s", error)
        return
    found = Watch(
        settings.metrics_url, settings.headers, process_resource(settings.resource), interval_seconds, own_gpus
    )
    if runtime.accompany(found):
        _watch = found
        found.start()
