"""What is known of a GPU at one moment. Made by `andon.gpu.nvml`, read by metrics, the command line and users.

Units stand in the names. None is unknown: the card, the driver or the mode (MIG) does not tell.
"""

from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """How a GPU stands, in the words of the OpenTelemetry hardware conventions (`hw.state`)."""

    OK = "ok"
    DEGRADED = "degraded"
    """Memory had uncorrectable errors since the driver was loaded, or waits for a reset to be repaired."""
    FAILED = "failed"
    """Lost to the driver, or out of spare memory rows."""


@dataclass(frozen=True, slots=True)
class MigInstance:
    """A part of a GPU that is used as a GPU of its own.

    Attributes:
        profile: for example `1g.10gb`.
    """

    uuid: str
    profile: str | None
    memory_used_bytes: int | None
    memory_total_bytes: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """Power and energy of one GPU at one moment.

    Attributes:
        at_seconds: on a clock that never goes back.
        energy_joules: since the driver was loaded.
    """

    at_seconds: float
    power_watts: float | None
    energy_joules: float | None


@dataclass(frozen=True, slots=True)
class Sample:
    """One GPU at one moment.

    Attributes:
        index: NVML's number, in the order of PCI addresses.
        at_seconds: when, on a clock that never goes back.
        power_watts: of the whole board; newer cards report the mean of the last second.
        energy_joules: of the whole board since the driver was loaded.
        utilization: 0..1, share of time in which a kernel ran.
        corrected_errors: ECC errors since the driver was loaded; `uncorrected_errors` likewise.
        mig_enabled: whether the GPU is cut into instances; None where the card cannot be.
        pids: processes of this user that compute on it, as NVML numbers them.
    """

    uuid: str
    index: int
    at_seconds: float
    name: str | None = None
    driver_version: str | None = None
    power_watts: float | None = None
    energy_joules: float | None = None
    utilization: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    temperature_celsius: float | None = None
    corrected_errors: int | None = None
    uncorrected_errors: int | None = None
    status: Status | None = None
    mig_enabled: bool | None = None
    mig_instances: tuple[MigInstance, ...] = ()
    pids: tuple[int, ...] | None = None

    @property
    def reading(self) -> Reading:
        """Power and energy alone."""
        return Reading(self.at_seconds, self.power_watts, self.energy_joules)
