"""What holds of alerts holds on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from store.control import ControlStore
from store.migrate import upgrade
from tests.alerts.receiver import Receiver, running_receiver


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> Iterator[ControlStore]:
    """A migrated, empty control store."""
    if request.param == "sqlite":
        yield request.getfixturevalue("control")
        return
    opened = ControlStore(request.getfixturevalue("postgres"))
    upgrade(opened.engine, "control")
    yield opened
    opened.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running
