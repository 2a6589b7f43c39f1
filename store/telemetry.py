"""The telemetry store: append-only facts in the ClickHouse dialect, embedded (chDB) or on a server.

Statements of the rooms above come in as SQLAlchemy text or expressions; Arrow tables come in from the writer.
Readers and writers hold separate connections, so that a busy dashboard cannot starve the writer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from store import tables
from store.errors import StoreError, parsed_url
from store.tables import Cluster

READERS = 3
WRITERS = 2


_CLUSTER = "andon_cluster"


class TelemetryStore:
    """One telemetry store, opened by its SQLAlchemy URL.

    Thread-safe: every call takes a connection of its own from a bounded pool and waits its turn.
    """

    def __init__(self, url: str | sa.URL) -> None:
        parsed = parsed_url(url, "telemetry_url")
        if not parsed.drivername.startswith("clickhousedb"):
            raise StoreError(
                f"telemetry_url {parsed.render_as_string(hide_password=True)!r} is not a clickhousedb:// URL; "
                "use clickhousedb://host/database for a server, or leave it out for the embedded engine"
            )
        cluster, parsed = _split_cluster(parsed)
        # Times come back timezone-aware, as they were written.
        parsed = parsed.update_query_dict({"tz_mode": "aware"})
        options: dict[str, Any] = {"poolclass": QueuePool, "max_overflow": 0, "execution_options": {_CLUSTER: cluster}}
        self._readers = sa.create_engine(parsed, pool_size=READERS, **options)
        self._writers = sa.create_engine(parsed, pool_size=WRITERS, **options)

    @property
    def engine(self) -> sa.Engine:
        """The writing engine, for migrations."""
        return self._writers

    def rows(self, statement: str | sa.Executable, /, **params: Any) -> list[Mapping[str, Any]]:
        """Run a SELECT and return its rows as mappings from column name to Python value.

        Args:
            statement: SQL text with `:name` parameters, or a SQLAlchemy expression.
            params: values of the parameters; lists become arrays.
        """
        if isinstance(statement, str):
            statement = sa.text(statement)
        with self._readers.connect() as connection:
            return [dict(row) for row in connection.execute(statement, params).mappings()]

    def execute(self, statement: str, /, **params: Any) -> None:
        """Run a statement that writes (INSERT SELECT, ALTER) on a writing connection."""
        with self._writers.connect() as connection:
            connection.execute(sa.text(statement), params)

    def alter(self, table: str, change: str, /, **params: Any) -> None:
        """Run `ALTER TABLE table change`, on a cluster where the rows are: partitions, deletes, settings."""
        with self._writers.connect() as connection:
            for statement in tables.altered(table, change, cluster_of(connection)):
                connection.execute(sa.text(statement), params)

    def insert(self, table: str, rows: pa.Table, token: str | None = None) -> None:
        """Append `rows` to `table` in one block.

        Args:
            rows: Arrow table whose columns are a subset of the table's; the others get their defaults.
            token: makes the insert idempotent: a second insert with the same token does nothing.
        """
        settings: dict[str, Any] = {"max_partitions_per_insert_block": 0}
        if token is not None:
            settings["insert_deduplication_token"] = token
        with self._writers.connect() as connection:
            client = connection.connection.dbapi_connection.client  # type: ignore[union-attr]
            client.insert_arrow(table, rows, settings=settings)

    def close(self) -> None:
        """Release every connection, and with the last one the embedded engine."""
        self._readers.dispose()
        self._writers.dispose()


def cluster_of(connection: sa.Connection) -> Cluster | None:
    """The cluster that a connection of a telemetry store belongs to; None: one server."""
    found = connection.get_execution_options().get(_CLUSTER)
    return found if isinstance(found, Cluster) else None


def _split_cluster(url: sa.URL) -> tuple[Cluster | None, sa.URL]:
    """Take `cluster=NAME` out of a URL, and put in how a cluster's statements run; what the URL says itself stays."""
    name = url.query.get("cluster")
    if not isinstance(name, str):
        return None, url
    settings = {f"ch_{setting}": value for setting, value in tables.SETTINGS.items()}
    url = url.difference_update_query(["cluster"])
    return Cluster(name, url.database or "default"), url.update_query_dict(settings | dict(url.query))
