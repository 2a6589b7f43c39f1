"""Alembic environment of the control store; the connection comes from `store.migrate`."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table="andon_control_version", transactional_ddl=True)
with context.begin_transaction():
    context.run_migrations()
