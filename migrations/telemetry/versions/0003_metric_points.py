"""Data points of metrics, one row each, whatever their kind."""

from migrations.telemetry import ddl

revision = "0003"
down_revision = "0002"

METRIC_POINTS = """
CREATE TABLE metric_points
(
    project            LowCardinality(String) DEFAULT 'default',
    time               DateTime64(9, 'UTC') CODEC(Delta, ZSTD),
    start_time         Nullable(DateTime64(9, 'UTC')),
    metric             LowCardinality(String),
    unit               LowCardinality(String),
    kind               LowCardinality(String),
    temporality        LowCardinality(String),
    monotonic          Bool,
    series             UInt64,
    flags              UInt32,
    value              Nullable(Float64),
    int_value          Nullable(Int64),
    count              Nullable(UInt64),
    sum                Nullable(Float64),
    min                Nullable(Float64),
    max                Nullable(Float64),
    bucket_bounds      Array(Float64),
    bucket_counts      Array(UInt64),
    scale              Nullable(Int32),
    zero_count         Nullable(UInt64),
    zero_threshold     Nullable(Float64),
    positive_offset    Nullable(Int32),
    positive_counts    Array(UInt64),
    negative_offset    Nullable(Int32),
    negative_counts    Array(UInt64),
    quantiles          Array(Float64),
    quantile_values    Array(Float64),
    exemplar_times     Array(DateTime64(9, 'UTC')),
    exemplar_values    Array(Float64),
    exemplar_trace_ids Array(FixedString(16)),
    exemplar_span_ids  Array(FixedString(8)),
    service            LowCardinality(String),
    environment        LowCardinality(String),
    accelerator_pool   LowCardinality(String),
    scope_name         LowCardinality(String),
    scope_version      LowCardinality(String),
    attributes         Map(LowCardinality(String), String),
    resource           Map(LowCardinality(String), String),
    ingested_at        DateTime64(9, 'UTC') DEFAULT now64(9),
    INDEX by_ingested ingested_at TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMMDD(time)
ORDER BY (project, metric, toStartOfMinute(time), series, time)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
"""


def upgrade() -> None:
    """Create the table."""
    ddl.create_table(METRIC_POINTS, "series")


def downgrade() -> None:
    """Drop the table."""
    ddl.drop_table("metric_points")
