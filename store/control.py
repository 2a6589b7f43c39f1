"""The control store: baselines, states, outbox, in SQLite or PostgreSQL through the SQLAlchemy ORM.

Each room declares its own records on `Base`; `read()` and `write()` open the transactions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Session

from store.errors import StoreError, parsed_url

PAUSED_SECONDS = 15


class Base(DeclarativeBase):
    """Base of every control record."""


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A timezone-aware UTC datetime on every dialect; naive values are refused."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise StoreError(f"a naive datetime was given: {value!r}; times are timezone-aware UTC")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class ControlStore:
    """One control store, opened by its SQLAlchemy URL (`sqlite:///...` or `postgresql+psycopg://...`)."""

    def __init__(self, url: str | sa.URL) -> None:
        parsed = parsed_url(url, "control_url")
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
            raise StoreError(
                f"control_url {parsed.render_as_string(hide_password=True)!r}: use sqlite:/// or postgresql://"
            )
        if parsed.get_backend_name() == "sqlite":
            if parsed.database and parsed.database != ":memory:":
                Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine = sa.create_engine(parsed, connect_args={"timeout": 30, "check_same_thread": False})
            _make_sqlite_durable(self.engine)
        else:
            self.engine = sa.create_engine(parsed, pool_pre_ping=True)
            _let_go_of_the_paused(self.engine)
        self._writing = self.engine.execution_options(andon_write=True)
        self._fence: Callable[[Session], object] = lambda _session: None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session on one snapshot; nothing of it is committed."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session whose changes are committed together at the end, or not at all."""
        with Session(self._writing, expire_on_commit=False) as session, session.begin():
            self._fence(session)
            yield session

    def fenced(self, fence: Callable[[Session], object]) -> ControlStore:
        """This store with `fence` called first in every writing transaction; what it raises refuses the write."""
        other = copy(self)
        other._fence = fence
        return other

    def close(self) -> None:
        """Release every connection."""
        self.engine.dispose()


def _let_go_of_the_paused(engine: sa.Engine) -> None:
    """A process that is paused or cut off inside a transaction must not keep the rows it locked."""

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.autocommit = True
        connection.execute(f"SET idle_in_transaction_session_timeout = '{PAUSED_SECONDS}s'")
        connection.autocommit = False


def _make_sqlite_durable(engine: sa.Engine) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        # A transaction that will write takes the write lock at once: a later upgrade could fail as busy.
        writes = connection.get_execution_options().get("andon_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
