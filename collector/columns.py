"""The columns of stored spans, observations, points and records, and which attribute spellings fill the typed ones.

Attribute names are spelled here and nowhere else in the platform. The first spelling of a column wins; an attribute
that fills a typed column is not repeated in the attribute map, every other attribute stays there.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum

import pyarrow as pa

TIME = pa.timestamp("ns", "UTC")
ATTRIBUTES = pa.map_(pa.string(), pa.string())
TRACE_ID = pa.binary(16)
SPAN_ID = pa.binary(8)

OBSERVATION_EVENT = "andon.observation"
OBSERVATION_PREFIX = "andon.observation."
SEGMENT_PREFIX = "andon.observation.segment."
OBSERVATION_WEIGHT = "andon.observation.weight"
OBSERVATIONS_EVENT = "andon.observations"
OBSERVATIONS_COUNT = "andon.observations.count"


class ValueKind(Enum):
    """How the value of a typed attribute is read."""

    TEXT = pa.string()
    COUNT = pa.int64()
    SECONDS = pa.float64()


@dataclass(frozen=True)
class TypedColumn:
    """A column filled from an attribute; `spellings` in order of precedence."""

    name: str
    kind: ValueKind
    spellings: tuple[str, ...]


SPAN_ATTRIBUTES = (
    TypedColumn("pipeline", ValueKind.TEXT, ("andon.pipeline",)),
    TypedColumn("stage", ValueKind.TEXT, ("andon.stage",)),
    TypedColumn("run_id", ValueKind.TEXT, ("andon.run.id",)),
    TypedColumn("domain", ValueKind.TEXT, ("andon.domain",)),
    TypedColumn("operation", ValueKind.TEXT, ("gen_ai.operation.name",)),
    TypedColumn("provider", ValueKind.TEXT, ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")),
    TypedColumn(
        "request_model",
        ValueKind.TEXT,
        ("gen_ai.request.model", "llm.model_name", "embedding.model_name", "llm.request.model"),
    ),
    TypedColumn("response_model", ValueKind.TEXT, ("gen_ai.response.model", "llm.response.model")),
    TypedColumn("response_id", ValueKind.TEXT, ("gen_ai.response.id",)),
    TypedColumn("conversation_id", ValueKind.TEXT, ("gen_ai.conversation.id",)),
    TypedColumn(
        "input_tokens",
        ValueKind.COUNT,
        (
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.prompt_tokens",
            "llm.token_count.prompt",
            "llm.usage.prompt_tokens",
        ),
    ),
    TypedColumn(
        "cache_read_tokens",
        ValueKind.COUNT,
        (
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.cached_tokens",
            "llm.token_count.prompt_details.cache_read",
        ),
    ),
    TypedColumn(
        "cache_write_tokens",
        ValueKind.COUNT,
        (
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "llm.token_count.prompt_details.cache_write",
        ),
    ),
    TypedColumn(
        "output_tokens",
        ValueKind.COUNT,
        (
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.token_count.completion",
            "llm.usage.completion_tokens",
        ),
    ),
    TypedColumn(
        "reasoning_tokens",
        ValueKind.COUNT,
        (
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "llm.token_count.completion_details.reasoning",
        ),
    ),
    TypedColumn(
        "time_to_first_token_seconds",
        ValueKind.SECONDS,
        (
            "gen_ai.response.time_to_first_chunk",
            "gen_ai.server.time_to_first_token",
            "gen_ai.latency.time_to_first_token",
        ),
    ),
    TypedColumn("finish_reason", ValueKind.TEXT, ("gen_ai.response.finish_reasons", "llm.finish_reason")),
    TypedColumn("error_type", ValueKind.TEXT, ("error.type",)),
)

# What says the operation in words of its own, where no attribute says it in the conventions'; it stays in the map too.
OPERATION_OF_KIND = {
    "openinference.span.kind": {
        "LLM": "chat",
        "EMBEDDING": "embeddings",
        "AGENT": "invoke_agent",
        "CHAIN": "invoke_workflow",
        "TOOL": "execute_tool",
        "RETRIEVER": "retrieval",
    },
    "llm.request.type": {"chat": "chat", "completion": "text_completion", "embedding": "embeddings"},
}

RESOURCE_ATTRIBUTES = (
    TypedColumn("service", ValueKind.TEXT, ("service.name",)),
    TypedColumn("environment", ValueKind.TEXT, ("deployment.environment.name", "deployment.environment")),
    TypedColumn("accelerator_pool", ValueKind.TEXT, ("andon.accelerator.pool",)),
)

TOKEN_COLUMNS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens")
ROLLUP_OPERATIONS = ("invoke_agent", "invoke_workflow", "create_agent", "plan", "agent_step")

SPAN_SCHEMA = pa.schema(
    [
        ("trace_id", TRACE_ID),
        ("span_id", SPAN_ID),
        ("parent_span_id", SPAN_ID),
        ("trace_state", pa.string()),
        ("flags", pa.uint32()),
        ("start_time", TIME),
        ("end_time", TIME),
        ("name", pa.string()),
        ("kind", pa.uint8()),
        ("status_code", pa.uint8()),
        ("status_message", pa.string()),
        *((column.name, column.kind.value) for column in (*SPAN_ATTRIBUTES, *RESOURCE_ATTRIBUTES)),
        ("usage_role", pa.string()),
        ("scope_name", pa.string()),
        ("scope_version", pa.string()),
        ("attributes", ATTRIBUTES),
        ("resource", ATTRIBUTES),
        ("event_times", pa.list_(TIME)),
        ("event_names", pa.list_(pa.string())),
        ("event_attributes", pa.list_(ATTRIBUTES)),
        ("link_trace_ids", pa.list_(TRACE_ID)),
        ("link_span_ids", pa.list_(SPAN_ID)),
        ("link_attributes", pa.list_(ATTRIBUTES)),
    ]
)

OBSERVATION_ATTRIBUTES = (
    TypedColumn("pipeline", ValueKind.TEXT, ("andon.pipeline",)),
    TypedColumn("stage", ValueKind.TEXT, ("andon.stage",)),
    TypedColumn("run_id", ValueKind.TEXT, ("andon.run.id",)),
    TypedColumn("model", ValueKind.TEXT, ("gen_ai.request.model",)),
)

OBSERVATION_SCHEMA = pa.schema(
    [
        ("time", TIME),
        ("service", pa.string()),
        ("environment", pa.string()),
        *((column.name, column.kind.value) for column in OBSERVATION_ATTRIBUTES),
        ("signal", pa.string()),
        ("number", pa.float64()),
        ("text", pa.string()),
        ("segment", ATTRIBUTES),
        ("weight", pa.float64()),
        ("trace_id", TRACE_ID),
        ("span_id", SPAN_ID),
    ]
)


class MetricKind(StrEnum):
    """The five kinds of OTLP metrics; each is the name of its field in the protobuf message."""

    GAUGE = "gauge"
    SUM = "sum"
    HISTOGRAM = "histogram"
    EXPONENTIAL_HISTOGRAM = "exponential_histogram"
    SUMMARY = "summary"


TEMPORALITIES = ("unspecified", "delta", "cumulative")  # by the number in the protobuf message
# By the numbers that points are stored with; a gauge and a summary have no temporality.
KIND_CODES = {"": 0} | {kind.value: number for number, kind in enumerate(MetricKind, 1)}
TEMPORALITY_CODES = {"": 0} | {name: number for number, name in enumerate(TEMPORALITIES, 1)}
NO_RECORDED_VALUE = 1  # in the flags of a point: a gap in its series

VALUE_COLUMNS = {
    "value": pa.float64(),
    "int_value": pa.int64(),
    "count": pa.uint64(),
    "sum": pa.float64(),
    "min": pa.float64(),
    "max": pa.float64(),
    "bucket_bounds": pa.list_(pa.float64()),
    "bucket_counts": pa.list_(pa.uint64()),
    "scale": pa.int32(),
    "zero_count": pa.uint64(),
    "zero_threshold": pa.float64(),
    "positive_offset": pa.int32(),
    "positive_counts": pa.list_(pa.uint64()),
    "negative_offset": pa.int32(),
    "negative_counts": pa.list_(pa.uint64()),
    "quantiles": pa.list_(pa.float64()),
    "quantile_values": pa.list_(pa.float64()),
    "exemplar_times": pa.list_(TIME),
    "exemplar_values": pa.list_(pa.float64()),
    "exemplar_trace_ids": pa.list_(TRACE_ID),
    "exemplar_span_ids": pa.list_(SPAN_ID),
}

METRIC_SCHEMA = pa.schema(
    [
        ("time", TIME),
        ("start_time", TIME),
        ("metric", pa.string()),
        ("unit", pa.string()),
        ("kind", pa.string()),
        ("temporality", pa.string()),
        ("monotonic", pa.bool_()),
        ("series", pa.uint64()),
        ("flags", pa.uint32()),
        *VALUE_COLUMNS.items(),
        *((column.name, column.kind.value) for column in RESOURCE_ATTRIBUTES),
        ("scope_name", pa.string()),
        ("scope_version", pa.string()),
        ("attributes", ATTRIBUTES),
        ("resource", ATTRIBUTES),
    ]
)

# What is stored of a point, and what is stored of its series once a day; together they are `METRIC_SCHEMA`.
POINT_SCHEMA = pa.schema(
    [
        ("metric", pa.string()),
        ("series", pa.uint64()),
        ("time", TIME),
        ("start_time", TIME),
        ("kind", pa.int8()),
        ("temporality", pa.int8()),
        ("monotonic", pa.bool_()),
        ("flags", pa.uint32()),
        *VALUE_COLUMNS.items(),
    ]
)
SERIES_SCHEMA = pa.schema(
    [
        ("day", pa.timestamp("s", "UTC")),
        *(field for field in METRIC_SCHEMA if field.name not in {"time", "start_time", "flags", *VALUE_COLUMNS}),
    ]
)

LOG_SCHEMA = pa.schema(
    [
        ("time", TIME),
        ("observed_time", TIME),
        ("severity_number", pa.uint8()),
        ("severity_text", pa.string()),
        ("event_name", pa.string()),
        ("body", pa.string()),
        *((column.name, column.kind.value) for column in RESOURCE_ATTRIBUTES),
        ("scope_name", pa.string()),
        ("scope_version", pa.string()),
        ("trace_id", TRACE_ID),
        ("span_id", SPAN_ID),
        ("flags", pa.uint32()),
        ("attributes", ATTRIBUTES),
        ("resource", ATTRIBUTES),
    ]
)
