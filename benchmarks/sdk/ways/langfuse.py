"""The call decorated with Langfuse's `observe` as a generation; usage goes through its own call."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.sdk.subjects import Subject


def start() -> None:
    """Import and open a client with keys that no server checks."""
    import os

    from langfuse import Langfuse

    nobody = "benchmark"
    Langfuse(public_key=nobody, secret_key=nobody, base_url=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"])


def subject() -> Subject:
    """Return the decorated calls."""
    from langfuse import get_client, observe

    from benchmarks.sdk.subjects import INPUT_TOKENS, MODEL, OUTPUT_TOKENS, decorated

    client = get_client()

    def record() -> None:
        client.update_current_generation(model=MODEL, usage_details={"input": INPUT_TOKENS, "output": OUTPUT_TOKENS})

    return decorated(observe(name="generate", as_type="generation"), record)
