"""`andon.activate` turns on what is installed: once for each library, never with an exception, never with content.

The instrumentors here are small packages installed on disk for the test; the real ones are in tests/interop.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GENAI = "opentelemetry-util-genai"
OPENLLMETRY = "opentelemetry-semantic-conventions-ai"
OPENINFERENCE = "openinference-instrumentation"

MODULE = """
class Instrumentor:
    is_instrumented_by_opentelemetry = False
    def instrument(self, **_):
        {body}
        print("on", __name__)
        type(self).is_instrumented_by_opentelemetry = True
"""


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., None]:
    """Puts an instrumentation package on disk: its name, the entry point's name, and what it requires."""

    def install(
        package: str, entry_point: str, *requires: str, body: str = "pass", top: str = "", extra: str = ""
    ) -> None:
        module = package.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(top + MODULE.format(body=body))
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        needs = "".join(f"Requires-Dist: {name}>=1\n" for name in requires)
        needs += f"Requires-Dist: {extra}; extra == 'genai'\n" if extra else ""
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n{needs}")
        (info / "entry_points.txt").write_text(f"[opentelemetry_instrumentor]\n{entry_point} = {module}:Instrumentor\n")

    return install


Activate = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def activate(tmp_path: Path, run_program: Any) -> Activate:
    """Runs `print(andon.activate(...))` with those packages; the log goes to standard error."""

    def run(call: str = "andon.activate()", **env: str) -> subprocess.CompletedProcess[str]:
        program = (
            "import logging; logging.basicConfig(level=logging.INFO, format='%(levelname)s %(message)s')\n"
            f"import andon, os\nprint({call})\n"
        )
        done: subprocess.CompletedProcess[str] = run_program(program, PYTHONPATH=str(tmp_path), **env)
        return done

    return run


def test_without_names_what_records_ai_is_turned_on_and_http_and_databases_are_not(
    install: Any, activate: Activate
) -> None:
    install("opentelemetry-instrumentation-anthropic", "anthropic")
    install("opentelemetry-instrumentation-qdrant", "qdrant_client")
    install("opentelemetry-instrumentation-requests", "requests", "opentelemetry-util-http")
    install("opentelemetry-instrumentation-psycopg", "psycopg", "opentelemetry-instrumentation-dbapi")
    install("opentelemetry-instrumentation-botocore", "botocore", extra=GENAI)
    assert activate().stdout.splitlines()[-1] == "['anthropic', 'qdrant']"


@pytest.mark.parametrize("convention", [GENAI, OPENLLMETRY, OPENINFERENCE])
def test_an_unknown_one_built_on_conventions_for_ai_is_turned_on_too(
    install: Any, activate: Activate, convention: str
) -> None:
    install("opentelemetry-instrumentation-brandnew", "brandnew", convention)
    assert activate().stdout.splitlines() == ["on opentelemetry_instrumentation_brandnew", "['brandnew']"]


def test_with_names_just_these_are_turned_on_also_http_clients(install: Any, activate: Activate) -> None:
    install("opentelemetry-instrumentation-anthropic", "anthropic")
    install("opentelemetry-instrumentation-openai", "openai")
    install("opentelemetry-instrumentation-requests", "requests")
    assert activate('andon.activate("openai", "requests")').stdout.splitlines()[-1] == "['openai', 'requests']"


def test_of_two_families_for_one_library_only_the_preferred_is_turned_on_and_the_log_says_so(
    install: Any, activate: Activate
) -> None:
    install("openinference-instrumentation-llama-index", "llama_index", OPENINFERENCE)
    install("opentelemetry-instrumentation-llamaindex", "llama-index", OPENLLMETRY)
    done = activate()
    assert done.stdout.splitlines() == ["on opentelemetry_instrumentation_llamaindex", "['llama-index']"]
    assert "openinference-instrumentation-llama-index would record the same calls again" in done.stderr


def test_families_are_preferred_in_the_documented_order(install: Any, activate: Activate) -> None:
    install("openinference-instrumentation-openai", "openai", OPENINFERENCE)
    install("opentelemetry-instrumentation-openai", "openai", OPENLLMETRY)
    install("opentelemetry-instrumentation-openai-v2", "openai", GENAI)
    install("opentelemetry-instrumentation-genai-openai", "openai", GENAI)
    assert activate().stdout.splitlines()[0] == "on opentelemetry_instrumentation_genai_openai"


def test_a_package_named_in_full_is_the_one_that_is_turned_on(install: Any, activate: Activate) -> None:
    install("openinference-instrumentation-openai", "openai", OPENINFERENCE)
    install("opentelemetry-instrumentation-openai", "openai", OPENLLMETRY)
    done = activate('andon.activate("openinference-instrumentation-openai")')
    assert done.stdout.splitlines() == ["on openinference_instrumentation_openai", "['openai']"]


@pytest.mark.parametrize("fault", [{"top": "import nowhere_at_all\n"}, {"body": "raise OSError('no disk')"}])
def test_a_broken_one_is_named_once_with_the_reason_and_the_next_family_is_tried(
    install: Any, activate: Activate, fault: dict[str, str]
) -> None:
    install("opentelemetry-instrumentation-openai-v2", "openai", GENAI, **fault)
    install("openinference-instrumentation-openai", "openai", OPENINFERENCE)
    done = activate("[andon.activate(), andon.activate()]")
    assert done.stdout.splitlines()[-1] == "[['openai'], ['openai']]"
    (warning,) = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    assert "opentelemetry-instrumentation-openai-v2" in warning
    assert "nowhere_at_all" in warning or "no disk" in warning


def test_where_none_works_the_library_is_not_among_those_that_are_on(install: Any, activate: Activate) -> None:
    install("opentelemetry-instrumentation-openai-v2", "openai", GENAI, top="import nowhere_at_all\n")
    assert activate().stdout.splitlines() == ["[]"]


def test_what_is_instrumented_already_is_left_alone_and_counts_as_on(install: Any, activate: Activate) -> None:
    install("opentelemetry-instrumentation-openai", "openai", OPENLLMETRY)
    done = activate("[andon.activate(), andon.activate()]")
    assert done.stdout.splitlines() == ["on opentelemetry_instrumentation_openai", "[['openai'], ['openai']]"]


def test_a_name_that_is_not_installed_is_named_in_the_log(install: Any, activate: Activate) -> None:
    install("opentelemetry-instrumentation-openai", "openai", OPENLLMETRY)
    done = activate('andon.activate("opneai")')
    assert done.stdout.splitlines() == ["[]"]
    assert "'opneai'" in done.stderr
    assert "openai" in done.stderr.split("installed is that of:")[1]


@pytest.mark.parametrize("variable", ["ANDON_DISABLED", "OTEL_SDK_DISABLED"])
def test_disabled_turns_nothing_on(install: Any, activate: Activate, variable: str) -> None:
    install("opentelemetry-instrumentation-openai", "openai", OPENLLMETRY)
    assert activate(**{variable: "true"}).stdout.splitlines() == ["[]"]


def test_content_is_kept_out_before_anything_is_turned_on(install: Any, activate: Activate) -> None:
    told = "print(*sorted(n + '=' + v for n, v in os.environ.items() if n.startswith(('TRACELOOP', 'OPENINF'))))"
    install("opentelemetry-instrumentation-openai", "openai", OPENLLMETRY, top="import os\n", body=told)
    assert activate().stdout.splitlines()[0].split() == [
        "OPENINFERENCE_HIDE_EMBEDDINGS_TEXT=true",
        "OPENINFERENCE_HIDE_EMBEDDINGS_VECTORS=true",
        "OPENINFERENCE_HIDE_INPUTS=true",
        "OPENINFERENCE_HIDE_OUTPUTS=true",
        "TRACELOOP_TRACE_CONTENT=false",
    ]


def test_what_the_environment_asks_for_stays(activate: Activate) -> None:
    call = "[andon.activate(), os.environ['TRACELOOP_TRACE_CONTENT'], os.environ['OPENINFERENCE_HIDE_INPUTS']]"
    done = activate(call, TRACELOOP_TRACE_CONTENT="true", OPENINFERENCE_HIDE_INPUTS="false")
    assert done.stdout.splitlines() == ["[[], 'true', 'false']"]


def test_importing_starting_and_activating_imports_no_conventions_and_no_instrumentation_of_its_own(
    run_program: Any,
) -> None:
    program = """
import sys
import opentelemetry.sdk.trace, opentelemetry.sdk.metrics, opentelemetry.sdk._logs
import opentelemetry.exporter.otlp.proto.http.trace_exporter, opentelemetry.exporter.otlp.proto.http._log_exporter
import opentelemetry.exporter.otlp.proto.http.metric_exporter
before = set(sys.modules)
import andon
andon.init()
andon.activate()
andon.shutdown()
assert "andon.instrumentors" in sys.modules
watched = ("opentelemetry.semconv", "opentelemetry.instrumentation", "opentelemetry.util.genai", "openinference")
print(sorted(name for name in set(sys.modules) - before if name.startswith(watched)))
print(sorted(name for name in sys.modules if "semconv" in name and ("gen_ai" in name or name.endswith("_ai"))))
"""
    assert run_program(program).stdout.splitlines() == ["[]", "[]"]
