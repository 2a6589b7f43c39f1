"""Fixtures for every room: one embedded engine per test run, a fresh database and a fresh control store per test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.control import ControlStore
from store.migrate import upgrade
from store.telemetry import TelemetryStore
from tests.postgres import logical_postgres, postgres, postgres_server  # noqa: F401  fixtures


@pytest.fixture(scope="session")
def engine_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one directory that the embedded engine of this process may open."""
    return tmp_path_factory.mktemp("telemetry")


@pytest.fixture(scope="session")
def engine_root(engine_dir: Path) -> Iterator[TelemetryStore]:
    """Keeps the engine open for the whole run; opening it takes a second."""
    store = TelemetryStore(f"clickhousedb:///default?interface=chdb&path={engine_dir}")
    store.rows("SELECT 1")
    yield store
    store.close()


@pytest.fixture
def empty_telemetry(engine_root: TelemetryStore, engine_dir: Path) -> Iterator[TelemetryStore]:
    """A telemetry store on a database of its own, without tables."""
    name = f"test_{uuid.uuid4().hex}"
    engine_root.execute(f"CREATE DATABASE {name}")
    store = TelemetryStore(f"clickhousedb:///{name}?interface=chdb&path={engine_dir}")
    yield store
    store.close()
    engine_root.execute(f"DROP DATABASE {name} SYNC")


@pytest.fixture
def telemetry(empty_telemetry: TelemetryStore) -> TelemetryStore:
    """A migrated, empty telemetry store."""
    upgrade(empty_telemetry.engine, "telemetry")
    return empty_telemetry


@pytest.fixture
def control(tmp_path: Path) -> Iterator[ControlStore]:
    """A migrated, empty control store on SQLite."""
    store = ControlStore(f"sqlite:///{tmp_path / 'control.sqlite'}")
    upgrade(store.engine, "control")
    yield store
    store.close()
