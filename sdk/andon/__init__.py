"""Andon: one decorator that shows what an AI pipeline makes.

`init` once, `@pipeline` and `@stage` on functions, `record_tokens` and `observe` inside them. What is recorded leaves
as OpenTelemetry spans and log records over OTLP/HTTP; nothing here raises into the program or waits for the network.
"""

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from andon.activation import activate
from andon.decorators import pipeline, stage
from andon.lifecycle import init, shutdown
from andon.observing import observe
from andon.usage import record_tokens

if TYPE_CHECKING:
    from andon import gpu

__all__ = ["activate", "gpu", "init", "observe", "pipeline", "record_tokens", "shutdown", "stage"]


def __getattr__(name: str) -> ModuleType:
    # Loaded when it is first asked for: most programs have no GPU of their own.
    if name == "gpu":
        return import_module("andon.gpu")
    raise AttributeError(f"module 'andon' has no attribute {name!r}")
