"""Every example of the guide with a model in the process runs as it stands, and its spans say all there is to say."""

from __future__ import annotations

from typing import Any

import pytest
from examples import examples, said_by

# The engine wants an accelerator. This answers in its place, with its own classes.
ENGINE = """
import vllm
from vllm.outputs import CompletionOutput, RequestOutput


class LLM:
    def __init__(self, model):
        assert model

    def generate(self, prompts):
        outputs = []
        for number, prompt in enumerate(prompts):
            made = CompletionOutput(0, "Good morning", [1, 2], None, None, finish_reason="stop")
            outputs.append(RequestOutput(str(number), prompt, [1, 2, 3, 4, 5], None, [made], True))
        return outputs


vllm.LLM = LLM
"""
EXAMPLES = examples(local=True)


@pytest.mark.parametrize(("program", "expected"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_runs(collector: Any, run_program: Any, program: str, expected: Any) -> None:
    if "vllm" in program:
        program = ENGINE + program
    done = run_program(program, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, PYTHONWARNINGS="ignore")
    assert said_by(collector) == expected
    # The engine's own import makes torch speak of what is deprecated.
    assert [line for line in done.stderr.splitlines() if " torch/" not in line] == []
