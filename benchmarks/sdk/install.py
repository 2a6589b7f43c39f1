"""An environment of its own for each way, and how much was installed into it.

Made by `uv` under `build/sdk-benchmark/`, which git ignores; made again when what `ways.toml` requires has changed, and
each time for the SDK of this checkout.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.sdk.crew import ROOT, Entry

FOLDER: Final = ROOT / "build" / "sdk-benchmark"
OWN: Final = "sdk"


@dataclass(frozen=True)
class Installed:
    """What an environment holds: bytes of all installed files (without compiled byte code), and versions by package."""

    size_bytes: int
    packages: dict[str, str]


def make(ways: Sequence[Entry]) -> dict[str, Path]:
    """Return the interpreter of each way that requires something; by the way's name.

    Raises:
        RuntimeError: there is no `uv`, or it could not install.
    """
    uv = shutil.which("uv")
    if uv is None:
        raise RuntimeError("uv is not on the PATH: it makes the environments; see https://docs.astral.sh/uv")
    return {entry.name: _environment(uv, entry) for entry in ways if entry.requires}


def _environment(uv: str, entry: Entry) -> Path:
    folder = FOLDER / entry.name
    interpreter = folder / "bin" / "python"
    stamp = folder / "requires.txt"
    wanted = "\n".join((sys.version, *entry.requires))
    if OWN not in entry.requires and stamp.exists() and stamp.read_text() == wanted:
        return interpreter
    packages = [str(ROOT / "sdk") if name == OWN else name for name in entry.requires]
    _run(uv, "venv", "--clear", "--python", sys.executable, str(folder))
    _run(uv, "pip", "install", "--refresh-package", "andon-sdk", "--python", str(interpreter), *packages)
    stamp.write_text(wanted)
    return interpreter


def _run(uv: str, *arguments: str) -> None:
    with tempfile.TemporaryDirectory() as elsewhere:  # where no workspace of ours constrains the versions of a peer
        done = subprocess.run([uv, *arguments], capture_output=True, text=True, check=False, cwd=elsewhere)
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")


def measure(interpreter: Path) -> Installed:
    """Return what is installed beside `interpreter`."""
    (site_packages,) = interpreter.parents[1].glob("lib/python*/site-packages")
    size = sum(
        path.stat().st_size for path in site_packages.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
    folders = (path.name.removesuffix(".dist-info") for path in site_packages.glob("*.dist-info"))
    return Installed(size, dict(sorted(tuple(folder.rsplit("-", 1)) for folder in folders)))
