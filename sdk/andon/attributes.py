"""The one table of attribute names that the SDK writes.

`gen_ai.*` follows the OpenTelemetry GenAI conventions 1.42 (open-telemetry/semantic-conventions-genai), `error.type`
and the resource names the core conventions; `andon.*` is our own. Every other module takes its names from here.
"""

from typing import Final

PIPELINE: Final = "andon.pipeline"
PIPELINE_KIND: Final = "andon.pipeline.kind"
STAGE: Final = "andon.stage"
RUN_ID: Final = "andon.run.id"
DOMAIN: Final = "andon.domain"

ROWS_IN: Final = "andon.rows.in"
ROWS_OUT: Final = "andon.rows.out"
BYTES_IN: Final = "andon.bytes.in"
BYTES_OUT: Final = "andon.bytes.out"

CONTENT_INPUT: Final = "andon.content.input"
CONTENT_OUTPUT: Final = "andon.content.output"

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"

INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
USAGE_ESTIMATED: Final = "andon.usage.estimated"

STREAM: Final = "gen_ai.request.stream"
TIME_TO_FIRST_CHUNK_SECONDS: Final = "gen_ai.response.time_to_first_chunk"
STREAM_TOKENS_PER_SECOND: Final = "andon.stream.tokens_per_second"

ERROR_TYPE: Final = "error.type"

TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - a name
DIRECTION: Final = "andon.direction"

OBSERVATION_EVENT: Final = "andon.observation"
OBSERVATION_FEATURE: Final = "andon.observation.feature."
OBSERVATION_PREDICTION: Final = "andon.observation.prediction"
OBSERVATION_SCORE: Final = "andon.observation.score"
OBSERVATION_LABEL: Final = "andon.observation.label"
OBSERVATION_SEGMENT: Final = "andon.observation.segment."
OBSERVATION_WEIGHT: Final = "andon.observation.weight"
OBSERVATIONS_EVENT: Final = "andon.observations"
OBSERVATIONS_COUNT: Final = "andon.observations.count"

SERVICE_NAME: Final = "service.name"
SERVICE_INSTANCE_ID: Final = "service.instance.id"
DEPLOYMENT_ENVIRONMENT: Final = "deployment.environment.name"

ACCELERATOR_IDS: Final = "ai_factory.accelerator.ids"
ACCELERATOR_COUNT: Final = "ai_factory.accelerator.count"
ACCELERATOR_SKU: Final = "ai_factory.accelerator.sku"
ACCELERATOR_POOL: Final = "andon.accelerator.pool"
HOST_NAME: Final = "host.name"
HOST_ID: Final = "host.id"

HW_ID: Final = "hw.id"
HW_TYPE: Final = "hw.type"
HW_NAME: Final = "hw.name"
HW_VENDOR: Final = "hw.vendor"
HW_MODEL: Final = "hw.model"
HW_DRIVER_VERSION: Final = "hw.driver_version"
HW_PARENT: Final = "hw.parent"
HW_STATE: Final = "hw.state"
HW_GPU_TASK: Final = "hw.gpu.task"
