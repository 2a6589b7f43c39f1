"""Identifiers of runs, traces and spans that a host's random seed cannot repeat.

Training scripts call `random.seed(0)`. The OpenTelemetry default draws ids from that same generator, so two runs would
share their trace ids and the second would look like a resend of the first. Ours come from a generator of our own.
"""

import os
import random

from opentelemetry.sdk.trace.id_generator import IdGenerator

_source = random.Random(os.urandom(32))

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _source.seed(os.urandom(32)))

_VERSION_AND_VARIANT_BITS = (0xF << 76) | (0x3 << 62)
_VERSION_4_RFC_9562 = (0x4 << 76) | (0x2 << 62)


def new_run_id() -> str:
    """Return a random (version 4) UUID as 32 hexadecimal digits."""
    return f"{_source.getrandbits(128) & ~_VERSION_AND_VARIANT_BITS | _VERSION_4_RFC_9562:032x}"


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
