"""Alembic environment of the telemetry store; the connection comes from `store.migrate`."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table="andon_telemetry_version")
with context.begin_transaction():
    context.run_migrations()
