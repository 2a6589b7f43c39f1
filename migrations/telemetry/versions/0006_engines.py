"""Canonical quantities of engines, gateways and accelerators for each minute, and the minutes that are folded."""

from migrations.telemetry import ddl

revision = "0006"
down_revision = "0005"

ENGINES = """
CREATE TABLE engine_1m
(
    project          LowCardinality(String),
    minute           DateTime('UTC'),
    version          UInt64,
    environment      LowCardinality(String),
    service          LowCardinality(String),
    accelerator_pool LowCardinality(String),
    instance         LowCardinality(String),
    host             LowCardinality(String),
    source           LowCardinality(String),
    signal           LowCardinality(String),
    precedence       UInt8,
    vantage          LowCardinality(String),
    model            LowCardinality(String),
    accelerator      LowCardinality(String),
    quantity         LowCardinality(String),
    part             LowCardinality(String),
    bucket_bounds    Array(Float64),
    shadowed         UInt8,
    value            Nullable(Float64),
    seconds          Float64,
    covered_seconds  Float64,
    events           UInt64,
    bucket_counts    Array(UInt64),
    lowest           Nullable(Float64),
    highest          Nullable(Float64),
    last             Nullable(Float64),
    points           UInt64,
    unknown_points   UInt64,
    reach_seconds    Float64,
    last_time        DateTime64(9, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (project, quantity, minute, version, source, model, accelerator, instance)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

FOLDED = """
CREATE TABLE folded_engine_minutes
(
    minute         DateTime('UTC'),
    version        UInt64,
    points         UInt64,
    catalogue      UInt32,
    ingested_until DateTime64(9, 'UTC'),
    published_at   DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(minute)
ORDER BY (minute, version)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

TABLES = {"engine_1m": ENGINES, "folded_engine_minutes": FOLDED}


def upgrade() -> None:
    """Create the tables."""
    for statement in TABLES.values():
        ddl.create_table(statement, "cityHash64(minute, version)")


def downgrade() -> None:
    """Drop the tables."""
    for name in TABLES:
        ddl.drop_table(name)
