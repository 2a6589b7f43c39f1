"""Log records that are no observations."""

from migrations.telemetry import ddl

revision = "0004"
down_revision = "0003"

LOGS = """
CREATE TABLE logs
(
    project          LowCardinality(String) DEFAULT 'default',
    time             DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    observed_time    Nullable(DateTime64(9, 'UTC')),
    severity_number  UInt8,
    severity_text    LowCardinality(String),
    event_name       LowCardinality(String),
    body             String CODEC(ZSTD),
    service          LowCardinality(String),
    environment      LowCardinality(String),
    accelerator_pool LowCardinality(String),
    scope_name       LowCardinality(String),
    scope_version    LowCardinality(String),
    trace_id         FixedString(16),
    span_id          FixedString(8),
    flags            UInt32,
    attributes       Map(LowCardinality(String), String),
    resource         Map(LowCardinality(String), String),
    ingested_at      DateTime64(9, 'UTC') DEFAULT now64(9),
    INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 4,
    INDEX by_ingested ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(time)
ORDER BY (project, service, toStartOfMinute(time), severity_number, time)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
"""


def upgrade() -> None:
    """Create the table."""
    ddl.create_table(LOGS, "cityHash64(trace_id, time)")


def downgrade() -> None:
    """Drop the table."""
    ddl.drop_table("logs")
