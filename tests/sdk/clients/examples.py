"""The examples of the guide, by the heading above them, and what each call in them must be read as."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

GUIDE = (Path(__file__).parents[3] / "docs" / "clients.md").read_text(encoding="utf-8")

# Input and output tokens of each decorated call, in the order of the calls; None: unknown.
EXPECTED: dict[str, list[list[tuple[int | None, int | None]]]] = {
    "OpenAI, and servers that speak its protocol": [[(100, 40), (100, 40), (9, None)], [(100, 40)]],
    "Anthropic": [[(420, 50), (420, 50)]],
    "Google GenAI": [[(107, 50), (107, 50), (8, None)]],
    "Amazon Bedrock": [[(150, 50), (150, 50), (100, 50)]],
    "Cohere": [[(100, 20), (100, 20), (6, None)]],
    "Mistral": [[(100, 20), (100, 20), (9, None)]],
    "LiteLLM": [[(100, 40), (100, 40), (9, None)]],
    "Ollama": [[(26, 12), (26, 12), (8, None)]],
    "LangChain": [[(100, 40), (100, 40), (100, 40), (100, 40)]],
    "LlamaIndex": [[(100, 40)]],
    "Transformers": [[(3, 8)]],
    "vLLM in the same process": [[(5, 2), (5, 2)]],
}

LOCAL = frozenset(("Transformers", "vLLM in the same process"))

# Reads what passes through a stage with nothing but the functions of `andon.clients`, and prints it at the end.
PRELUDE = """
import andon, atexit, functools, inspect, json, sys
from andon.clients import StreamMeter, metered, readings

stage, found = andon.stage, []


def read_stage(fn):
    if inspect.isgeneratorfunction(fn):
        def read(*args, **kwargs):
            meter = StreamMeter()
            for item in fn(*args, **kwargs):
                meter.take(item)
                yield item
            found.append(meter.reading())
    else:
        def read(*args, **kwargs):
            value = fn(*args, **kwargs)
            if not metered(value, lambda meter: found.append(meter.reading()), lambda: None):
                found.extend(readings(value, (args, kwargs)))
            return value
    return stage(functools.wraps(fn)(read))


andon.stage = read_stage


@atexit.register
def tell():
    kinds = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
    print("READ " + json.dumps([[reading.tokens.get(kind) for kind in kinds] for reading in found]))


"""


def examples(local: bool) -> list[Any]:
    """Program and expectation of each example that is, or is not, for a model in the process."""
    found: list[tuple[str, Any]] = []
    for section in GUIDE.split("\n## ")[1:]:
        heading = section.partition("\n")[0]
        programs = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        if programs and (heading in LOCAL) is local:
            found += zip(programs, EXPECTED[heading], strict=True)
    return found


def read(output: str) -> list[tuple[int | None, int | None]]:
    """What the prelude printed."""
    (line,) = [line for line in output.splitlines() if line.startswith("READ ")]
    return [tuple(counts) for counts in json.loads(line.removeprefix("READ "))]
