"""The memory of a check, kept in the control store, so that a restart forgets nothing a verdict needs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from checklist.records import MemoryRecord
from store.control import ControlStore


class StoredMemory:
    """The memory of the check called `check_name`."""

    def __init__(self, control: ControlStore, check_name: str) -> None:
        self._control = control
        self._check_name = check_name

    def read(self, key: str) -> dict[str, Any]:
        """The value last written under `key`; empty when there is none."""
        with self._control.read() as session:
            record = session.get(MemoryRecord, (self._check_name, key))
            return dict(record.value) if record is not None else {}

    def write(self, key: str, value: Mapping[str, Any], now: datetime) -> None:
        """Keep `value` (JSON) under `key`."""
        with self._control.write() as session:
            record = MemoryRecord(check_name=self._check_name, key=key, value=dict(value), updated_at=now)
            session.merge(record)
