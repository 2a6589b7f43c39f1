"""Fixtures of the checklist: a moment, contexts over both stores, and a PostgreSQL source as a check sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from checklist.cdc import CdcCheck
from checklist.context import CheckContext, Facts
from checklist.memory import StoredMemory
from checklist.model import CheckResult, Evidence
from settings import CdcSource, ChecklistSettings, Settings
from store.control import ControlStore
from store.telemetry import TelemetryStore
from tests.postgres import Consumer, PostgresServer

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
MONITOR_PASSWORD = "monitor's p@ss"


@pytest.fixture
def make_context(control: ControlStore) -> Callable[..., CheckContext]:
    """Makes the context of one check; the telemetry store is only needed by checks that read it."""

    def make(
        check: str, checklist: ChecklistSettings | None = None, facts: Facts | None = None, telemetry: Any = None
    ) -> CheckContext:
        settings = Settings(checklist=checklist or ChecklistSettings())
        return CheckContext(settings, telemetry, control, StoredMemory(control, check), facts or Facts())

    return make


@pytest.fixture
def telemetry_context(
    make_context: Callable[..., CheckContext], telemetry: TelemetryStore
) -> Callable[..., CheckContext]:
    """Makes contexts with a real telemetry store."""

    def make(check: str, checklist: ChecklistSettings | None = None, facts: Facts | None = None) -> CheckContext:
        return make_context(check, checklist, facts, telemetry)

    return make


@dataclass
class Source:
    """A captured database: table `orders` in publication `pub`, watched by a role that has pg_monitor."""

    server: PostgresServer
    database: str
    make_context: Callable[..., CheckContext]
    consumers: list[Consumer] = field(default_factory=list)

    def url(self, user: str = "andon_monitor", password: str = MONITOR_PASSWORD) -> str:
        return self.server.url(self.database, user, password)

    def execute(self, statement: str) -> list[dict[str, Any]]:
        return self.server.execute(statement, self.database)

    def create_slot(self, name: str = "orders_slot") -> None:
        self.execute(f"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")

    def consume(self, slot: str = "orders_slot") -> Consumer:
        consumer = Consumer(self.server, self.database, slot, "pub")
        self.consumers.append(consumer)
        return consumer

    def write(self, megabytes: float) -> None:
        rows = int(megabytes * 1024)
        self.execute(f"INSERT INTO orders SELECT repeat('x', 1000) FROM generate_series(1, {rows})")

    def look(self, now: datetime = NOW, url: str | None = None, **settings: Any) -> CheckResult:
        """Run the check once; `settings` are those of the source."""
        source = CdcSource(name="shop", url=url or self.url(), **settings)
        return CdcCheck().run(self.make_context("cdc", ChecklistSettings(cdc=(source,))), now)


def row(result: CheckResult, rule: str) -> Evidence:
    """The one row that a rule gave."""
    found = [evidence for evidence in result.evidence if evidence.rule == rule]
    assert len(found) == 1, f"{rule}: {[(r.label, r.value) for r in result.evidence]}"
    return found[0]


@pytest.fixture
def source(logical_postgres: tuple[PostgresServer, str], make_context: Callable[..., CheckContext]) -> Iterator[Source]:
    server, database = logical_postgres
    if not server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'andon_monitor'"):
        quoted = MONITOR_PASSWORD.replace("'", "''")
        server.execute(f"CREATE ROLE andon_monitor LOGIN PASSWORD '{quoted}'")
        server.execute("GRANT pg_monitor TO andon_monitor")
        server.execute(f"CREATE ROLE andon_nobody LOGIN PASSWORD '{quoted}'")
    made = Source(server, database, make_context)
    made.execute("CREATE TABLE orders(body text)")
    made.execute("CREATE PUBLICATION pub FOR TABLE orders")
    yield made
    for consumer in made.consumers:
        consumer.stop()
