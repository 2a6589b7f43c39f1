"""Identifiers of runs, traces and spans that a host's random seed cannot repeat.

Training scripts call `random.seed(0)`. The OpenTelemetry default draws ids from that same generator, so two runs would
share their trace ids and the second would look like a resend of the first. Ours come from a generator of our own.
"""

import itertools
import os
import random

from opentelemetry.sdk.trace.id_generator import IdGenerator

_source = random.Random(os.urandom(32))


class _RunIds:
    """Ids for this process: half of it random, the other half counted, which costs a tenth of drawing each."""

    def __init__(self) -> None:
        self._process = f"{_source.getrandbits(64):016x}"
        self._counter = itertools.count(_source.getrandbits(32))

    def new(self) -> str:
        return f"{self._process}{next(self._counter):016x}"


_run_ids = _RunIds()


def _start_over_in_child() -> None:
    _source.seed(os.urandom(32))
    _run_ids.__init__()  # type: ignore[misc]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_over_in_child)


def new_run_id() -> str:
    """Return an id of 32 hexadecimal digits that no other run has, in this process or in another."""
    return _run_ids.new()


class OwnIdGenerator(IdGenerator):
    """Trace and span ids from the SDK's own source of randomness; never zero, which OpenTelemetry calls invalid."""

    def generate_span_id(self) -> int:
        """Return 64 random bits."""
        return _source.getrandbits(64) or self.generate_span_id()

    def generate_trace_id(self) -> int:
        """Return 128 random bits."""
        return _source.getrandbits(128) or self.generate_trace_id()

    def is_trace_id_random(self) -> bool:
        """All bits are random, so samplers may rely on them."""
        return True
