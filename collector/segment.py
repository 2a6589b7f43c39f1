"""One file of the journal: the schema in its first frame, then the rows of requests, as Arrow record batches, each
after the rows of another table that they need.

A crash can tear the last frame, which was never acknowledged; `collector.adoption` cuts it off. Damage shows in a
checksum, or in an end that is no end: the readable frames are given, and the damage is told.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import pyarrow as pa

from collector.clock import SYSTEM_CLOCK, Clock
from collector.frames import Frame, Mark, frame, read_frames

OPEN = ".open"
SEALED = ".segment"
STARTED_DIGITS = 20


class OpenSegment:
    """The segment that takes rows.

    Args:
        started: UTC nanoseconds, the first part of its name; segments are written to the store in its order.

    Raises:
        OSError: the file cannot be made or written.
    """

    def __init__(self, folder: Path, schema: pa.Schema, started: int, clock: Clock = SYSTEM_CLOCK) -> None:
        self.path = folder / f"{started:0{STARTED_DIGITS}d}-{secrets.token_hex(6)}{OPEN}"
        self.size = 0
        self._schema = schema
        self._clock = clock
        self._opened = clock.steady()
        self._file = FileIO(self.path, "wb")
        try:
            self._write_frame(schema.serialize())
            sync_folder(folder)
        except BaseException:
            self._file.close()
            self.path.unlink(missing_ok=True)
            raise

    def write(self, rows: pa.Table, marks: Sequence[Mark] = (), beside: pa.Table | None = None) -> None:
        """Append the rows of requests; they are safe only after `sync()`.

        Args:
            beside: rows of another table that must be in the store before these.
        """
        if rows.schema != self._schema:
            raise pa.ArrowInvalid(f"rows of another schema were given to the journal: {rows.schema.names}")
        if beside is not None:
            self._write_parts(frame(_stream(beside), is_beside=True))
        batches = rows.combine_chunks().to_batches()
        # With the last batch the requests are whole. There is one, unless its rows take gigabytes.
        for batch in batches[:-1]:
            self._write_frame(batch.serialize())
        for batch in batches[-1:]:
            self._write_frame(batch.serialize(), marks)

    def sync(self) -> None:
        """Return when everything written is on disk."""
        os.fdatasync(self._file.fileno())
        self.size = self._file.tell()

    def is_due(self, seconds: float, size: int) -> bool:
        """Whether the segment is older than `seconds` or holds at least `size` bytes."""
        return self.seconds_left(seconds) <= 0 or self.size >= size

    def seconds_left(self, seconds: float) -> float:
        """Time until the segment is `seconds` old."""
        return max(0.0, seconds - (self._clock.steady() - self._opened) / 1e9)

    def seal(self) -> bool:
        """Give the file, cut back to what was synced, the name under which the writer finds it.

        Returns:
            Whether anything was synced; else the file is deleted.

        Raises:
            OSError: it cannot be done now; call it again.
        """
        if self.size == 0:
            self._file.close()
            self.path.unlink(missing_ok=True)
            return False
        # A failed write may have left rows that were never acknowledged, and that their sender sends again.
        if not self._file.closed:
            if self._file.tell() != self.size:
                os.ftruncate(self._file.fileno(), self.size)
                os.fdatasync(self._file.fileno())
            self._file.close()
        if self.path.exists():
            self.path.rename(self.path.with_suffix(SEALED))
        sync_folder(self.path.parent)
        return True

    def _write_frame(self, payload: pa.Buffer, marks: Sequence[Mark] = ()) -> None:
        self._write_parts(frame(payload, marks))

    def _write_parts(self, parts: tuple[bytes, pa.Buffer]) -> None:
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[self._file.write(rest) or 0 :]


@dataclass(frozen=True)
class SegmentRows:
    """What a segment gives: rows (None when it holds none), what is damaged in it (None when nothing is), and the rows
    of another table that these need (None when they need none)."""

    rows: pa.Table | None
    damage: str | None
    beside: pa.Table | None = None


def read_segment(path: Path, schema: pa.Schema) -> SegmentRows:
    """Every whole frame of a sealed segment.

    Args:
        schema: used where the segment's own schema frame is damaged.
    """
    found = read_frames(path.read_bytes())
    damage = None if found.damage is None else f"{path.name}: {found.damage}"
    if damage is None and found.torn_at is not None:
        damage = f"{path.name}: it ends in the middle of a frame that begins at byte {found.torn_at}"
    frames = [one for one in found.intact if not one.is_beside]
    beside = [pa.ipc.open_stream(one.payload).read_all() for one in found.intact if one.is_beside]
    if not frames:
        return SegmentRows(None, damage or f"{path.name}: it is empty")
    try:
        schema, frames = pa.ipc.read_schema(frames[0].payload), frames[1:]
    except (OSError, pa.ArrowException):
        damage = damage or f"{path.name}: the schema frame is missing"
    batches, unreadable = _batches(frames, schema)
    damage = damage or (None if unreadable is None else f"{path.name}: {unreadable}")
    return SegmentRows(
        pa.Table.from_batches(batches, schema) if batches else None,
        damage,
        pa.concat_tables(beside) if beside else None,
    )


def _batches(frames: list[Frame], schema: pa.Schema) -> tuple[list[pa.RecordBatch], str | None]:
    """The batches that can be read, and why others cannot."""
    batches, unreadable = [], None
    for one in frames:
        try:
            batches.append(pa.ipc.read_record_batch(one.payload, schema))
        except (OSError, pa.ArrowException) as error:
            unreadable = str(error)
    return batches, unreadable


def _stream(rows: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as stream:
        stream.write_table(rows)
    return sink.getvalue()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
