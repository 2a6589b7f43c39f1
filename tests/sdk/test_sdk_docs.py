"""The guide is a test: every example runs as it stands, every variable and attribute is in it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from andon import attributes, measuring
from andon.activation import CONTENT_SWITCHES
from andon.gpu import metrics

from tests.peers import require

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/sdk.md").read_text()
README = (ROOT / "sdk/README.md").read_text()
SOURCES = "\n".join(path.read_text() for path in sorted((ROOT / "sdk/andon").rglob("*.py")))

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

EXAMPLES = re.findall(r"```python\n(.*?)```", GUIDE + README, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_runs_as_it_stands_and_is_received(collector: Any, run_program: Any, example: str) -> None:
    assert "andon.init(" in example
    address = "http://127.0.0.1:4318"
    done = run_program(example.replace(address, collector.url), OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    # The one example about GPUs says on a machine without them what is missing.
    assert [line for line in done.stderr.splitlines() if not line.startswith("GPUs cannot be read: ")] == []
    names = {span.name for span in collector.spans}
    assert names >= set(re.findall(r'andon\.(?:stage|pipeline)\("([^"]+)"', example))
    assert bool(collector.log_records) is ("andon.observe(" in example)
    assert names or collector.log_records


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_into_a_page_lead_to_a_heading_of_it(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([\w.-]*)#([^)]+)\)", page.read_text(encoding="utf-8")):
        assert heading in headings(page.parent / target if target else page), f"{page.name}: {target}#{heading}"


def headings(page: Path) -> set[str]:
    """Headings of a page as links name them: small letters and digits, hyphens for blanks."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def test_the_guides_lead_to_each_other() -> None:
    guides = {"sdk.md", "clients.md", "agent.md", "collector.md", "benchmarks-sdk.md"}
    links = {page.name: set(re.findall(r"\]\((?:docs/)?([\w-]+\.md)", page.read_text())) for page in PAGES}
    assert links["README.md"] >= guides
    assert links["sdk.md"] >= guides - {"sdk.md"}
    assert all("sdk.md" in links[name] for name in guides - {"sdk.md"})


def test_every_client_that_is_read_has_a_heading_in_the_guide() -> None:
    package = ROOT / "sdk/andon/clients"
    rooms = {"__init__", "client", "meter", "parts", "reading", "table", "tensors", "watch"}
    found = re.findall(r"^## (.+)$", (ROOT / "docs/clients.md").read_text(), re.MULTILINE)
    guide = " ".join(found).lower().replace("llamaindex", "llama_index")
    clients = {path.stem for path in package.glob("*.py")} - rooms
    assert len(clients) == 12
    assert [name for name in clients if name not in guide] == []


def test_every_variable_that_the_sdk_reads_is_in_the_guide() -> None:
    read = set(re.findall(r'"((?:OTEL|ANDON)_[A-Z_]+)"', SOURCES)) - {"OTEL_BSP", "OTEL_BLRP"}
    assert read >= {"ANDON_ENDPOINT", "ANDON_DISABLED", "OTEL_EXPORTER_OTLP_ENDPOINT"}
    missing = {name for name in read if f"`{name}`" not in GUIDE}
    assert not missing


def test_every_metric_of_a_gpu_is_in_the_guide() -> None:
    constants = {value for name, value in vars(metrics).items() if name.isupper() and isinstance(value, str)}
    names = {value for value in constants if value.startswith(("hw.", "andon."))} - {metrics.SCOPE_NAME}
    assert len(names) == 10
    assert [name for name in names if f"`{name}`" not in GUIDE] == []


def test_every_metric_of_usage_is_in_both_guides() -> None:
    names = {value for value in vars(measuring).values() if str(value).startswith(("gen_ai.client.", "andon.rows"))}
    assert len(names) == 5
    assert [name for name in names for page in (GUIDE, README) if f"`{name}`" not in page] == []


def test_every_variable_that_names_accelerators_is_in_the_guide() -> None:
    read = re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', (ROOT / "sdk/andon/visibility.py").read_text())
    assert "CUDA_VISIBLE_DEVICES" in read
    assert [name for name in read if f"`{name}`" not in GUIDE] == []


def test_every_attribute_that_the_sdk_writes_is_in_the_guide() -> None:
    names = [value for name, value in vars(attributes).items() if name.isupper() and isinstance(value, str)]
    assert [name for name in names if f"`{name}{'' if name.endswith('.') else '`'}" not in GUIDE] == []


def test_every_switch_that_activate_sets_is_in_the_guide() -> None:
    assert [name for name in CONTENT_SWITCHES if f"`{name}`" not in GUIDE] == []


def test_the_guide_says_which_versions_of_the_families_are_tested() -> None:
    tested = tomllib.loads((ROOT / "tests/interop/environments.toml").read_text())
    rows = [line for line in GUIDE.splitlines() if line.startswith("|")]
    for name, environment in tested.items():
        package, version = environment["packages"][0].split("==")
        assert any(package in row and version in row for row in rows), (name, package, version)


def test_the_benchmark_runs(run_program: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    results = tmp_path / "results.json"
    arguments = ["sdk", "--quick", "--json", str(results)]
    done = run_program(
        f"import runpy, sys; sys.argv = {arguments!r}; runpy.run_module('benchmarks.sdk', run_name='__main__')"
    )
    lines = done.stdout.splitlines()
    for shape in ("sync", "async", "stream of 100"):
        rows = [line for line in lines if line.startswith(f"{shape}  ")]
        assert [re.split(r" {2,}", row)[1] for row in rows] == [
            "bare call",
            "plain OpenTelemetry",
            "andon",
            "andon, ANDON_DISABLED",
        ]
    assert len([line for line in lines if line.endswith(("PASS", "MISS"))]) == 7

    # A fair comparison: the plain span carries the attributes that ours does.
    recorded = {(cost["way"], cost["shape"]): cost["attributes"] for cost in json.loads(results.read_text())["costs"]}
    for shape in ("sync", "async", "stream of 100"):
        assert recorded["plain", shape] == recorded["andon", shape] != []


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
