"""Every example of the guide runs as it stands, against a provider on loopback, and is received."""

from __future__ import annotations

from typing import Any

import pytest
from examples import examples

from .conftest import environment

EXAMPLES = examples(local=False)


@pytest.mark.parametrize(("heading", "program"), EXAMPLES, ids=[f"{n}" for n, _ in enumerate(EXAMPLES)])
def test_an_example_runs(provider_url: str, collector: Any, run_program: Any, heading: str, program: str) -> None:
    variables = environment(provider_url)
    # The one client that takes its address as an argument alone.
    program = program.replace("Mistral(api_key", f'Mistral(server_url="{variables["MISTRAL_URL"]}", api_key')
    run_program(program, **variables, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, PYTHONWARNINGS="ignore")
    assert collector.spans
