"""When a message that was not taken is tried again.

Full jitter over a fixed ladder (the idea: AWS Architecture Blog, "Exponential Backoff And Jitter"): receivers that come
back are not met by every waiting message at once. The first steps are short because somebody is to be woken.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

LADDER_SECONDS = (0, 5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600)
MAX_ATTEMPTS = len(LADDER_SECONDS)


def next_attempt(
    attempts: int, now: datetime, retry_after: timedelta | None, uniform: Callable[[float, float], float]
) -> datetime | None:
    """When to try again after `attempts` attempts; None when the message has had all of its attempts.

    Args:
        attempts: attempts made so far, at least one.
        now: time of the failure.
        retry_after: what the receiver asked for; never tried before.
        uniform: a random number between two bounds, for example `random.uniform`.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    wait = timedelta(seconds=uniform(0, LADDER_SECONDS[attempts]))
    return now + max(wait, retry_after or timedelta(0))
