"""The benchmark of a token's joules says in one line why nothing was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.sdk.gpu.conftest import StubbedDriver

ROOT = Path(__file__).parents[3]
RUN = "import sys; sys.argv = ['gpu']; {before}\nfrom benchmarks.gpu import main\nprint(main())"


@pytest.mark.parametrize(
    ("before", "env", "reason"),
    [
        ("sys.modules['pynvml'] = None", {}, "no GPU"),
        ("", {"CUDA_VISIBLE_DEVICES": ""}, "no GPU is this process' own"),
        ("sys.modules['torch'] = None", {}, "torch is not installed"),
    ],
)
def test_what_is_missing_is_said_in_one_line_and_is_no_error(
    run_program: Any,
    driver: StubbedDriver,
    monkeypatch: pytest.MonkeyPatch,
    before: str,
    env: dict[str, str],
    reason: str,
) -> None:
    monkeypatch.chdir(ROOT)
    done = run_program(RUN.format(before=before), **driver.env, **env)
    said, code = done.stdout.splitlines()
    assert said.startswith(f"not measured: {reason}")
    assert code == "0"
    assert done.stderr == ""
