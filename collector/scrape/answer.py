"""What a target answers: a body in one of two formats, or no answer that can be used."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ScrapeError(Exception):
    """A scrape that failed as a whole; `reason` is the word it is counted under."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Format(Enum):
    """The two formats, by the media type that announces them."""

    TEXT = "text/plain"
    OPENMETRICS = "application/openmetrics-text"


@dataclass(frozen=True)
class Shown:
    """What a target answered."""

    body: bytes
    format: Format
