"""Spans, observations, per-minute usage and the minutes that are folded."""

from migrations.telemetry import ddl

revision = "0001"
down_revision = None

SPANS = """
CREATE TABLE spans
(
    project                    LowCardinality(String) DEFAULT 'default',
    trace_id                   FixedString(16),
    span_id                    FixedString(8),
    parent_span_id             FixedString(8),
    trace_state                String,
    flags                      UInt32,
    start_time                 DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    end_time                   DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    name                       LowCardinality(String),
    kind                       UInt8,
    status_code                UInt8,
    status_message             String,
    service                    LowCardinality(String),
    environment                LowCardinality(String),
    pipeline                   LowCardinality(String),
    stage                      LowCardinality(String),
    run_id                     String,
    domain                     LowCardinality(String),
    operation                  LowCardinality(String),
    provider                   LowCardinality(String),
    request_model              LowCardinality(String),
    response_model             LowCardinality(String),
    response_id                String,
    conversation_id            String,
    input_tokens               Nullable(Int64),
    cache_read_tokens          Nullable(Int64),
    cache_write_tokens         Nullable(Int64),
    output_tokens              Nullable(Int64),
    reasoning_tokens           Nullable(Int64),
    time_to_first_token_seconds Nullable(Float64),
    finish_reason              LowCardinality(String),
    accelerator_pool           LowCardinality(String),
    error_type                 LowCardinality(String),
    usage_role                 LowCardinality(String),
    scope_name                 LowCardinality(String),
    scope_version              LowCardinality(String),
    attributes                 Map(LowCardinality(String), String),
    resource                   Map(LowCardinality(String), String),
    event_times                Array(DateTime64(9, 'UTC')),
    event_names                Array(LowCardinality(String)),
    event_attributes           Array(Map(LowCardinality(String), String)),
    link_trace_ids             Array(FixedString(16)),
    link_span_ids              Array(FixedString(8)),
    link_attributes            Array(Map(LowCardinality(String), String)),
    ingested_at                DateTime64(9, 'UTC') DEFAULT now64(9),
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_ingested ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(end_time)
ORDER BY (project, toStartOfMinute(end_time), pipeline, trace_id, span_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
"""

OBSERVATIONS = """
CREATE TABLE observations
(
    project       LowCardinality(String) DEFAULT 'default',
    time          DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    service       LowCardinality(String),
    environment   LowCardinality(String),
    pipeline      LowCardinality(String),
    stage         LowCardinality(String),
    run_id        String,
    model         LowCardinality(String),
    signal        LowCardinality(String),
    number        Nullable(Float64),
    text          Nullable(String),
    segment       Map(LowCardinality(String), String),
    trace_id      FixedString(16),
    span_id       FixedString(8),
    ingested_at   DateTime64(9, 'UTC') DEFAULT now64(9)
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(time)
ORDER BY (project, signal, toStartOfMinute(time), pipeline, model)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
"""

USAGE = """
CREATE TABLE usage_1m
(
    project            LowCardinality(String),
    minute             DateTime('UTC'),
    version            UInt64,
    service            LowCardinality(String),
    pipeline           LowCardinality(String),
    stage              LowCardinality(String),
    provider           LowCardinality(String),
    model              LowCardinality(String),
    vantage            LowCardinality(String),
    input_band         UInt64,
    calls              UInt64,
    errors             UInt64,
    calls_without_usage UInt64,
    runs               UInt64,
    run_errors         UInt64,
    input_tokens       UInt64,
    cache_read_tokens  UInt64,
    cache_write_tokens UInt64,
    output_tokens      UInt64,
    reasoning_tokens   UInt64,
    duration_seconds   AggregateFunction(quantilesTDigest(0.5, 0.95, 0.99), Float64),
    time_to_first_token_seconds AggregateFunction(quantilesTDigest(0.5, 0.95, 0.99), Float64)
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (project, minute, pipeline, stage, provider, model, service, vantage, input_band, version)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

FOLDED = """
CREATE TABLE folded_minutes
(
    minute      DateTime('UTC'),
    version     UInt64,
    spans       UInt64,
    ingested_until DateTime64(9, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, version)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

# A trace is on one shard. What belongs to no trace goes by its time, so that a retried block meets its first copy.
TABLES = {
    "spans": (SPANS, "cityHash64(trace_id)"),
    "observations": (OBSERVATIONS, "cityHash64(trace_id, time)"),
    "usage_1m": (USAGE, "cityHash64(minute)"),
    "folded_minutes": (FOLDED, "cityHash64(minute)"),
}


def upgrade() -> None:
    """Create the tables."""
    for statement, shard_by in TABLES.values():
        ddl.create_table(statement, shard_by)


def downgrade() -> None:
    """Drop the tables."""
    for name in TABLES:
        ddl.drop_table(name)
