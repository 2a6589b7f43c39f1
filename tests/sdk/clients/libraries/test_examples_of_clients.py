"""Every example of the guide runs as it stands, against a provider on loopback, and its spans say all there is."""

from __future__ import annotations

from typing import Any

import pytest
from examples import examples, said_by

from .conftest import environment

EXAMPLES = examples(local=False)


@pytest.mark.parametrize(("program", "expected"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(provider_url: str, collector: Any, run_program: Any, program: str, expected: Any) -> None:
    done = run_program(
        program,
        **environment(provider_url),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        # LiteLLM puts embeddings in base64 where its own class declares numbers.
        PYTHONWARNINGS="ignore::UserWarning:pydantic.main",
    )
    assert said_by(collector) == expected
    assert done.stderr == ""
