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

from store.errors import StoreError, parsed_url

READERS = 3
WRITERS = 2


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
        # Times come back timezone-aware, as they were written.
        parsed = parsed.update_query_dict({"tz_mode": "aware"})
        self._readers = sa.create_engine(parsed, poolclass=QueuePool, pool_size=READERS, max_overflow=0)
        self._writers = sa.create_engine(parsed, poolclass=QueuePool, pool_size=WRITERS, max_overflow=0)

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
