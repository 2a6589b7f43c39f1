"""One file of the journal: frames of Arrow record batches, each with its length and checksum.

A crash can tear the last frame, which was never acknowledged; reading gives every frame before it. Damage anywhere
else shows in a checksum: the readable frames are given, and the damage is told.
"""

from __future__ import annotations

import os
import secrets
import struct
import time
import zlib
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import pyarrow as pa

OPEN = ".open"
SEALED = ".segment"

_MAGIC = b"ANDN"
_HEAD = struct.Struct("<4sQI")  # magic, length of the payload, CRC-32 of the payload
_CHECK = struct.Struct("<I")  # CRC-32 of the head
_FRAME_HEAD = _HEAD.size + _CHECK.size


class OpenSegment:
    """The segment that takes rows. Its first frame is the schema, each other one a record batch.

    Raises:
        OSError: the file cannot be made or written.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        self.path = folder / f"{time.time_ns():020d}-{secrets.token_hex(6)}{OPEN}"
        self._schema = schema
        self._opened = time.monotonic()
        self._file = FileIO(self.path, "wb")
        self._acknowledged = 0
        try:
            self._write_frame(schema.serialize())
            sync_folder(folder)
        except BaseException:
            self._file.close()
            self.path.unlink(missing_ok=True)
            raise

    def write(self, rows: pa.Table) -> None:
        """Append rows; they are safe only after `sync()`."""
        if rows.schema != self._schema:
            raise pa.ArrowInvalid(f"rows of another schema were given to the journal: {rows.schema.names}")
        for batch in rows.combine_chunks().to_batches():
            self._write_frame(batch.serialize())

    def sync(self) -> None:
        """Return when everything written is on disk."""
        os.fdatasync(self._file.fileno())
        self._acknowledged = self._file.tell()

    def is_due(self, seconds: float, size: int) -> bool:
        """Whether the segment is older than `seconds` or holds at least `size` bytes."""
        return self.seconds_left(seconds) <= 0 or self._acknowledged >= size

    def seconds_left(self, seconds: float) -> float:
        """Time until the segment is `seconds` old."""
        return max(0.0, self._opened + seconds - time.monotonic())

    def seal(self) -> None:
        """Close the file and give it the name under which the writer finds it."""
        self._file.close()
        self.path.rename(self.path.with_suffix(SEALED))
        sync_folder(self.path.parent)

    def cut_back(self) -> None:
        """After a failed write: keep what was synced, if anything was, and seal it."""
        if self._acknowledged == 0:
            self._file.close()
            self.path.unlink(missing_ok=True)
        else:
            os.ftruncate(self._file.fileno(), self._acknowledged)
            self.seal()

    def _write_frame(self, payload: pa.Buffer) -> None:
        head = _HEAD.pack(_MAGIC, payload.size, zlib.crc32(payload))
        for part in (head + _CHECK.pack(zlib.crc32(head)), payload):
            rest = memoryview(part)
            while rest:
                rest = rest[self._file.write(rest) or 0 :]


@dataclass(frozen=True)
class SegmentRows:
    """What a segment gives: rows (None when it holds none), and what is damaged in it, None when nothing is."""

    rows: pa.Table | None
    damage: str | None


def read_segment(path: Path, schema: pa.Schema) -> SegmentRows:
    """Every whole frame of a segment. A torn tail is no damage: it was never acknowledged.

    Args:
        schema: used where the segment's own schema frame is damaged.
    """
    content = pa.py_buffer(path.read_bytes())
    payloads: list[pa.Buffer] = []
    at, damage = 0, None
    while at < content.size:
        payload = _frame_at(content, at)
        if payload is None:
            found = bytes(content[at + 1 :]).find(_MAGIC)
            torn = found < 0 and not _whole_frame_fails(content, at)
            damage = None if torn else f"{path.name}: a frame at byte {at} of {content.size} fails its checksum"
            while found >= 0 and payload is None:
                at += 1 + found
                payload = _frame_at(content, at)
                found = bytes(content[at + 1 :]).find(_MAGIC)
            if payload is None:
                break
        payloads.append(payload)
        at += _FRAME_HEAD + payload.size
    return _rows(path, payloads, schema, damage)


def _rows(path: Path, payloads: list[pa.Buffer], schema: pa.Schema, damage: str | None) -> SegmentRows:
    if not payloads:
        return SegmentRows(None, damage)
    try:
        schema, payloads = pa.ipc.read_schema(payloads[0]), payloads[1:]
    except (OSError, pa.ArrowException):
        damage = damage or f"{path.name}: the schema frame is missing"
    try:
        batches = [pa.ipc.read_record_batch(payload, schema) for payload in payloads]
    except (OSError, pa.ArrowException) as error:
        return SegmentRows(None, damage or f"{path.name}: {error}")
    return SegmentRows(pa.Table.from_batches(batches, schema) if batches else None, damage)


def _frame_at(content: pa.Buffer, at: int) -> pa.Buffer | None:
    """The payload of the frame at `at`, None when there is no whole, intact one."""
    length = _length_at(content, at)
    if length is None or at + _FRAME_HEAD + length > content.size:
        return None
    payload = content.slice(at + _FRAME_HEAD, length)
    (_, _, checksum) = _HEAD.unpack(content.slice(at, _HEAD.size))
    return payload if zlib.crc32(payload) == checksum else None


def _length_at(content: pa.Buffer, at: int) -> int | None:
    if at + _FRAME_HEAD > content.size:
        return None
    head = content.slice(at, _HEAD.size)
    (check,) = _CHECK.unpack(content.slice(at + _HEAD.size, _CHECK.size))
    magic, length, _ = _HEAD.unpack(head)
    return int(length) if magic == _MAGIC and zlib.crc32(head) == check else None


def _whole_frame_fails(content: pa.Buffer, at: int) -> bool:
    """Whether the file is long enough for the frame at `at`, or its head is whole but unreadable."""
    if at + _FRAME_HEAD > content.size:
        return False
    length = _length_at(content, at)
    return length is None or at + _FRAME_HEAD + length <= content.size


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
