"""The one table of attribute names that the SDK writes.

`gen_ai.*` follows the OpenTelemetry GenAI conventions 1.42 (open-telemetry/semantic-conventions-genai), `error.type`
and the resource names the core conventions; `andon.*` is our own. Every other module takes its names from here.
"""

from typing import Final

PIPELINE: Final = "andon.pipeline"
STAGE: Final = "andon.stage"
RUN_ID: Final = "andon.run.id"

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"

INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

STREAM: Final = "gen_ai.request.stream"
TIME_TO_FIRST_CHUNK_SECONDS: Final = "gen_ai.response.time_to_first_chunk"
STREAM_TOKENS_PER_SECOND: Final = "andon.stream.tokens_per_second"

ERROR_TYPE: Final = "error.type"

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
DEPLOYMENT_ENVIRONMENT: Final = "deployment.environment.name"
