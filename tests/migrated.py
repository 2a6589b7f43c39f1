"""The schema of a migrated telemetry store as statements, which make another of the same kind.

Migrations are tested in `tests/store`; whoever just needs their outcome gets it here without the waiting.
"""

from __future__ import annotations

from store.migrate import head_revision, version_table
from store.telemetry import TelemetryStore


def statements_of(store: TelemetryStore) -> list[str]:
    """What makes the tables of this store, and its revision, in the database of another connection."""
    made = store.rows(
        "SELECT replaceAll(create_table_query, concat(' ', database, '.'), ' ') AS made, database "
        "FROM system.tables WHERE database = currentDatabase() ORDER BY engine = 'View', name"
    )
    revision = f"INSERT INTO {version_table('telemetry')} VALUES ('{head_revision('telemetry')}')"
    # The name that is left is where a Distributed table finds its rows.
    return [*(str(table["made"]).replace(f"'{table['database']}'", "currentDatabase()") for table in made), revision]


def run_all(store: TelemetryStore, statements: list[str]) -> None:
    """Run them one after the other."""
    with store.engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
