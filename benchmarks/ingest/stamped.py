"""Requests of spans that cost next to nothing to make: one is built, the others are its bytes with other numbers in it.

Sender and server share the machine, and building protobuf messages takes more processor time than storing them does.
What is stamped in is what `benchmarks.ingest.drawn` draws.
"""

from __future__ import annotations

import re
import time
from functools import cache
from typing import Any, Final

import numpy as np

from benchmarks.ingest.built import spans_body
from benchmarks.ingest.drawn import SPANS_PER_REQUEST, Numbers, drawn

Bytes = np.ndarray[Any, np.dtype[np.uint8]]

# Where each of them begins, after what stands before it; all are of one length in every span.
_HEAD: Final = rb"\x0a\x10.{16}\x12\x08.{8}\x2a\x0achat gpt-5\x30\x03\x39.{8}\x41.{8}\x4a"
_PLACES: Final = {
    "response": rb"resp_(?=[0-9a-f]{16})",
    "conversation": rb"conv_(?=[0-9a-f]{16})",
    "run": rb"andon\.run\.id\x12\x22\x0a\x20(?=[0-9a-f]{32})",
    "first_token_seconds": rb"time_to_first_chunk\x12\x09\x21(?=.{8})",
    "input_tokens": rb"input_tokens\x12\x03\x18(?=[\x80-\xff][\x01-\x7f])",
    "output_tokens": rb"output_tokens\x12\x03\x18(?=[\x80-\xff][\x01-\x7f])",
}
_TRACE, _SPAN, _START, _END = 2, 20, 43, 52
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)


@cache
def _template() -> tuple[Bytes, dict[str, Any]]:
    body = spans_body(0, 10**18)
    places = {name: [match.end() for match in re.finditer(after, body, re.DOTALL)] for name, after in _PLACES.items()}
    places["head"] = [match.start() for match in re.finditer(_HEAD, body, re.DOTALL)]
    assert all(len(found) == SPANS_PER_REQUEST for found in places.values()), "a request is not built as it was"
    return np.frombuffer(body, np.uint8), {name: np.array(found) for name, found in places.items()}


def stamped_body(seed: int, now: int | None = None) -> bytes:
    """What `spans_body` makes of the same arguments."""
    template, places = _template()
    body, told, head = template.copy(), drawn(seed, time.time_ns() if now is None else now), places["head"]
    for number, half in enumerate(told.trace):
        _put(body, head + _TRACE + 8 * number, _big(half))
    _put(body, head + _SPAN, _big(told.span))
    _put(body, head + _START, told.start.astype("<u8"))
    _put(body, head + _END, told.end.astype("<u8"))
    _put(body, places["first_token_seconds"], told.first_token_seconds.astype("<f8"))
    for number, half in enumerate(told.run):
        _put(body, places["run"] + 16 * number, _hex(half))
    _put(body, places["response"], _hex(told.response))
    _put(body, places["conversation"], _hex(told.conversation))
    _put(body, places["input_tokens"], _varint(told.input_tokens))
    _put(body, places["output_tokens"], _varint(told.output_tokens))
    return body.tobytes()


def _put(body: Bytes, places: Any, numbers: Any) -> None:
    each = numbers.view(np.uint8).reshape(len(places), -1)
    body[places[:, None] + np.arange(each.shape[1])] = each


def _big(numbers: Numbers) -> Any:
    return numbers.astype(">u8")


def _hex(numbers: Numbers) -> Bytes:
    each = _big(numbers).view(np.uint8)
    return _HEX[np.stack([each >> 4, each & 15], axis=1).reshape(-1)]


def _varint(numbers: Numbers) -> Bytes:
    """Of two bytes: seven bits each, the lower first."""
    return np.stack([numbers & np.uint64(127) | np.uint64(128), numbers >> np.uint64(7)], axis=1).astype(np.uint8)
