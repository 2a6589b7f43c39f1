"""Every example of the guide runs as it stands, against a provider on loopback, and each call in it is read."""

from __future__ import annotations

from typing import Any

import pytest
from examples import PRELUDE, examples, read

from .conftest import environment

EXAMPLES = examples(local=False)


@pytest.mark.parametrize(("program", "expected"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(provider_url: str, collector: Any, run_program: Any, program: str, expected: Any) -> None:
    variables = environment(provider_url)
    # The one client that takes its address as an argument alone.
    program = program.replace("Mistral(api_key", f'Mistral(server_url="{variables["MISTRAL_URL"]}", api_key')
    done = run_program(
        PRELUDE + program, **variables, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, PYTHONWARNINGS="ignore"
    )
    assert read(done.stdout) == expected
    assert collector.spans
