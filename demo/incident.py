"""What goes wrong, and when: the schedule of the incident and the conditions that the pipelines work under.

The factory asks for the phase once in a while and changes the conditions; the pipelines feel them and know no schedule.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

PROMPT_FACTOR = 2.2
"""How much longer the prompts of the support pipeline are during the incident."""


class Phase(Enum):
    """What the factory goes through; the values are what a control file may say."""

    NORMAL = "normal"
    INCIDENT = "incident"


TOLD = {
    Phase.INCIDENT: f"incident: the prompts of support-rag are {PROMPT_FACTOR} times as long, and doc-summaries hangs",
    Phase.NORMAL: "incident over: the prompts of support-rag are as before, and doc-summaries goes on",
}


@dataclass(frozen=True)
class Schedule:
    """When the incident begins, seconds after the start, and how long it lasts.

    `after_seconds` None: never. `length_seconds` 0: it stays.
    """

    after_seconds: float | None
    length_seconds: float = 90.0

    def phase(self, elapsed_seconds: float) -> Phase:
        """Return the phase at that time after the start."""
        if self.after_seconds is None or elapsed_seconds < self.after_seconds:
            return Phase.NORMAL
        over = self.length_seconds > 0 and elapsed_seconds >= self.after_seconds + self.length_seconds
        return Phase.NORMAL if over else Phase.INCIDENT


def ordered_phase(control_file: Path | None) -> Phase | None:
    """Return the phase that `control_file` orders; None without a file, or while it says nothing known."""
    if control_file is None:
        return None
    try:
        word = control_file.read_text(encoding="utf-8", errors="replace").strip().lower()
    except OSError:
        return None
    return next((phase for phase in Phase if phase.value == word), None)


@dataclass
class Conditions:
    """What the pipelines work under.

    Attributes:
        prompt_factor: how many times longer than planned the prompts are.
        documents_available: cleared while the store of documents answers nobody.
    """

    prompt_factor: float = 1.0
    documents_available: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.documents_available.set()

    def enter(self, phase: Phase) -> None:
        """Bring the incident about, or end it."""
        if phase is Phase.INCIDENT:
            self.prompt_factor = PROMPT_FACTOR
            self.documents_available.clear()
        else:
            self.prompt_factor = 1.0
            self.documents_available.set()
