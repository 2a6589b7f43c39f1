"""The tests that need the clients run in environments of their own, which this runs and whose outcome it reports."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.peers import missing

pytestmark = pytest.mark.long

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


@pytest.mark.parametrize("name", ["libraries", "local"])
def test_usage_is_read_off_the_clients_own_types(name: str) -> None:
    python = HERE / name / ".venv" / "bin" / "python"
    if not python.exists():
        missing(f"the clients of {name}", f"uv sync --project {(HERE / name).relative_to(ROOT)}")
    # Those environments have no pytest-xdist, which the options of pyproject.toml ask for.
    command = [python, "-m", "pytest", "-o", "addopts=", "-q", "-W", "ignore", "-p", "no:cacheprovider"]
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [*command, "--confcutdir", HERE.parent, HERE / name],
        cwd=ROOT,
        env=inherited,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
