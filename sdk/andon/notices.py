"""What the SDK says to its host, and how often.

Everything goes to the logger `andon`. A mistake in a call is named once; losses (spans or observations that will not
arrive) are counted always and told at most once a minute, so that a dead collector cannot flood the host's log.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Final

log: Final = logging.getLogger("andon")

MINUTE_SECONDS: Final = 60.0
_MAX_REMEMBERED: Final = 1000

_said: set[str] = set()


def warn(message: str, *args: object) -> None:
    """Log a warning. Never raises: a handler or a filter of the host may, and a value may have no text."""
    try:
        log.warning(message, *args)
    except Exception:  # noqa: BLE001 - the log itself is what failed
        return


def warn_once(key: str, message: str, *args: object) -> None:
    """Log `message % args` as a warning the first time that `key` is seen in this process.

    `key` names the mistake, not the value, so that the memory of what was said stays bounded.
    """
    if key in _said or len(_said) >= _MAX_REMEMBERED:
        return
    _said.add(key)
    warn(message, *args)


def forget_warnings() -> None:
    """Start over, as in a fresh process."""
    _said.clear()


class Loss(Enum):
    """Why something that was recorded does not arrive."""

    EXPORT = "not delivered"
    REJECTED = "rejected"
    FAULT = "lost to a fault inside the SDK"


class LossLog:
    """Counts losses by cause, and logs each cause at most once a minute.

    Args:
        now: seconds on a clock that never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._totals: dict[Loss, int] = {}
        self._last_line: dict[Loss, float] = {}

    def total(self, cause: Loss) -> int:
        """How many items were lost to `cause` since the process started."""
        return self._totals.get(cause, 0)

    def add(self, cause: Loss, count: int, detail: str) -> None:
        """Count `count` items as lost; log `detail` and the total unless this cause had its line this minute."""
        with self._lock:
            total = self._totals[cause] = self._totals.get(cause, 0) + count
            now = self._now()
            last = self._last_line.get(cause)
            if last is not None and now - last < MINUTE_SECONDS:
                return
            self._last_line[cause] = now
        warn("%s (%d %s since start; this program is not affected)", detail, total, cause.value)

    def _free(self) -> None:
        self._lock = threading.RLock()


losses: Final = LossLog()

if hasattr(os, "register_at_fork"):  # a thread that is not in the child may hold the lock
    os.register_at_fork(after_in_child=losses._free)
