"""How migrations of the telemetry store make, change and drop tables: by one text, on one server and on a cluster."""

from collections.abc import Iterable

from alembic import op

from store import tables
from store.telemetry import cluster_of


def create_table(statement: str, shard_by: str) -> None:
    """Make a table from `CREATE TABLE name (...) ENGINE = MergeTree ...`; see `store.tables.created`."""
    _execute(tables.created(statement, shard_by, cluster_of(op.get_bind())))


def alter_table(name: str, change: str) -> None:
    """Run `ALTER TABLE name change`; see `store.tables.altered`."""
    _execute(tables.altered(name, change, cluster_of(op.get_bind())))


def drop_table(name: str) -> None:
    """Drop a table."""
    _execute(tables.dropped(name, cluster_of(op.get_bind())))


def create_view(name: str, query: str) -> None:
    """Make a view; see `store.tables.view_created`."""
    _execute(tables.view_created(name, query, cluster_of(op.get_bind())))


def drop_view(name: str) -> None:
    """Drop a view."""
    _execute(tables.view_dropped(name, cluster_of(op.get_bind())))


def has_columns(name: str, columns: Iterable[str]) -> bool:
    """Whether a table still has all of these."""
    found = op.get_bind().exec_driver_sql(
        f"SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '{name}'"
    )
    return {row[0] for row in found} >= set(columns)


def execute(statement: str) -> None:
    """Run a statement that moves rows; on a cluster it goes through the tables that spread them."""
    op.execute(statement)


def _execute(statements: list[str]) -> None:
    for statement in statements:
        op.execute(statement)
