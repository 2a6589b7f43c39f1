"""Words on the terminal, at once: also when the output is a pipe."""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """Print one line to stdout and flush it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
