"""GPU samples as OpenTelemetry metrics: names, units, kinds and values by the hardware conventions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from andon.gpu.metrics import HardwareMetrics
from andon.gpu.samples import MigInstance, Reading, Sample, Status
from opentelemetry.sdk.metrics.export import Gauge, MetricsData, Sum
from opentelemetry.sdk.resources import Resource

GPU = Sample(
    uuid="GPU-a",
    index=0,
    at_seconds=100.0,
    name="NVIDIA H100 80GB HBM3",
    driver_version="580.65.06",
    power_watts=300.0,
    energy_joules=5000.0,
    utilization=0.87,
    memory_used_bytes=20,
    memory_total_bytes=80,
    temperature_celsius=61.0,
    corrected_errors=4,
    uncorrected_errors=0,
    status=Status.OK,
)
IDENTITY = {
    "hw.id": "GPU-a",
    "hw.type": "gpu",
    "hw.name": "GPU 0",
    "hw.vendor": "NVIDIA",
    "hw.model": "NVIDIA H100 80GB HBM3",
    "hw.driver_version": "580.65.06",
}


@pytest.fixture
def metrics() -> HardwareMetrics:
    """Instruments that have seen nothing yet."""
    return HardwareMetrics(Resource.get_empty())


def by_name(data: MetricsData | None) -> dict[str, Any]:
    """The metrics that were collected."""
    assert data is not None
    (resource,) = data.resource_metrics
    (scope,) = resource.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


def points(data: MetricsData | None) -> dict[str, list[tuple[float, dict[str, Any]]]]:
    """Values and the attributes that are not the GPU's identity."""
    return {
        name: [
            (point.value, {key: value for key, value in point.attributes.items() if IDENTITY.get(key) != value})
            for point in metric.data.data_points
        ]
        for name, metric in by_name(data).items()
    }


def test_each_number_has_the_name_unit_and_kind_of_the_conventions(metrics: HardwareMetrics) -> None:
    def kind(data: Any) -> str:
        if isinstance(data, Gauge):
            return "gauge"
        assert isinstance(data, Sum)
        return "counter" if data.is_monotonic else "updowncounter"

    found = by_name(metrics.collect([GPU]))
    assert {name: (metric.unit, kind(metric.data)) for name, metric in found.items()} == {
        "hw.energy": ("J", "counter"),
        "andon.gpu.energy.integrated": ("J", "counter"),
        "hw.power": ("W", "gauge"),
        "hw.gpu.utilization": ("1", "gauge"),
        "hw.gpu.memory.usage": ("By", "updowncounter"),
        "hw.gpu.memory.limit": ("By", "updowncounter"),
        "hw.gpu.memory.utilization": ("1", "gauge"),
        "hw.temperature": ("Cel", "gauge"),
        "hw.errors": ("{error}", "counter"),
        "hw.status": ("1", "updowncounter"),
    }


def test_each_point_says_which_gpu_it_is_of(metrics: HardwareMetrics) -> None:
    for metric in by_name(metrics.collect([GPU])).values():
        for point in metric.data.data_points:
            assert IDENTITY.items() <= dict(point.attributes).items()


def test_the_values_are_those_of_the_sample(metrics: HardwareMetrics) -> None:
    assert points(metrics.collect([GPU])) == {
        "hw.energy": [(0.0, {})],
        "andon.gpu.energy.integrated": [(0.0, {})],
        "hw.power": [(300.0, {})],
        "hw.gpu.utilization": [(0.87, {"hw.gpu.task": "general"})],
        "hw.gpu.memory.usage": [(20, {})],
        "hw.gpu.memory.limit": [(80, {})],
        "hw.gpu.memory.utilization": [(0.25, {})],
        "hw.temperature": [(61.0, {})],
        "hw.errors": [(0.0, {"error.type": "corrected"}), (0.0, {"error.type": "uncorrected"})],
        "hw.status": [(1, {"hw.state": "ok"}), (0, {"hw.state": "degraded"}), (0, {"hw.state": "failed"})],
    }


def test_counters_count_from_the_first_sample_on(metrics: HardwareMetrics) -> None:
    metrics.collect([GPU])
    metrics.add({"GPU-a": Reading(101.0, 400.0, 5340.0)})
    found = points(metrics.collect([replace(GPU, at_seconds=102.0, energy_joules=5700.0, corrected_errors=7)]))
    assert found["hw.energy"] == [(700.0, {})]
    # (300+400)/2 W x 1 s + (400+300)/2 W x 1 s
    assert found["andon.gpu.energy.integrated"] == [(700.0, {})]
    assert found["hw.errors"] == [(3.0, {"error.type": "corrected"}), (0.0, {"error.type": "uncorrected"})]


def test_a_counter_that_began_anew_grows_on(metrics: HardwareMetrics) -> None:
    metrics.collect([GPU])
    metrics.collect([replace(GPU, energy_joules=5100.0)])
    assert points(metrics.collect([replace(GPU, energy_joules=40.0)]))["hw.energy"] == [(140.0, {})]


def test_power_across_a_gap_is_not_integrated(metrics: HardwareMetrics) -> None:
    metrics.collect([GPU])
    metrics.collect([replace(GPU, at_seconds=101.0)])
    found = points(metrics.collect([replace(GPU, at_seconds=105.0, energy_joules=6500.0)]))
    assert found["andon.gpu.energy.integrated"] == [(300.0, {})]
    assert found["hw.energy"] == [(1500.0, {})]


def test_what_is_unknown_makes_no_point(metrics: HardwareMetrics) -> None:
    assert metrics.collect([Sample("GPU-a", 0, 0.0)]) is None
    assert set(points(metrics.collect([Sample("GPU-a", 0, 0.0, power_watts=90.0)]))) == {
        "hw.power",
        "andon.gpu.energy.integrated",
    }


def test_a_gpu_that_is_lost_has_a_state_and_nothing_else(metrics: HardwareMetrics) -> None:
    metrics.collect([GPU])
    lost = Sample("GPU-a", 0, 101.0, name=GPU.name, driver_version=GPU.driver_version, status=Status.FAILED)
    assert points(metrics.collect([lost])) == {
        "hw.status": [(0, {"hw.state": "ok"}), (0, {"hw.state": "degraded"}), (1, {"hw.state": "failed"})]
    }


def test_mig_instances_have_memory_of_their_own_and_name_their_gpu(metrics: HardwareMetrics) -> None:
    instance = MigInstance("MIG-1", "1g.10gb", memory_used_bytes=1, memory_total_bytes=10)
    found = points(metrics.collect([replace(GPU, mig_instances=(instance,))]))
    of_instance = {"hw.id": "MIG-1", "hw.name": "GPU 0 MIG 1g.10gb", "hw.parent": "GPU-a"}
    assert found["hw.gpu.memory.usage"] == [(20, {}), (1, of_instance)]
    assert found["hw.gpu.memory.limit"] == [(80, {}), (10, of_instance)]
    assert found["hw.gpu.memory.utilization"] == [(0.25, {}), (0.1, of_instance)]
    assert found["hw.power"] == [(300.0, {})]
