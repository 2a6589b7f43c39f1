"""The guide is a test: every example runs as it stands, every variable and attribute is in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from andon import attributes

from tests.peers import require

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/sdk.md").read_text()
README = (ROOT / "sdk/README.md").read_text()
SOURCES = "\n".join(path.read_text() for path in sorted((ROOT / "sdk/andon").glob("*.py")))

EXAMPLES = re.findall(r"```python\n(.*?)```", GUIDE + README, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_runs_as_it_stands_and_is_received(collector: Any, run_program: Any, example: str) -> None:
    assert "andon.init(" in example
    address = "http://127.0.0.1:4318"
    done = run_program(example.replace(address, collector.url), OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert done.stderr == ""
    assert collector.spans or collector.log_records


def test_every_variable_that_the_sdk_reads_is_in_the_guide() -> None:
    read = set(re.findall(r'"((?:OTEL|ANDON)_[A-Z_]+)"', SOURCES)) - {"OTEL_BSP", "OTEL_BLRP"}
    assert read >= {"ANDON_ENDPOINT", "ANDON_DISABLED", "OTEL_EXPORTER_OTLP_ENDPOINT"}
    missing = {name for name in read if f"`{name}`" not in GUIDE}
    assert not missing


def test_every_attribute_that_the_sdk_writes_is_in_the_guide() -> None:
    names = [value for name, value in vars(attributes).items() if name.isupper() and isinstance(value, str)]
    assert [name for name in names if name not in GUIDE] == []


def test_the_benchmark_runs(run_program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = run_program(
        "import runpy, sys; sys.argv = ['sdk', '--quick']; runpy.run_module('benchmarks.sdk', run_name='__main__')"
    )
    for shape in ("sync", "async", "stream of 100"):
        assert len([line for line in done.stdout.splitlines() if line.startswith(shape)]) == 3


def test_the_benchmark_of_observe_runs(run_program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    require("polars", "in the development environment: uv sync")
    monkeypatch.chdir(ROOT)
    done = run_program(
        "import runpy, sys; sys.argv = ['observe', '--quick']\n"
        "runpy.run_module('benchmarks.sdk.observe', run_name='__main__')"
    )
    for container in ("lists", "numpy", "pandas DataFrame", "Arrow Table", "polars DataFrame"):
        assert f"\n{container} " in done.stdout
    full = [line for line in done.stdout.splitlines() if line.startswith(("single rows", "batches", "one batch"))]
    for line in full:
        held, counted, traced = (float(part) for part in line.split()[-4:-1])
        assert held <= 20_000
        assert counted <= 32
        assert traced < counted + 5  # sampling a large batch takes some for a moment
    assert len(full) == 5
