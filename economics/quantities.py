"""The quantities on screen, as pure functions of additive facts. Definitions and examples: `docs/quantities.md`.

Ratios are ratios of sums: add facts first, divide once. What cannot be known is None, and so is a ratio by zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from decimal import Decimal
from operator import attrgetter
from typing import Any

MILLION = 1_000_000
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True)
class Facts:
    """What adds up over any split of a window: token counts, calls, and dollars.

    `input_tokens` includes cache reads and writes, `output_tokens` includes reasoning. `costed_*` are the tokens whose
    cost is known; `usd_capacity` and `usd_api` are their cost, USD.
    """

    calls: int = 0
    errors: int = 0
    calls_without_usage: int = 0
    runs: int = 0
    run_errors: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    costed_input_tokens: int = 0
    costed_output_tokens: int = 0
    usd_capacity: Decimal = Decimal(0)
    usd_api: Decimal = Decimal(0)

    def __add__(self, other: Facts) -> Facts:
        return Facts.total((self, other))

    @staticmethod
    def total(facts: Iterable[Facts]) -> Facts:
        """The sum."""
        summed: Iterable[Any] = map(sum, zip(*map(_numbers, facts), strict=True))
        return Facts(*summed)

    @property
    def usd(self) -> Decimal:
        return self.usd_capacity + self.usd_api


_numbers = attrgetter(*(field.name for field in fields(Facts)))


def tokens_total(facts: Facts) -> int:
    """Input and output tokens."""
    return facts.input_tokens + facts.output_tokens


def tokens_computed(facts: Facts) -> int:
    """Tokens of work done: input that was not read from a cache, and output."""
    return facts.input_tokens - facts.cache_read_tokens + facts.output_tokens


def tps(tokens: int, seconds: float) -> float | None:
    """Tokens per second of wall clock, idle time included; tok/s."""
    return tokens / seconds if seconds > 0 else None


def tps_per_usd_h(facts: Facts, seconds: float) -> float | None:
    """Output tokens per second bought by each dollar per hour of run-rate: (n / T) / (usd / T_h); tok/s per $/h."""
    if seconds <= 0 or not _priced(facts):
        return None
    return facts.costed_output_tokens / (float(facts.usd) * SECONDS_PER_HOUR)


def tokens_per_usd(facts: Facts) -> float | None:
    """Output tokens that a dollar buys; tok/$."""
    return facts.costed_output_tokens / float(facts.usd) if _priced(facts) else None


def usd_per_mtok_output(facts: Facts) -> float | None:
    """All cost put on output tokens, per million; $/Mtok-out, "output-loaded"."""
    return float(facts.usd) * MILLION / facts.costed_output_tokens if facts.costed_output_tokens else None


def usd_per_mtok_blended(facts: Facts) -> float | None:
    """All cost over input and output tokens, per million; $/Mtok."""
    tokens = facts.costed_input_tokens + facts.costed_output_tokens
    return float(facts.usd) * MILLION / tokens if tokens else None


def usd_per_hour(facts: Facts, seconds: float) -> float | None:
    """Run-rate; $/h."""
    return float(facts.usd * SECONDS_PER_HOUR / Decimal(str(seconds))) if seconds > 0 else None


def cost_coverage(facts: Facts) -> float | None:
    """Share of all tokens whose cost is known; 1 when none is unpriced, None without tokens."""
    total = tokens_total(facts)
    return (facts.costed_input_tokens + facts.costed_output_tokens) / total if total else None


def cached_share(facts: Facts) -> float | None:
    """Share of input tokens read from a cache."""
    return facts.cache_read_tokens / facts.input_tokens if facts.input_tokens else None


def _priced(facts: Facts) -> bool:
    return facts.usd > 0
