"""GPUs that are not there: the real nvidia-ml-py over a driver library that answers from a file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.peers import require

STUB = Path(__file__).with_name("nvml_stub.c")

H100 = {
    "uuid": "GPU-aaaaaaaa-0000-0000-0000-000000000000",
    "name": "NVIDIA H100 80GB HBM3",
    "power_mw": 312_500,
    "energy_mj": 5_000_000_000,
    "utilization": 87,
    "memory_used": 20 * 2**30,
    "memory_total": 80 * 2**30,
    "temperature": 61,
    "ecc_corrected": 4,
    "ecc_uncorrected": 0,
    "rows_pending": 0,
    "rows_failed": 0,
    "mig": 0,
    "pids": "",
}
SECOND = "GPU-bbbbbbbb-0000-0000-0000-000000000000"


@dataclass
class StubbedDriver:
    """What NVML says, and the environment that makes a program ask it.

    Attributes:
        state: lines of the file, see nvml_stub.c.
    """

    library: Path
    path: Path
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        """Variables for a program that is to see these GPUs."""
        return {"LD_LIBRARY_PATH": str(self.library.parent), "NVML_STUB_STATE": str(self.path)}

    def has(self, *gpus: dict[str, Any], driver: str = "580.65.06") -> None:
        """These are the GPUs from now on."""
        self.state = {"count": len(gpus), "driver": driver}
        for index, gpu in enumerate(gpus):
            self.state |= {f"gpu{index}.{name}": value for name, value in gpu.items()}
        self.says()

    def says(self, changes: dict[str, Any] | None = None) -> None:
        """From now on this is different; None takes a line away."""
        self.state |= changes or {}
        self.path.with_suffix(".new").write_text(
            "".join(f"{name}={value}\n" for name, value in self.state.items() if value is not None)
        )
        self.path.with_suffix(".new").replace(self.path)


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stub, compiled."""
    require("cc", "a C compiler makes the stub of NVML; apt-get install gcc libc6-dev")
    require("pynvml", "pip install nvidia-ml-py")
    library = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", library, STUB], check=True)
    return library


@pytest.fixture
def driver(nvml_library: Path, tmp_path: Path) -> StubbedDriver:
    """A driver that shows one H100."""
    found = StubbedDriver(nvml_library, tmp_path / "state")
    found.has(H100)
    return found


@pytest.fixture
def start_agent() -> Iterator[Any]:
    """Starts `andon agent` as a process of its own; ends those that still run when the test has ended."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, **env: str) -> subprocess.Popen[str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "ANDON_"))}
        command = [sys.executable, "-m", "cli.main", "agent", *words]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**inherited, "NO_PROXY": "127.0.0.1", **env},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=30)
