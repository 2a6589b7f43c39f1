"""A clock of the WAL: which position was reached when, so that lag has an age on every server version.

Sampling the end of the WAL at each poll costs the source nothing; `replay_lag` and `flush_lag` are NULL for logical
consumers. Samples come from `checklist.slot_memory`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

EVERY_POLL_SECONDS = 900.0
THINNED_SECONDS = 300.0
KEPT_SECONDS = 6 * 3600.0
RATE_WINDOW_SECONDS = 900.0
MIN_STANDSTILL_SECONDS = 300.0


class Sample(NamedTuple):
    """The WAL ended at byte position `lsn` at epoch second `at`."""

    at: float
    lsn: int


def sampled(samples: Sequence[Sample], latest: Sample) -> tuple[Sample, ...]:
    """`samples` with the latest one, thinned: every poll for 15 minutes, then one in 5 minutes, for 6 hours.

    The one that stands for 5 minutes has their first time and their last position: old lag may look up to 5 minutes
    older than it is, never younger.

    A position that goes back (another server answers, or an older state was restored) begins the samples anew. A
    position that stands still is kept once: only the first time it was reached matters.
    """
    if samples and latest.lsn < samples[-1].lsn:
        return (latest,)
    if samples and latest.lsn == samples[-1].lsn:
        return tuple(samples)
    kept: list[Sample] = []
    for sample in samples:
        age = latest.at - sample.at
        if age > KEPT_SECONDS:
            continue
        if age > EVERY_POLL_SECONDS and kept and _bucket(kept[-1]) == _bucket(sample):
            kept[-1] = Sample(kept[-1].at, sample.lsn)
        else:
            kept.append(sample)
    return (*kept, latest)


def _bucket(sample: Sample) -> float:
    return sample.at // THINNED_SECONDS


def lag_seconds(samples: Sequence[Sample], confirmed_lsn: int | None, now: float) -> tuple[float | None, bool]:
    """Age of the first sampled position beyond `confirmed_lsn`, and whether the true age may be greater.

    0 when nothing is beyond it; None when it is unknown: no position is confirmed, or all that is beyond it was
    first sampled just now.
    """
    if confirmed_lsn is None or not samples:
        return None, False
    for index, sample in enumerate(samples):
        if sample.lsn > confirmed_lsn:
            age = max(0.0, now - sample.at)
            if index == 0:
                return (age, True) if age > 0 else (None, False)
            return age, False
    return 0.0, False


def seconds_until_written(
    samples: Sequence[Sample], safe_bytes: int | None, still_since: float, now: float
) -> float | None:
    """Seconds until `safe_bytes` of WAL are written at the mean rate of the last 15 minutes.

    None unless the slot has stood still (its restart_lsn has not moved) for 5 minutes: WAL that is written while a
    slot moves on does not use up its budget.
    """
    if safe_bytes is None or now - still_since < MIN_STANDSTILL_SECONDS or not samples:
        return None
    begin = max(still_since, now - RATE_WINDOW_SECONDS)
    first = next((sample for sample in reversed(samples) if sample.at <= begin), samples[0])
    written = samples[-1].lsn - first.lsn
    if written <= 0 or now <= first.at:
        return None
    return max(0.0, safe_bytes / (written / (now - first.at)))
