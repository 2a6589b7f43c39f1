"""Runs `program.py` under one instrumentation family, and reads what arrived as plain values."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.interop import openai_server
from tests.interop.environments import interpreter
from tests.sdk.conftest import LoopbackCollector, attributes_of

PROGRAM = Path(__file__).with_name("program.py")
FAMILIES = ("openai-v2", "genai-openai", "openinference", "openllmetry", "traceloop", "openlit", "logfire")
ACTIVATED = ("openai-v2", "genai-openai", "openinference", "openllmetry")

PLACE = ("andon.pipeline", "andon.stage", "andon.run.id")
# Measured anew in every run: compared by being there.
MEASURED = (
    "duration",
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.server.time_per_output_token",
    "gen_ai.server.time_to_first_token",
    "logfire.msg",
)


@dataclass(frozen=True)
class Arrived:
    """One span as it came in, with the port of the model's server taken out."""

    name: str
    kind: int
    scope: str
    attributes: dict[str, Any]
    events: tuple[str, ...]

    @property
    def own_attributes(self) -> dict[str, Any]:
        """What its instrumentation wrote: all but the place."""
        return {name: value for name, value in self.attributes.items() if name not in PLACE}

    @property
    def place(self) -> dict[str, Any]:
        """Pipeline, stage and run."""
        return {name: value for name, value in self.attributes.items() if name in PLACE}


def run_family(family: str, order: str, url: str, *parts: str, **env: str) -> str:
    """Run the program against a model's server of its own; returns that server's port.

    Raises:
        AssertionError: the program failed, or wrote a traceback.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "ANDON_", "OPENINFERENCE_", "TRACELOOP_", "OPENLIT_", "LOGFIRE_", "PYTHON"))
    }
    python = interpreter(family)
    with openai_server.running() as model_url:
        done = subprocess.run(
            [str(python), str(PROGRAM), family, order, url, model_url, *parts],
            env={**inherited, "NO_PROXY": "127.0.0.1", **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            cwd=PROGRAM.parent,
        )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return str(urlsplit(model_url).port)


def arrived(collector: LoopbackCollector, port: str) -> list[Arrived]:
    """Every span that the collector took, in the order of their starts."""
    spans = [
        (span.start_time_unix_nano, scope.scope.name, span)
        for request in collector.traces
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    return [
        Arrived(
            span.name,
            span.kind,
            scope,
            {name: _comparable(name, value, port) for name, value in attributes_of(span).items()},
            tuple(event.name for event in span.events),
        )
        for _, scope, span in sorted(spans, key=lambda one: one[:2])
    ]


def of_the_family(spans: list[Arrived]) -> list[Arrived]:
    """Those that Andon did not make itself."""
    return [span for span in spans if span.scope != "andon"]


def _comparable(name: str, value: Any, port: str) -> Any:
    if name in MEASURED:
        return "measured"
    if isinstance(value, bool | float):
        return value
    return str(value).replace(port, "PORT")
