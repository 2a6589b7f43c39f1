"""Work that repeats in the background: fold, drift, checks, alerts. One thread each; a failure is counted and tried
again, and never stops the others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

log = logging.getLogger(__name__)


class Periodic:
    """Calls `work(now)`, waits `seconds`, and again, until stopped."""

    def __init__(self, name: str, seconds: float, work: Callable[[datetime], object]) -> None:
        self.name = name
        self._seconds = seconds
        self._work = work
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._runs = 0
        self._failures = 0
        self._last_error: str | None = None
        self._last_seconds: float | None = None
        self._busy_seconds = 0.0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Let the run that is under way finish, then end the thread."""
        self._stopping.set()
        self._thread.join(timeout=30)

    def health(self) -> dict[str, Any]:
        """Runs, failures and the last error."""
        return {
            "runs_total": self._runs,
            "failures_total": self._failures,
            "last_run_seconds": self._last_seconds,
            "busy_seconds_total": self._busy_seconds,
            "failing": self._last_error is not None,
            "last_error": self._last_error,
        }

    def _run(self) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._work(datetime.now(UTC))
                self._last_error = None
            except Exception as error:  # noqa: BLE001  the next round tries again, and the health page shows it
                self._failures += 1
                text = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
                if text != self._last_error:
                    log.warning("%s failed and is tried again in %.0f s: %s", self.name, self._seconds, text)
                self._last_error = text
            self._runs += 1
            self._last_seconds = time.monotonic() - began
            self._busy_seconds += self._last_seconds
            self._stopping.wait(self._seconds)
