"""Fixtures for every room: one embedded engine per test run, a fresh database and a fresh control store per test."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from store.control import ControlStore
from store.migrate import upgrade
from store.telemetry import TelemetryStore
from tests.clickhouse import CLUSTER, running_clickhouse
from tests.migrated import run_all, statements_of
from tests.postgres import logical_postgres, postgres, postgres_server  # noqa: F401  fixtures

# Modules whose promises hold over ClickHouse's HTTP interface as well, and over Distributed tables.
ON_SERVERS_TOO = {
    "store.test_migrations": ("server", "cluster"),
    "store.test_telemetry": ("server", "cluster"),
    "economics.test_ledger": ("cluster",),
}


# How long an example takes is a matter of what else the machine does.
settings.register_profile("andon", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("andon")

MOST_WORKERS = 4
WORKER_BYTES = 2 * 2**30  # of memory: one, with the servers that its tests start


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Processes that share the files of tests; 0 runs them in this one.

    Much of a test's time is waiting for servers, so there is one more than there are cores.
    """
    named = {argument.partition("::")[0] for argument in config.args}
    if len(named) == 1 and named.pop().endswith(".py"):
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(cores + 1, memory // WORKER_BYTES, MOST_WORKERS))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that none of them is left over at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


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


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """clickhousedb:// and the address of a server, reached over HTTP; a database's name may follow.

    It ends with the module: an idle one still takes a tenth of a core.
    """
    with running_clickhouse(tmp_path_factory.mktemp("server") / "data") as address:
        yield f"clickhousedb://{address}/{{database}}"


@pytest.fixture(scope="module")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same for a cluster."""
    with running_clickhouse(tmp_path_factory.mktemp("cluster") / "data", CLUSTER) as address:
        yield f"clickhousedb://{address}/{{database}}?cluster={CLUSTER}"


@pytest.fixture(scope="session")
def migrated() -> dict[str, list[str]]:
    """For each kind of telemetry store: statements that make of an empty one what the migrations made of the first."""
    return {}


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty control store on SQLite as the migrations make it, to be copied."""
    path = tmp_path_factory.mktemp("control") / "control.sqlite"
    store = ControlStore(f"sqlite:///{path}")
    upgrade(store.engine, "control")
    store.close()
    return path


def place_of(request: pytest.FixtureRequest) -> str:
    """Where this test's telemetry store is; see `ON_SERVERS_TOO`."""
    if hasattr(request.node, "callspec"):
        return str(request.node.callspec.params.get("empty_telemetry", "embedded"))
    return "embedded"


@pytest.fixture
def empty_telemetry(
    request: pytest.FixtureRequest, engine_root: TelemetryStore, engine_dir: Path
) -> Iterator[TelemetryStore]:
    """A telemetry store on a database of its own, without tables; see `ON_SERVERS_TOO`."""
    url = f"clickhousedb:///{{database}}?interface=chdb&path={engine_dir}"
    place = place_of(request)
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
def telemetry(
    request: pytest.FixtureRequest, empty_telemetry: TelemetryStore, migrated: dict[str, list[str]]
) -> TelemetryStore:
    """A migrated, empty telemetry store. Migrating each anew would take seconds, most of them waiting for mutations."""
    place = place_of(request)
    if place not in migrated:
        upgrade(empty_telemetry.engine, "telemetry")
        migrated[place] = statements_of(empty_telemetry)
    else:
        run_all(empty_telemetry, migrated[place])
    return empty_telemetry


@pytest.fixture
def control(tmp_path: Path, migrated_sqlite: Path) -> Iterator[ControlStore]:
    """A migrated, empty control store on SQLite."""
    shutil.copy(migrated_sqlite, tmp_path / "control.sqlite")
    store = ControlStore(f"sqlite:///{tmp_path / 'control.sqlite'}")
    yield store
    store.close()
