"""What no two spans of a request share: identities, times, tokens, drawn from the span's number.

They look as random as those of real calls: numbers in a row would be compressed to next to nothing on disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Numbers = np.ndarray[Any, np.dtype[np.uint64]]

SPANS_PER_REQUEST = 512
_SPANS_PER_TRACE, _SPANS_PER_CONVERSATION = 8, 16


@dataclass(frozen=True)
class Drawn:
    """By span. Trace identities and runs are in two halves; times in UTC nanoseconds, tokens from 128 to 16 383."""

    trace: tuple[Numbers, Numbers]
    span: Numbers
    response: Numbers
    conversation: Numbers
    run: tuple[Numbers, Numbers]
    start: Numbers
    end: Numbers
    first_token_seconds: np.ndarray[Any, np.dtype[np.float64]]
    input_tokens: Numbers
    output_tokens: Numbers


def drawn(seed: int, now: int) -> Drawn:
    """The spans of a request, of which the last ends at `now`; the same for the same seed."""
    index = np.arange(SPANS_PER_REQUEST, dtype=np.uint64)
    number = np.uint64(seed * SPANS_PER_REQUEST) + index
    trace, conversation = number // np.uint64(_SPANS_PER_TRACE), number // np.uint64(_SPANS_PER_CONVERSATION)
    end = np.uint64(now) - (np.uint64(SPANS_PER_REQUEST - 1) - index)
    share = (_mixed(number, 6) >> np.uint64(12)) / 2.0**52
    return Drawn(
        trace=(_mixed(trace, 0), _mixed(trace, 1)),
        span=_mixed(number, 2),
        response=_mixed(number, 3),
        conversation=_mixed(conversation, 4),
        run=(_mixed(trace, 7), _mixed(trace, 8)),
        start=end - np.uint64(2 * 10**8) - _mixed(number, 5) % np.uint64(3 * 10**9),
        end=end,
        first_token_seconds=0.05 + share / 4,
        input_tokens=np.uint64(300) + _mixed(number, 9) % np.uint64(4000),
        output_tokens=np.uint64(130) + _mixed(number, 10) % np.uint64(800),
    )


def _mixed(numbers: Numbers, salt: int) -> Numbers:
    """The finaliser of splitmix64, which gives each number another."""
    mixed = numbers * np.uint64(16) + np.uint64(salt + 1)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
