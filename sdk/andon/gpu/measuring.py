"""`with andon.gpu.energy() as e:` - the joules of a block of code, read in the background while it runs.

Takes readings from the NVML session, adds them up, and hands them to the caller's `Energy`. Sends nothing.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from andon.gpu.energy import Energy, WindowMeter
from andon.gpu.nvml import NvmlUnavailableError
from andon.gpu.sampling import session
from andon.gpu.scope import Scope, scope_of_process
from andon.guard import never_raises
from andon.notices import warn_once
from andon.settings import is_disabled

INTERVAL_SECONDS: Final = 0.1
STOP_SECONDS: Final = 1.0


class _Recorder:
    """Reads the GPUs of this process every `interval_seconds`, from the first to the last line of the block."""

    def __init__(self, interval_seconds: float) -> None:
        self._interval_seconds = interval_seconds
        self._scope = Scope()
        self._meters: dict[str, WindowMeter] = {}
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @never_raises
    def start(self) -> None:
        if is_disabled(os.environ):
            return
        try:
            self._scope = scope_of_process(session.samples())
            self._meters = {uuid: WindowMeter() for uuid in self._scope.uuids}
            self._read()
        except NvmlUnavailableError as error:
            warn_once("gpu.unavailable", "%s", error)
            self._meters = {}
            return
        if not self._scope.whole:
            warn_once("gpu.part", "andon.gpu.energy: the energy of a MIG instance is not counted by anybody: unknown")
        self._thread = threading.Thread(target=self._work, name="andon gpu energy", daemon=True)
        self._thread.start()

    @never_raises
    def stop(self, energy: Energy) -> None:
        if self._thread is None:
            return
        self._ended.set()
        self._thread.join(STOP_SECONDS)
        energy.whole = self._scope.whole
        if not self._thread.is_alive():
            self._read()
            energy.gpus = {uuid: meter.window() for uuid, meter in self._meters.items()}

    @never_raises
    def _work(self) -> None:
        while not self._ended.wait(self._interval_seconds):
            self._read()

    def _read(self) -> None:
        readings = session.readings()
        for uuid, meter in self._meters.items():
            if uuid in readings:
                meter.add(readings[uuid])


@contextmanager
def energy(interval_seconds: float = INTERVAL_SECONDS) -> Iterator[Energy]:
    """Measure the energy of the GPUs that this process can use, over a `with` block.

    The counter moves in steps of up to 100 ms and power is smoothed by the card: measure seconds, not milliseconds.

    Args:
        interval_seconds: between two readings of power.

    Yields:
        The measurement; its numbers are there when the block has ended.
    """
    measured = Energy()
    recorder = _Recorder(interval_seconds)
    recorder.start()
    try:
        yield measured
    finally:
        recorder.stop(measured)
