"""Alembic environment of the telemetry store; the connection comes from `store.migrate`."""

from alembic import context

from store.tables import version_table_created
from store.telemetry import cluster_of

VERSION_TABLE = "andon_telemetry_version"

connection = context.config.attributes["connection"]
for statement in version_table_created(VERSION_TABLE, cluster_of(connection)):
    connection.exec_driver_sql(statement)
context.configure(connection=connection, version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
