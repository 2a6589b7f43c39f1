"""Accelerators: what NVIDIA GPUs draw, hold and do, by NVML.

`sample` reads every GPU of the host once, `energy` measures the joules of a block of code, `watch` keeps sending both
as OpenTelemetry `hw.*` metrics. Needs the extra `andon-sdk[gpu]`; without it, or without a driver, nothing is known,
the log says once what is missing, and nothing raises.
"""

from andon.gpu.energy import Energy, EnergyWindow
from andon.gpu.measuring import energy
from andon.gpu.samples import MigInstance, Sample, Status
from andon.gpu.sampling import sample
from andon.gpu.watching import watch

__all__ = ["Energy", "EnergyWindow", "MigInstance", "Sample", "Status", "energy", "sample", "watch"]
