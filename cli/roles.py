"""What a process of Andon does: a name for each part, known before any of them is loaded."""

from __future__ import annotations

from enum import Enum


class Role(Enum):
    """What a process does."""

    COLLECTOR = "collector"
    WORKER = "worker"
    DASHBOARD = "dashboard"


EVERYTHING = frozenset(Role)
