"""The one NVML session of this process, and `sample`, which reads it. Nothing leaves the process from here.

Opened by the first caller and kept, since opening costs more than reading; closed and opened anew when the driver went
away, and in a forked child.
"""

import os
import threading
from collections.abc import Callable
from typing import Final, TypeVar

from andon.gpu.nvml import Nvml, NvmlUnavailableError
from andon.gpu.samples import Reading, Sample
from andon.guard import never_raises
from andon.notices import warn_once
from andon.settings import is_disabled

T = TypeVar("T")


class Session:
    """An `Nvml` that is opened when it is needed."""

    def __init__(self, open_nvml: Callable[[], Nvml] = Nvml) -> None:
        self._open_nvml = open_nvml
        self._lock = threading.Lock()
        self._nvml: Nvml | None = None

    def samples(self) -> tuple[Sample, ...]:
        """Return every GPU in full.

        Raises:
            NvmlUnavailableError: NVML cannot be used.
        """
        return self._read(Nvml.samples)

    def readings(self) -> dict[str, Reading]:
        """Return power and energy of every GPU by UUID.

        Raises:
            NvmlUnavailableError: NVML cannot be used.
        """
        return self._read(Nvml.readings)

    def start_over_in_child(self) -> None:
        """Forget what the parent of a fork had opened."""
        self._lock = threading.Lock()
        self._nvml = None

    def _read(self, read: Callable[[Nvml], T]) -> T:
        with self._lock:
            if self._nvml is None:
                self._nvml = self._open_nvml()
            try:
                return read(self._nvml)
            except NvmlUnavailableError:
                self._nvml.close()
                self._nvml = None
                raise


session: Final = Session()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=session.start_over_in_child)


def sample() -> tuple[Sample, ...]:
    """Return every GPU of this host at this moment; empty where none can be read, and the log says once why.

    Reads only: nothing is sent. `watch` sends.
    """
    if is_disabled(os.environ):
        return ()
    return _sample() or ()


@never_raises
def _sample() -> tuple[Sample, ...]:
    try:
        return session.samples()
    except NvmlUnavailableError as error:
        warn_once("gpu.unavailable", "%s", error)
        return ()
