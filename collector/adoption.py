"""What a run that was killed leaves open: read when the journal opens, cut to what is whole, and sealed.

Only such a segment may end in the middle of a frame, which is cut off here; in one that was sealed it is damage.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from collector.frames import Mark, read_frames
from collector.segment import SEALED

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LeftOpen:
    """A segment that was not sealed: the marks of the requests in it, and where its torn tail begins."""

    path: Path
    marks: list[Mark]
    torn_at: int | None

    def seal(self) -> None:
        """Cut off the torn tail, and hand the rest to the writer.

        Raises:
            OSError: it cannot be renamed.
        """
        try:
            if self.torn_at == 0:
                self.path.unlink()
                return
            if self.torn_at is not None:
                os.truncate(self.path, self.torn_at)
        except OSError as error:
            log.warning("the torn end of journal segment %s cannot be cut off: %s", self.path, error)
        self.path.rename(self.path.with_suffix(SEALED))


def left_open(path: Path) -> LeftOpen:
    """Read a segment that was not sealed; one that cannot be read is for the writer to set aside."""
    try:
        found = read_frames(path.read_bytes())
    except OSError as error:
        log.warning("journal segment %s cannot be read: %s", path, error)
        return LeftOpen(path, [], None)
    return LeftOpen(path, [mark for one in found.intact for mark in one.marks], found.torn_at)
