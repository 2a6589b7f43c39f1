"""What the operating system says of this process, and which versions it runs. What cannot be known is None."""

from __future__ import annotations

import os
import platform
import resource
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("andon", "chdb", "clickhouse-connect", "pyarrow", "ptars")


def process_report() -> dict[str, Any]:
    """CPU seconds, bytes in RAM, open files, when it began and how long ago."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    began = _began()
    return {
        "cpu_seconds_total": used.ru_utime + used.ru_stime,
        "resident_bytes": _resident_bytes(),
        "open_files": _open_files(),
        "open_files_limit": resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        "start_time_seconds": began,
        "uptime_seconds": None if began is None else max(0.0, time.time() - began),
    }


@cache
def build_report() -> dict[str, str]:
    """Versions of Andon, Python and what does the heavy work."""
    return {"python": platform.python_version()} | {name.replace("-", "_"): _version(name) for name in _PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _resident_bytes() -> int | None:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _open_files() -> int | None:
    try:
        return len(list(Path("/proc/self/fd").iterdir()))
    except OSError:
        return None


@cache
def _began() -> float | None:
    """Unix time; the kernel tells it in ticks since the machine started."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
        up = float(Path("/proc/uptime").read_text().split()[0])
    except (OSError, ValueError):
        return None
    return time.time() - up + ticks / os.sysconf("SC_CLK_TCK")
