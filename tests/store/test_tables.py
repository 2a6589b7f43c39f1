"""On a cluster the migrations make Replicated tables under Distributed ones; nothing is left on one node alone."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from store import tables
from store.errors import StoreError
from store.migrate import upgrade
from store.tables import Cluster
from store.telemetry import TelemetryStore

EAST = Cluster("east", "andon")
FACTS = """
CREATE TABLE facts
(
    id UInt64
)
ENGINE = MergeTree
ORDER BY id
SETTINGS non_replicated_deduplication_window = 100, fsync_after_insert = 1
"""


def test_one_server_gets_the_statements_as_they_are_written() -> None:
    assert tables.created(FACTS, "id", None) == [FACTS.replace("TABLE", "TABLE IF NOT EXISTS").lstrip()]
    assert tables.altered("facts", "ADD COLUMN n UInt8", None) == ["ALTER TABLE facts ADD COLUMN IF NOT EXISTS n UInt8"]
    assert tables.dropped("facts", None) == ["DROP TABLE IF EXISTS facts"]


def test_a_cluster_gets_a_replicated_table_and_a_distributed_one_over_it() -> None:
    local, distributed = tables.created(FACTS, "cityHash64(id)", EAST)
    assert local.startswith("CREATE TABLE IF NOT EXISTS `andon`.`facts_local` ON CLUSTER `east`\n(\n    id UInt64\n)\n")
    assert "ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}')\n" in local
    assert "SETTINGS replicated_deduplication_window = 100, replicated_deduplication_window_seconds = 604800," in local
    assert distributed == (
        "CREATE TABLE IF NOT EXISTS `andon`.`facts` ON CLUSTER `east` AS `andon`.`facts_local` "
        "ENGINE = Distributed('east', 'andon', 'facts_local', cityHash64(id))"
    )


def test_the_arguments_of_an_engine_follow_the_replicas() -> None:
    statement = "CREATE TABLE facts (id UInt64, v UInt64) ENGINE = ReplacingMergeTree(v) ORDER BY id"
    assert (
        "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}', v)"
        in (tables.created(statement, "id", EAST)[0])
    )


def test_columns_change_on_both_halves_and_never_first_on_the_one_that_is_asked() -> None:
    local, distributed = "ALTER TABLE `andon`.`facts_local`", "ALTER TABLE `andon`.`facts`"
    assert tables.altered("facts", "ADD COLUMN n UInt8", EAST) == [
        f"{local} ON CLUSTER `east` ADD COLUMN IF NOT EXISTS n UInt8",
        f"{distributed} ON CLUSTER `east` ADD COLUMN IF NOT EXISTS n UInt8",
    ]
    assert tables.altered("facts", "DROP COLUMN n", EAST) == [
        f"{distributed} ON CLUSTER `east` DROP COLUMN IF EXISTS n",
        f"{local} ON CLUSTER `east` DROP COLUMN IF EXISTS n",
    ]
    assert tables.altered("facts", "DROP PARTITION '20261101'", EAST) == [
        f"{local} ON CLUSTER `east` DROP PARTITION '20261101'"
    ]


def test_a_view_names_its_tables_in_full_on_a_cluster() -> None:
    query = "SELECT * FROM {facts} AS f JOIN {names} AS n ON f.id = n.id"
    assert tables.view_created("both", query, None) == [
        "CREATE VIEW IF NOT EXISTS both AS SELECT * FROM facts AS f JOIN names AS n ON f.id = n.id"
    ]
    assert tables.view_created("both", query, EAST) == [
        "CREATE VIEW IF NOT EXISTS `andon`.`both` ON CLUSTER `east` AS "
        "SELECT * FROM `andon`.`facts` AS f JOIN `andon`.`names` AS n ON f.id = n.id"
    ]
    assert tables.view_dropped("both", None) == ["DROP VIEW IF EXISTS both"]
    assert tables.view_dropped("both", EAST) == ["DROP VIEW IF EXISTS `andon`.`both` ON CLUSTER `east` SYNC"]


@pytest.mark.parametrize("statement", ["SELECT 1", "CREATE TABLE x (a UInt8) ENGINE = Memory"])
def test_a_statement_that_makes_no_table_of_rows_is_refused(statement: str) -> None:
    with pytest.raises(StoreError, match="MergeTree"):
        tables.created(statement, "a", EAST)


def test_a_cluster_whose_name_could_be_sql_is_refused() -> None:
    with pytest.raises(StoreError, match="cluster=NAME"):
        TelemetryStore("clickhousedb://127.0.0.1:1/andon?cluster=a%60b")


def test_every_migration_of_the_telemetry_store_reaches_every_node_and_the_engine_can_read_it(
    cluster_url: str, engine_root: TelemetryStore
) -> None:
    """Later migrations too: a plain CREATE or ALTER would leave its table on the node that was asked."""
    engine_root.execute("CREATE DATABASE IF NOT EXISTS every_migration")
    root = TelemetryStore(cluster_url.format(database="default"))
    root.execute("CREATE DATABASE every_migration")
    store = TelemetryStore(cluster_url.format(database="every_migration"))
    statements: list[str] = []

    @sa.event.listens_for(store.engine, "before_cursor_execute")
    def listener(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    upgrade(store.engine, "telemetry")
    store.close()
    root.close()
    schema = [one for one in statements if re.match(r"\s*(CREATE|ALTER|DROP|RENAME) ", one)]
    schema = [one for one in schema if "andon_telemetry_version" not in one or "CREATE" in one]
    assert len(schema) > 12
    for statement in schema:
        assert " ON CLUSTER `andon`" in statement
        # The engine's own parser takes it, Replicated and all, though it has no Keeper to run it with.
        engine_root.rows("EXPLAIN AST " + statement.replace(":", r"\:"))
    made = [one for one in schema if "CREATE TABLE" in one]
    assert all("ENGINE = Replicated" in one or "ENGINE = Distributed" in one for one in made)
