"""Usage in slices of five seconds, in hours and in days beside that of minutes; and how far each is folded."""

from migrations.telemetry import ddl

revision = "0007"
down_revision = "0006"

USAGE = """
CREATE TABLE {name}
(
    project            LowCardinality(String),
    start              DateTime('UTC'),
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
PARTITION BY {partition}
ORDER BY (start, project, pipeline, stage, provider, model, service, vantage, input_band, version)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

# `held` tells what a start was made of: so many spans, or the newest version of the finer starts in it.
MARKS = """
CREATE TABLE {name}
(
    start          DateTime('UTC'),
    version        UInt64,
    held           UInt64,
    ingested_until DateTime64(9, 'UTC'),
    published_at   DateTime64(6, 'UTC') DEFAULT now64(6),
    closed_before  DateTime('UTC')
)
ENGINE = MergeTree
PARTITION BY {partition}
ORDER BY (start, version)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

# Slices go after hours, the others after months.
TABLES = {
    "5s": ("folded_slices", "intDiv(toUnixTimestamp(start), 3600)"),
    "1h": ("folded_hours", "toYYYYMM(start)"),
    "1d": ("folded_days", "toYYYYMM(start)"),
}
MINUTES = ("folded_minutes", "folded_engine_minutes")


def upgrade() -> None:
    """Create the tables; minutes that stand are folded on into hours and days."""
    for grain, (marks, partition) in TABLES.items():
        ddl.create_table(USAGE.format(name=f"usage_{grain}", partition=partition), "cityHash64(start)")
        ddl.create_table(MARKS.format(name=marks, partition=partition), "cityHash64(start)")
    for marks in MINUTES:
        ddl.alter_table(marks, "ADD COLUMN closed_before DateTime('UTC') DEFAULT toDateTime(0, 'UTC')")


def downgrade() -> None:
    """Drop the tables."""
    for marks in MINUTES:
        ddl.alter_table(marks, "DROP COLUMN closed_before")
    for grain, (marks, _) in TABLES.items():
        ddl.drop_table(marks)
        ddl.drop_table(f"usage_{grain}")
