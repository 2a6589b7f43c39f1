"""Bring both stores to the schema of this version: empty and older ones are migrated, newer ones refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from clickhouse_connect.cc_sqlalchemy import alembic as _clickhouse  # noqa: F401  registers the dialect with Alembic
from clickhouse_connect.driver.exceptions import ClickHouseError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ClauseElement, Executable

from store.control import ControlStore
from store.errors import NewerDataError, StoreError
from store.telemetry import TelemetryStore

# Any number that no other program locks in the same database.
_LOCK_KEY = 0x616E646F6E


class _TakeTurns(Executable, ClauseElement):
    """Waits until no other process migrates; held to the end of the transaction."""

    inherit_cache = True


@compiles(_TakeTurns)
def _alone_anyway(_element: _TakeTurns, _compiler: Any, **_kw: Any) -> str:
    # A data directory has one process.
    return "SELECT 1"


@compiles(_TakeTurns, "postgresql")
def _by_advisory_lock(_element: _TakeTurns, _compiler: Any, **_kw: Any) -> str:
    # The other store's migrations may take their time.
    return f"SELECT pg_advisory_xact_lock({_LOCK_KEY}), set_config('idle_in_transaction_session_timeout', '0', true)"


def migrate(telemetry: TelemetryStore, control: ControlStore) -> None:
    """Migrate both stores to this version's schema; processes that start together take turns.

    Raises:
        NewerDataError: a store carries a revision that this version does not know.
    """
    with _explained("control", control.engine), control.engine.connect() as turn:
        turn.execute(_TakeTurns())
        upgrade(control.engine, "control")
        with _explained("telemetry", telemetry.engine):
            upgrade(telemetry.engine, "telemetry")


def migrate_control(control: ControlStore) -> None:
    """Migrate the control store alone.

    Raises:
        StoreError: as `migrate`.
    """
    with _explained("control", control.engine), control.engine.connect() as turn:
        turn.execute(_TakeTurns())
        upgrade(control.engine, "control")


def is_current(control: ControlStore) -> bool:
    """Whether the control store has this version's schema."""
    with control.engine.connect() as connection:
        return current_revision(connection, "control") == head_revision("control")


@contextmanager
def _explained(kind: str, engine: sa.Engine) -> Iterator[None]:
    try:
        yield
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
