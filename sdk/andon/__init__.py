"""Andon: one decorator that shows what an AI pipeline makes.

`init` once, `@pipeline` and `@stage` on functions, `record_tokens` and `observe` inside them. What is recorded leaves
as OpenTelemetry spans and log records over OTLP/HTTP; nothing here raises into the program or waits for the network.
"""

from andon.activation import activate
from andon.decorators import pipeline, stage
from andon.lifecycle import init, shutdown
from andon.observing import observe
from andon.usage import record_tokens

__all__ = ["activate", "init", "observe", "pipeline", "record_tokens", "shutdown", "stage"]
