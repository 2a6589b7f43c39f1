"""What a series says is stored once a day, and no longer with each of its points; `metrics` shows both together."""

from migrations.telemetry import ddl

revision = "0008"
down_revision = "0007"

METRIC_SERIES = """
CREATE TABLE metric_series
(
    project          LowCardinality(String) DEFAULT 'default',
    day              DateTime('UTC'),
    series           UInt64,
    metric           LowCardinality(String),
    unit             LowCardinality(String),
    kind             LowCardinality(String),
    temporality      LowCardinality(String),
    monotonic        Bool,
    service          LowCardinality(String),
    environment      LowCardinality(String),
    accelerator_pool LowCardinality(String),
    scope_name       LowCardinality(String),
    scope_version    LowCardinality(String),
    attributes       Map(LowCardinality(String), String),
    resource         Map(LowCardinality(String), String)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMMDD(day)
ORDER BY (project, metric, series)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
"""

# What a point no longer holds, with the types of before.
_MOVED = {
    "unit": "LowCardinality(String)",
    "service": "LowCardinality(String)",
    "environment": "LowCardinality(String)",
    "accelerator_pool": "LowCardinality(String)",
    "scope_name": "LowCardinality(String)",
    "scope_version": "LowCardinality(String)",
    "attributes": "Map(LowCardinality(String), String)",
    "resource": "Map(LowCardinality(String), String)",
}
_KIND = "'' = 0, 'gauge' = 1, 'sum' = 2, 'histogram' = 3, 'exponential_histogram' = 4, 'summary' = 5"
_TEMPORALITY = "'' = 0, 'unspecified' = 1, 'delta' = 2, 'cumulative' = 3"

_STORED = f"""
INSERT INTO metric_series (project, day, series, metric, kind, temporality, monotonic, {", ".join(_MOVED)})
SELECT project, toStartOfDay(toDateTime(time, 'UTC')) AS day, series, any(metric), any(kind), any(temporality),
    any(monotonic), {", ".join(f"any({name})" for name in _MOVED)}
FROM metric_points GROUP BY project, day, series
"""

_VIEW = f"""
SELECT p.*, {", ".join(f"s.{name} AS {name}" for name in _MOVED)}
FROM {{metric_points}} AS p ANY LEFT JOIN {{metric_series}} AS s
    ON p.project = s.project AND p.series = s.series AND toStartOfDay(toDateTime(p.time, 'UTC')) = s.day
"""


def upgrade() -> None:
    """Move what the points of each day say of their series."""
    ddl.create_table(METRIC_SERIES, "series")
    # Killed while it dropped columns, it begins again: then all was moved before.
    if ddl.has_columns("metric_points", _MOVED):
        ddl.execute(_STORED)
    ddl.alter_table("metric_points", f"MODIFY COLUMN kind Enum8({_KIND})")
    ddl.alter_table("metric_points", f"MODIFY COLUMN temporality Enum8({_TEMPORALITY})")
    for name in _MOVED:
        ddl.alter_table("metric_points", f"DROP COLUMN {name}")
    ddl.create_view("metrics", _VIEW)


def downgrade() -> None:
    """Bring the columns back; points stored since hold nothing in them, and points of before neither."""
    ddl.drop_view("metrics")
    for name, kind in _MOVED.items():
        ddl.alter_table("metric_points", f"ADD COLUMN {name} {kind}")
    for name in ("kind", "temporality"):
        ddl.alter_table("metric_points", f"MODIFY COLUMN {name} LowCardinality(String)")
    ddl.drop_table("metric_series")
