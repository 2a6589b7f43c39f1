"""The call decorated with `mlflow.trace`; usage goes through MLflow's own span attribute.

MLflow sends to the OTLP endpoint, in batches, instead of its tracking store: the cheaper of its two ways.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.sdk.subjects import Subject


def start() -> None:
    """Import and enable tracing."""
    import os

    # For spans alone: with an address for metrics it would make those of each span as well.
    os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = os.environ.pop("OTEL_EXPORTER_OTLP_ENDPOINT") + "/v1/traces"
    import mlflow

    mlflow.tracing.enable()


def subject() -> Subject:
    """Return the decorated calls."""
    import mlflow

    from benchmarks.sdk.subjects import INPUT_TOKENS, MODEL, OUTPUT_TOKENS, decorated

    def record() -> None:
        span = mlflow.get_current_active_span()
        if span is not None:
            span.set_attributes(
                {
                    "mlflow.llm.model": MODEL,
                    "mlflow.chat.tokenUsage": {
                        "input_tokens": INPUT_TOKENS,
                        "output_tokens": OUTPUT_TOKENS,
                        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
                    },
                }
            )

    return decorated(mlflow.trace(name="generate", span_type="CHAT_MODEL"), record)
