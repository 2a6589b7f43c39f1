"""GPU samples as OpenTelemetry metrics, by the hardware conventions: observable instruments over the newest sample.

Imports OpenTelemetry's metrics SDK, and is therefore itself imported by those who send metrics only. Takes samples,
returns what an OTLP exporter takes. What a sample does not know makes no data point.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricsData
from opentelemetry.sdk.resources import Resource

from andon import attributes
from andon.gpu.energy import Growth, Integral
from andon.gpu.samples import MigInstance, Reading, Sample, Status

SCOPE_NAME: Final = "andon.gpu"
SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
VENDOR: Final = "NVIDIA"

ENERGY: Final = "hw.energy"
ENERGY_INTEGRATED: Final = "andon.gpu.energy.integrated"
POWER: Final = "hw.power"
UTILIZATION: Final = "hw.gpu.utilization"
MEMORY_USAGE: Final = "hw.gpu.memory.usage"
MEMORY_LIMIT: Final = "hw.gpu.memory.limit"
MEMORY_UTILIZATION: Final = "hw.gpu.memory.utilization"
TEMPERATURE: Final = "hw.temperature"
ERRORS: Final = "hw.errors"
STATUS: Final = "hw.status"

Points = Iterable[tuple[float | None, Mapping[str, str]]]


class HardwareMetrics:
    """The instruments, and the sums that must outlast a single sample.

    Counters count from the first sample on, not from the driver's start: a restart of the sender then begins a new
    series at zero, and no receiver takes the whole past for growth.
    """

    def __init__(self, resource: Resource) -> None:
        self._samples: Sequence[Sample] = ()
        self._energy: dict[str, Growth] = {}
        self._integral: dict[str, Integral] = {}
        self._errors: dict[tuple[str, str], Growth] = {}
        self._reader = InMemoryMetricReader()
        self._provider = MeterProvider([self._reader], resource, shutdown_on_exit=False)
        self._make_instruments()

    def add(self, readings: Mapping[str, Reading]) -> None:
        """Take power and energy between two exports, by UUID."""
        for uuid, reading in readings.items():
            self._energy.setdefault(uuid, Growth()).add(reading.energy_joules)
            self._integral.setdefault(uuid, Integral()).add(reading)

    def collect(self, samples: Sequence[Sample]) -> MetricsData | None:
        """Return what `samples` say, ready to be exported; None if that is nothing."""
        self._samples = samples
        self.add({sample.uuid: sample.reading for sample in samples})
        for sample in samples:
            for kind, count in _error_counts(sample):
                self._errors.setdefault((sample.uuid, kind), Growth()).add(count)
        return self._reader.get_metrics_data()

    def _make_instruments(self) -> None:
        meter = self._provider.get_meter(SCOPE_NAME, schema_url=SCHEMA_URL)
        meter.create_observable_counter(
            ENERGY, [self._of_each(self._counted)], "J", "Energy by the GPU's own counter, since the first sample."
        )
        meter.create_observable_counter(
            ENERGY_INTEGRATED,
            [self._of_each(self._integrated)],
            "J",
            "Power integrated over time since the first sample, without gaps above 3 s: checks hw.energy.",
        )
        meter.create_observable_gauge(
            POWER, [self._of_each(lambda sample: [(sample.power_watts, {})])], "W", "Power of the board."
        )
        meter.create_observable_gauge(
            UTILIZATION,
            [self._of_each(lambda sample: [(sample.utilization, {attributes.HW_GPU_TASK: "general"})])],
            "1",
            "Share of time in which a kernel ran.",
        )
        meter.create_observable_up_down_counter(MEMORY_USAGE, [self._of_each(_memory_used)], "By", "Memory in use.")
        meter.create_observable_up_down_counter(MEMORY_LIMIT, [self._of_each(_memory_total)], "By", "Memory there is.")
        meter.create_observable_gauge(MEMORY_UTILIZATION, [self._of_each(_memory_share)], "1", "Share in use.")
        meter.create_observable_gauge(
            TEMPERATURE,
            [self._of_each(lambda sample: [(sample.temperature_celsius, {})])],
            "Cel",
            "Temperature of the chip.",
        )
        meter.create_observable_counter(
            ERRORS, [self._of_each(self._grown_errors)], "{error}", "ECC errors of the memory since the first sample."
        )
        meter.create_observable_up_down_counter(
            STATUS, [self._of_each(_states)], "1", "1 for the state that holds, 0 for the others."
        )

    def _of_each(self, points: Callable[[Sample], Points]) -> Callable[[CallbackOptions], Iterator[Observation]]:
        def observe(_: CallbackOptions) -> Iterator[Observation]:
            for sample in self._samples:
                for value, more in points(sample):
                    if value is not None:
                        yield Observation(value, {**gpu_attributes(sample), **more})

        return observe

    def _counted(self, sample: Sample) -> Points:
        return [(self._energy[sample.uuid].total if sample.energy_joules is not None else None, {})]

    def _integrated(self, sample: Sample) -> Points:
        integral = self._integral[sample.uuid]
        return [(integral.joules if sample.power_watts is not None else None, {})]

    def _grown_errors(self, sample: Sample) -> Points:
        return [
            (None if count is None else self._errors[sample.uuid, kind].total, {attributes.ERROR_TYPE: kind})
            for kind, count in _error_counts(sample)
        ]


def gpu_attributes(sample: Sample) -> dict[str, str]:
    """Return what identifies a GPU; `hw.id` is its UUID, as DCGM has it."""
    found = {
        attributes.HW_ID: sample.uuid,
        attributes.HW_TYPE: "gpu",
        attributes.HW_NAME: f"GPU {sample.index}",
        attributes.HW_VENDOR: VENDOR,
    }
    more = {attributes.HW_MODEL: sample.name, attributes.HW_DRIVER_VERSION: sample.driver_version}
    return found | {name: value for name, value in more.items() if value is not None}


def _mig_attributes(sample: Sample, instance: MigInstance) -> dict[str, str]:
    name = f"GPU {sample.index} MIG {instance.profile}" if instance.profile else f"GPU {sample.index} MIG"
    return {attributes.HW_ID: instance.uuid, attributes.HW_NAME: name, attributes.HW_PARENT: sample.uuid}


def _memory_used(sample: Sample) -> Points:
    yield sample.memory_used_bytes, {}
    for instance in sample.mig_instances:
        yield instance.memory_used_bytes, _mig_attributes(sample, instance)


def _memory_total(sample: Sample) -> Points:
    yield sample.memory_total_bytes, {}
    for instance in sample.mig_instances:
        yield instance.memory_total_bytes, _mig_attributes(sample, instance)


def _memory_share(sample: Sample) -> Points:
    yield _share(sample.memory_used_bytes, sample.memory_total_bytes), {}
    for instance in sample.mig_instances:
        yield _share(instance.memory_used_bytes, instance.memory_total_bytes), _mig_attributes(sample, instance)


def _share(used: int | None, total: int | None) -> float | None:
    return used / total if used is not None and total else None


def _error_counts(sample: Sample) -> tuple[tuple[str, int | None], ...]:
    return ("corrected", sample.corrected_errors), ("uncorrected", sample.uncorrected_errors)


def _states(sample: Sample) -> Points:
    for status in Status:
        holds = None if sample.status is None else int(sample.status is status)
        yield holds, {attributes.HW_STATE: status.value}
