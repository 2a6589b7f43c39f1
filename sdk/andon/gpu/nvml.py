"""Reads GPUs through NVML, with NVIDIA's own binding (`nvidia-ml-py`, imported here and only here).

What a card or a driver does not support is None. A GPU that is lost keeps its identity, for as long as this session
knew it, and has failed; the others are read on.
"""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from andon.gpu.samples import MigInstance, Reading, Sample, Status

_PROFILE: Final = re.compile(r"\bMIG (\S+)")
_MILLI: Final = 1000


class NvmlUnavailableError(Exception):
    """NVML cannot be used; the message says what to do."""


class _GpuLostError(Exception):
    """The driver has lost this GPU, or it must be reset."""


def load_binding() -> Any:
    """Import NVIDIA's binding, which takes some 70 ms the first time.

    Raises:
        NvmlUnavailableError: it is not installed.
    """
    try:
        import pynvml
    except ImportError:
        raise NvmlUnavailableError(
            "GPUs cannot be read: the Python package nvidia-ml-py is missing; pip install 'andon-sdk[gpu]'"
        ) from None
    return pynvml


class Nvml:
    """NVML, opened. Opening takes tens of milliseconds, reading a GPU about one.

    Raises:
        NvmlUnavailableError: no binding, no library, no driver.
    """

    def __init__(self) -> None:
        self._nvml = load_binding()
        self._identities: dict[int, tuple[str, str | None]] = {}
        try:
            self._nvml.nvmlInit()
        except self._nvml.NVMLError as error:
            raise NvmlUnavailableError(self._advice(error)) from None
        self.driver_version: str | None = self._text("nvmlSystemGetDriverVersion")

    def close(self) -> None:
        """Let go of the driver."""
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            return

    def samples(self) -> tuple[Sample, ...]:
        """Return every GPU in full.

        Raises:
            NvmlUnavailableError: the driver is gone.
        """
        return tuple(self._sample(index, uuid, name, handle) for index, uuid, name, handle in self._gpus())

    def readings(self) -> dict[str, Reading]:
        """Return power and energy of every GPU, by UUID: the two calls that are cheap enough for many times a second.

        Raises:
            NvmlUnavailableError: the driver is gone.
        """
        found: dict[str, Reading] = {}
        for _, uuid, _, handle in self._gpus():
            now = time.monotonic()
            try:
                found[uuid] = Reading(now, *self._power_and_energy(handle))
            except _GpuLostError:
                found[uuid] = Reading(now, None, None)
        return found

    def _gpus(self) -> Iterator[tuple[int, str, str | None, Any]]:
        try:
            count = self._nvml.nvmlDeviceGetCount()
        except self._nvml.NVMLError as error:
            raise NvmlUnavailableError(self._advice(error)) from None
        for index in range(count):
            handle = None
            try:
                handle = self._ask("nvmlDeviceGetHandleByIndex", index)
                if handle is not None and index not in self._identities:
                    uuid = self._text("nvmlDeviceGetUUID", handle)
                    if uuid is not None:
                        self._identities[index] = uuid, self._text("nvmlDeviceGetName", handle)
            except _GpuLostError:
                pass
            if index in self._identities:
                yield index, *self._identities[index], handle

    def _sample(self, index: int, uuid: str, name: str | None, handle: Any) -> Sample:
        now = time.monotonic()
        try:
            return self._living_sample(now, index, uuid, name, handle)
        except _GpuLostError:
            return Sample(uuid, index, now, name=name, driver_version=self.driver_version, status=Status.FAILED)

    def _living_sample(self, now: float, index: int, uuid: str, name: str | None, handle: Any) -> Sample:
        power, energy = self._power_and_energy(handle)
        rates = self._ask("nvmlDeviceGetUtilizationRates", handle)
        used, total = self._memory(handle)
        corrected, uncorrected = self._ecc_errors(handle)
        mode = self._ask("nvmlDeviceGetMigMode", handle)
        enabled = None if mode is None else bool(mode[0])
        return Sample(
            uuid=uuid,
            index=index,
            at_seconds=now,
            name=name,
            driver_version=self.driver_version,
            power_watts=power,
            energy_joules=energy,
            utilization=None if rates is None else rates.gpu / 100,
            memory_used_bytes=used,
            memory_total_bytes=total,
            temperature_celsius=self._temperature(handle),
            corrected_errors=corrected,
            uncorrected_errors=uncorrected,
            status=self._status(handle, uncorrected),
            mig_enabled=enabled,
            mig_instances=tuple(self._mig_instances(handle)) if enabled else (),
            pids=self._pids(handle),
        )

    def _power_and_energy(self, handle: Any) -> tuple[float | None, float | None]:
        if handle is None:
            raise _GpuLostError
        milliwatts = self._ask("nvmlDeviceGetPowerUsage", handle)
        millijoules = self._ask("nvmlDeviceGetTotalEnergyConsumption", handle)
        return (
            None if milliwatts is None else milliwatts / _MILLI,
            None if millijoules is None else millijoules / _MILLI,
        )

    def _memory(self, handle: Any) -> tuple[int | None, int | None]:
        memory = self._ask("nvmlDeviceGetMemoryInfo", handle)
        return (None, None) if memory is None else (memory.used, memory.total)

    def _temperature(self, handle: Any) -> float | None:
        sensor = self._nvml.NVML_TEMPERATURE_GPU
        celsius = self._ask("nvmlDeviceGetTemperatureV", handle, sensor)
        if celsius is None:  # a driver or a binding from before 2025
            celsius = self._ask("nvmlDeviceGetTemperature", handle, sensor)
        return None if celsius is None else float(celsius)

    def _ecc_errors(self, handle: Any) -> tuple[int | None, int | None]:
        nvml = self._nvml
        corrected, uncorrected = (
            self._ask("nvmlDeviceGetTotalEccErrors", handle, kind, nvml.NVML_VOLATILE_ECC)
            for kind in (nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED)
        )
        return corrected, uncorrected

    def _status(self, handle: Any, uncorrected: int | None) -> Status | None:
        remapped = self._ask("nvmlDeviceGetRemappedRows", handle)
        pending, failed = (None, None) if remapped is None else (bool(remapped[2]), bool(remapped[3]))
        if failed:
            return Status.FAILED
        if pending or uncorrected:
            return Status.DEGRADED
        return None if remapped is None and uncorrected is None else Status.OK

    def _mig_instances(self, handle: Any) -> Iterator[MigInstance]:
        for index in range(self._ask("nvmlDeviceGetMaxMigDeviceCount", handle) or 0):
            instance = self._ask("nvmlDeviceGetMigDeviceHandleByIndex", handle, index)
            uuid = None if instance is None else self._text("nvmlDeviceGetUUID", instance)
            if uuid is not None:
                profile = _PROFILE.search(self._text("nvmlDeviceGetName", instance) or "")
                yield MigInstance(uuid, profile and profile[1], *self._memory(instance))

    def _pids(self, handle: Any) -> tuple[int, ...] | None:
        processes = self._ask("nvmlDeviceGetComputeRunningProcesses", handle)
        return None if processes is None else tuple(sorted(p.pid for p in processes if _is_ours(p.pid)))

    def _text(self, function: str, *arguments: Any) -> str | None:
        text = self._ask(function, *arguments)
        return text.decode(errors="replace") if isinstance(text, bytes) else text

    def _ask(self, function: str, *arguments: Any) -> Any:
        """Call one function of NVML; None when this card, driver or binding has no answer."""
        call = getattr(self._nvml, function, None)
        if call is None:
            return None
        try:
            return call(*arguments)
        except self._nvml.NVMLError as error:
            if error.value in (self._nvml.NVML_ERROR_GPU_IS_LOST, self._nvml.NVML_ERROR_RESET_REQUIRED):
                raise _GpuLostError from None
            return None

    def _advice(self, error: Any) -> str:
        nvml = self._nvml
        advice = {
            nvml.NVML_ERROR_LIBRARY_NOT_FOUND: "libnvidia-ml.so.1 was not found; install the NVIDIA driver, or in a "
            "container let the NVIDIA runtime mount it (NVIDIA_DRIVER_CAPABILITIES=utility,compute)",
            nvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded; load the kernel module nvidia, or "
            "install the driver",
            nvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the NVIDIA driver was updated while it was loaded; restart the "
            "machine",
            nvml.NVML_ERROR_NO_PERMISSION: "this user may not open /dev/nvidia*",
        }.get(error.value, "see whether nvidia-smi works on this machine")
        return f"GPUs cannot be read: NVML says {str(error)!r}: {advice}"


def _is_ours(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}").stat().st_uid == os.getuid()
    except OSError:
        return False
