"""Reach the data of an Andon: through the server that runs on its data directory, or by opening its stores.

The embedded stores belong to one process at a time, so a command asks a running server first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from cli.ownership import is_owned, owned
from settings import Settings
from store.control import ControlStore
from store.errors import StoreError
from store.migrate import is_current, migrate, migrate_control
from store.telemetry import TelemetryStore

ASK_SECONDS = 10.0


@dataclass(frozen=True)
class Stores:
    """Both stores, open and migrated."""

    telemetry: TelemetryStore
    control: ControlStore


@contextmanager
def open_stores(settings: Settings) -> Iterator[Stores]:
    """Open and migrate both stores of `settings`, and close them at the end.

    Raises:
        StoreError: another process holds the data directory, or a newer version wrote it.
    """
    with owned(settings.data_dir):
        telemetry = TelemetryStore(settings.resolved_telemetry_url())
        try:
            control = ControlStore(settings.resolved_control_url())
            try:
                migrate(telemetry, control)
                yield Stores(telemetry, control)
            finally:
                control.close()
        finally:
            telemetry.close()


@contextmanager
def open_control(settings: Settings) -> Iterator[ControlStore]:
    """Open the control store of `settings` alone, also beside a running server, and close it at the end.

    Raises:
        StoreError: it cannot be opened, or a server of another version works on it.
    """
    control = ControlStore(settings.resolved_control_url())
    try:
        if is_owned(settings.data_dir) and not is_current(control):
            raise StoreError(
                f"the server that runs on {settings.data_dir} is of another version than this command; "
                "restart it with this version first"
            )
        migrate_control(control)
        yield control
    finally:
        control.close()


def running_server(data_dir: Path) -> str | None:
    """Address of the server that runs on `data_dir`, if one does and answers `/healthz`."""
    if not is_owned(data_dir):
        return None
    try:
        announced = json.loads((data_dir / "server.json").read_text(encoding="utf-8"))
        url = str(announced["url"])
        # What a proxy of the environment says is meant for the world outside, not for loopback.
        answer = httpx.get(f"{url}/healthz", timeout=ASK_SECONDS, trust_env=False)
    except (OSError, ValueError, KeyError, TypeError, httpx.HTTPError, httpx.InvalidURL):
        return None
    return url if answer.is_success else None
