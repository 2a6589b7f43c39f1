"""Fixtures for every room: one embedded engine per test run, a fresh database and a fresh control store per test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.control import ControlStore
from store.migrate import upgrade
from store.telemetry import TelemetryStore
from tests.clickhouse import CLUSTER, running_clickhouse
from tests.postgres import logical_postgres, postgres, postgres_server  # noqa: F401  fixtures

# Modules whose promises hold over ClickHouse's HTTP interface as well, and over Distributed tables.
ON_SERVERS_TOO = {
    "store.test_migrations": ("server", "cluster"),
    "store.test_telemetry": ("server", "cluster"),
    "economics.test_ledger": ("cluster",),
}


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


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """clickhousedb:// and the address of a server, reached over HTTP; a database's name may follow."""
    with running_clickhouse(tmp_path_factory.mktemp("server") / "data") as address:
        yield f"clickhousedb://{address}/{{database}}"


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same for a cluster."""
    with running_clickhouse(tmp_path_factory.mktemp("cluster") / "data", CLUSTER) as address:
        yield f"clickhousedb://{address}/{{database}}?cluster={CLUSTER}"


@pytest.fixture
def empty_telemetry(
    request: pytest.FixtureRequest, engine_root: TelemetryStore, engine_dir: Path
) -> Iterator[TelemetryStore]:
    """A telemetry store on a database of its own, without tables; see `ON_SERVERS_TOO`."""
    url = f"clickhousedb:///{{database}}?interface=chdb&path={engine_dir}"
    place = getattr(request, "param", "embedded")
    root = engine_root
    if place != "embedded":
        url = request.getfixturevalue(f"{place}_url")
        root = TelemetryStore(url.format(database="default").split("?")[0])
    name = f"test_{uuid.uuid4().hex}"
    root.execute(f"CREATE DATABASE {name}")
    store = TelemetryStore(url.format(database=name))
    yield store
    store.close()
    root.execute(f"DROP DATABASE {name} SYNC")
    if root is not engine_root:
        root.close()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of `ON_SERVERS_TOO` against every kind of telemetry store."""
    places = ON_SERVERS_TOO.get(metafunc.module.__name__.removeprefix("tests."))
    if places and "empty_telemetry" in metafunc.fixturenames:
        metafunc.parametrize("empty_telemetry", ["embedded", *places], indirect=True)


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
