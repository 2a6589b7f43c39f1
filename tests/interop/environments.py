"""Builds the virtual environments of `environments.toml` under `.ci/peers`, each with the SDK of this checkout in it.

`python -m tests.interop.environments [NAME ...]` makes those that are missing or whose packages changed. The tests ask
here for the interpreter of an environment, and skip where it was not built.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests import peers

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".ci/peers"
SDK = ROOT / "sdk"


@dataclass(frozen=True)
class Environment:
    """One virtual environment: its name, its exact packages, and what is forced on their dependencies."""

    name: str
    packages: tuple[str, ...]
    overrides: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return FOLDER / self.name / "bin/python"

    @property
    def _built_of(self) -> Path:
        return FOLDER / self.name / "built_of.json"

    def _contents(self) -> dict[str, object]:
        return {
            "packages": list(self.packages),
            "overrides": list(self.overrides),
            "sdk": str(SDK),
            "sdk_project": (SDK / "pyproject.toml").read_text(),
            "python": sys.version,
        }

    def is_built(self) -> bool:
        """Whether it stands, and holds what it should."""
        return self._built_of.exists() and json.loads(self._built_of.read_text()) == self._contents()

    def build(self) -> None:
        """Make it anew.

        Raises:
            subprocess.CalledProcessError: uv failed; its output says why.
        """
        folder = FOLDER / self.name
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        forced = folder / "overrides.txt"
        forced.write_text("\n".join(self.overrides))
        # Away from this checkout: uv would hold the families to the versions that Andon itself is pinned to.
        install = ["uv", "pip", "install", "--quiet", "--python", str(self.python), "--override", str(forced)]
        subprocess.run([*install, *self.packages, "--editable", str(SDK)], check=True, cwd=ROOT.anchor)
        self._built_of.write_text(json.dumps(self._contents()))


def environments() -> dict[str, Environment]:
    """Every environment of the data file, by name."""
    found = tomllib.loads(Path(__file__).with_name("environments.toml").read_text())
    return {
        name: Environment(name, tuple(one["packages"]), tuple(one.get("overrides", ()))) for name, one in found.items()
    }


def interpreter(name: str) -> Path:
    """The interpreter of an environment; skips the test where it was not built, see `tests.peers`."""
    environment = environments()[name]
    if not environment.is_built():
        peers.missing(name, "build it with `python -m tests.interop.environments`")
    return environment.python


def main(names: list[str]) -> None:
    """Build what is missing; all environments, or just those named."""
    for name, environment in environments().items():
        if (not names or name in names) and not environment.is_built():
            print(f"building {environment.python.parents[1]}", flush=True)  # noqa: T201 - a script
            environment.build()


if __name__ == "__main__":
    main(sys.argv[1:])
