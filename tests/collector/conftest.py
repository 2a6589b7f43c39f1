"""A running intake over the real store, with small limits, and a client that talks to its receiver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from collector.intake import Intake
from settings import CollectorSettings, Settings
from store.telemetry import TelemetryStore

LIMIT = 100_000


@pytest.fixture
def intake(tmp_path: Path, telemetry: TelemetryStore) -> Iterator[Intake]:
    limits = CollectorSettings(max_body_bytes=LIMIT, max_in_flight_bytes=4 * LIMIT)
    intake = Intake(Settings(data_dir=tmp_path, collector=limits), telemetry)
    intake.start()
    yield intake
    intake.stop()


@pytest.fixture
def client(intake: Intake) -> Iterator[TestClient]:
    with TestClient(intake.receiver.app(), "http://localhost", raise_server_exceptions=False) as client:
        yield client
