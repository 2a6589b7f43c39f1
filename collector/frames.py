"""How rows stand in a file of the journal: frames, each with its length and checksums, that damage cannot run together.

A frame is a head (magic, length and CRC-32 of the payload, CRC-32 of these) and a payload. That of `ANDN` is the
schema or a record batch; that of `ANDM` is the marks of requests and then the batch of their rows: no crash parts them;
that of `ANDS` is a stream of other rows, with their schema, that the next rows need.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

_PLAIN = b"ANDN"
_MARKED = b"ANDM"
_BESIDE = b"ANDS"
_MAGICS = re.compile(rb"AND[NMS]")
_HEAD = struct.Struct("<4sQI")
_CHECK = struct.Struct("<I")
_FRAME_HEAD = _HEAD.size + _CHECK.size
_MARK = struct.Struct("<16sQ")
_COUNT = struct.Struct("<I")


@dataclass(frozen=True)
class Mark:
    """By what a request is known again: a digest of what it says, and when it came (UTC nanoseconds)."""

    digest: bytes
    arrived: int

    def pack(self) -> bytes:
        """The mark as bytes of one length."""
        return _MARK.pack(self.digest, self.arrived)

    @staticmethod
    def unpack_all(packed: bytes) -> list[Mark]:
        """Every whole mark of a row of them."""
        whole = len(packed) - len(packed) % _MARK.size
        return [Mark(digest, arrived) for digest, arrived in _MARK.iter_unpack(packed[:whole])]


MARK_BYTES = _MARK.size


@dataclass(frozen=True)
class Frame:
    """One whole, intact frame: what it holds, from which requests, where it ends in the file, and whether it holds
    other rows."""

    payload: pa.Buffer
    marks: tuple[Mark, ...]
    end: int
    is_beside: bool = False


@dataclass(frozen=True)
class Frames:
    """The intact frames of a file; where it is damaged, None where it is not; and where its last frame begins, if that
    was not written to its end, as a crash leaves it."""

    intact: list[Frame]
    damage: str | None
    torn_at: int | None


def frame(payload: pa.Buffer, marks: Sequence[Mark] = (), *, is_beside: bool = False) -> tuple[bytes, pa.Buffer]:
    """The two parts, head and payload, to be written one after the other; other rows have no marks."""
    before = _COUNT.pack(len(marks)) + b"".join(mark.pack() for mark in marks) if marks else b""
    checksum = zlib.crc32(payload, zlib.crc32(before))
    magic = _BESIDE if is_beside else _MARKED if marks else _PLAIN
    head = _HEAD.pack(magic, len(before) + payload.size, checksum)
    return head + _CHECK.pack(zlib.crc32(head)) + before, payload


def read_frames(content: bytes) -> Frames:
    """Every intact frame. A torn tail is told apart from damage; of nothing at all, it is the whole."""
    buffer = pa.py_buffer(content)
    intact: list[Frame] = []
    at, damage = 0, None
    torn_at = None if content else 0
    while at < len(content):
        found = _frame_at(buffer, at)
        if found is None:
            found = _next_frame(content, buffer, at + 1)
            if found is None and _is_torn(content, buffer, at):
                torn_at = at
            else:
                damage = damage or f"a frame at byte {at} of {len(content)} fails its checksum"
            if found is None:
                break
        intact.append(found)
        at = found.end
    return Frames(intact, damage, torn_at)


def _next_frame(content: bytes, buffer: pa.Buffer, start: int) -> Frame | None:
    found = (_frame_at(buffer, match.start()) for match in _MAGICS.finditer(content, start))
    return next((frame for frame in found if frame is not None), None)


def _frame_at(content: pa.Buffer, at: int) -> Frame | None:
    length = _length_at(content, at)
    if length is None or at + _FRAME_HEAD + length > content.size:
        return None
    payload = content.slice(at + _FRAME_HEAD, length)
    magic, _, checksum = _HEAD.unpack(content.slice(at, _HEAD.size))
    if zlib.crc32(payload) != checksum:
        return None
    end = at + _FRAME_HEAD + length
    if magic != _MARKED:
        return Frame(payload, (), end, is_beside=magic == _BESIDE)
    (count,) = _COUNT.unpack(payload.slice(0, _COUNT.size))
    marks = payload.slice(_COUNT.size, count * _MARK.size)
    return Frame(payload.slice(_COUNT.size + marks.size), tuple(Mark.unpack_all(marks.to_pybytes())), end)


def _length_at(content: pa.Buffer, at: int) -> int | None:
    """The length that an intact head at `at` gives."""
    if at + _FRAME_HEAD > content.size:
        return None
    head = content.slice(at, _HEAD.size)
    (check,) = _CHECK.unpack(content.slice(at + _HEAD.size, _CHECK.size))
    magic, length, _ = _HEAD.unpack(head)
    known = magic in {_PLAIN, _BESIDE} or (magic == _MARKED and length >= _COUNT.size + _MARK.size)
    return int(length) if known and zlib.crc32(head) == check else None


def _is_torn(content: bytes, buffer: pa.Buffer, at: int) -> bool:
    """Whether the rest from `at` is a frame that was not written to its end, or room that was never written."""
    if at + _FRAME_HEAD > len(content):
        return True
    length = _length_at(buffer, at)
    if length is None:
        return content.count(0, at) == len(content) - at
    return at + _FRAME_HEAD + length > len(content)
