"""Bring both stores to the schema of this version: empty and older ones are migrated, newer ones refused."""

from __future__ import annotations

from importlib.resources import files

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from clickhouse_connect.cc_sqlalchemy import alembic as _clickhouse  # noqa: F401  registers the dialect with Alembic
from clickhouse_connect.driver.exceptions import ClickHouseError

from store.control import ControlStore
from store.errors import NewerDataError, StoreError
from store.telemetry import TelemetryStore


def migrate(telemetry: TelemetryStore, control: ControlStore) -> None:
    """Migrate both stores to this version's schema.

    Raises:
        NewerDataError: a store carries a revision that this version does not know.
    """
    for kind, engine in (("control", control.engine), ("telemetry", telemetry.engine)):
        _migrate(kind, engine)


def migrate_control(control: ControlStore) -> None:
    """Migrate the control store alone.

    Raises:
        StoreError: as `migrate`.
    """
    _migrate("control", control.engine)


def is_current(control: ControlStore) -> bool:
    """Whether the control store has this version's schema."""
    with control.engine.connect() as connection:
        return current_revision(connection, "control") == head_revision("control")


def _migrate(kind: str, engine: sa.Engine) -> None:
    try:
        upgrade(engine, kind)
    except (sa.exc.SQLAlchemyError, ClickHouseError) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0][:300]
        where = engine.url.render_as_string(hide_password=True)
        raise StoreError(f"the {kind} store at {where} cannot be opened or migrated: {reason}") from error


def upgrade(engine: sa.Engine, kind: str, to: str = "head") -> None:
    """Migrate one store up to a revision; `kind` is `telemetry` or `control`, the folder under `migrations/`."""
    config = _config(kind)
    scripts = ScriptDirectory.from_config(config)
    with engine.connect() as connection:
        found = current_revision(connection, kind)
        connection.rollback()
        if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
            raise NewerDataError(
                f"the {kind} store at {engine.url.render_as_string(hide_password=True)} is at revision {found}, "
                f"this Andon knows revisions up to {scripts.get_current_head()}: it was written by a newer version. "
                "Upgrade Andon, or choose another --data-dir"
            )
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def head_revision(kind: str) -> str | None:
    """The newest revision that this version knows."""
    return ScriptDirectory.from_config(_config(kind)).get_current_head()


def current_revision(connection: sa.Connection, kind: str) -> str | None:
    """The revision a store is at; None for an empty one."""
    context = MigrationContext.configure(connection, opts={"version_table": version_table(kind)})
    return context.get_current_revision()


def version_table(kind: str) -> str:
    return f"andon_{kind}_version"


def _config(kind: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("migrations").joinpath(kind)))
    config.set_main_option("path_separator", "os")
    return config
