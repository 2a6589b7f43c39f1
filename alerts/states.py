"""The life of one alert, as arithmetic: inactive → pending → firing → resolved.

The evaluator brings what was observed and the time, and stores what comes back; nothing here reads a clock or a
database. `pending` lasts as `for`, a firing alert must be false for `keep_firing` before it is resolved (both as
Prometheus defines them), and every episode of firing ends in exactly one resolution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum


class State(StrEnum):
    """Where an alert stands; `resolved` is `inactive` with a past."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Observed(StrEnum):
    """What one evaluation found."""

    TRUE = "true"
    FALSE = "false"
    NO_DATA = "no_data"


class NoData(StrEnum):
    """What a signal without data means to a rule."""

    KEEP = "keep"
    OK = "ok"
    FIRE = "fire"


class Transition(StrEnum):
    """What an evaluation changed; only `firing` and `resolved` are told. `test` is a message to try the channels."""

    PENDING = "pending"
    CLEARED = "cleared"
    FIRING = "firing"
    RESOLVED = "resolved"
    TEST = "test"


@dataclass(frozen=True)
class Timing:
    """How long a rule waits before it fires and before it resolves."""

    hold: timedelta = timedelta(0)
    keep_firing: timedelta = timedelta(0)
    no_data: NoData = NoData.KEEP


@dataclass(frozen=True)
class Life:
    """The state of one alert.

    Attributes:
        episode: how many times it has fired; the running or last episode's number.
        held: how long the comparison has held so far: true while pending, false while firing.
        clock_at: up to when `held` is counted; None while the clock stands (nothing to count, or no data).
    """

    state: State = State.INACTIVE
    episode: int = 0
    pending_since: datetime | None = None
    firing_since: datetime | None = None
    resolved_at: datetime | None = None
    held: timedelta = timedelta(0)
    clock_at: datetime | None = None


def step(life: Life, observed: Observed, now: datetime, timing: Timing) -> tuple[Life, Transition | None]:
    """Advance one alert by one evaluation.

    Without data and with `no_data = keep` nothing changes and the clocks stand: an unknown stretch counts neither
    towards firing nor towards resolving. `ok` and `fire` read it as false and true, and obey the same times.
    """
    if observed is Observed.NO_DATA:
        if timing.no_data is NoData.KEEP:
            return replace(life, clock_at=None), None
        observed = Observed.TRUE if timing.no_data is NoData.FIRE else Observed.FALSE
    if life.state is State.FIRING:
        return _while_firing(life, observed, now, timing)
    return _before_firing(life, observed, now, timing)


def close(life: Life, now: datetime) -> tuple[Life, Transition | None]:
    """End an alert whose rule is gone: what fired is resolved at once, what was pending is cleared."""
    return step(life, Observed.FALSE, now, Timing())


def restart_clock(life: Life) -> Life:
    """Forget how long the comparison has held, because it is another comparison now."""
    return replace(life, held=timedelta(0), clock_at=None)


def _before_firing(life: Life, observed: Observed, now: datetime, timing: Timing) -> tuple[Life, Transition | None]:
    if observed is Observed.FALSE:
        if life.state is not State.PENDING:
            return life, None
        return replace(restart_clock(life), state=State.INACTIVE, pending_since=None), Transition.CLEARED
    if life.state is State.PENDING:
        waiting, began = _tick(life, now), None
    else:
        waiting = replace(life, state=State.PENDING, pending_since=now, held=timedelta(0), clock_at=now)
        began = Transition.PENDING
    if waiting.held < timing.hold:
        return waiting, began
    fired = replace(restart_clock(waiting), state=State.FIRING, episode=life.episode + 1, firing_since=now)
    return replace(fired, resolved_at=None), Transition.FIRING


def _while_firing(life: Life, observed: Observed, now: datetime, timing: Timing) -> tuple[Life, Transition | None]:
    if observed is Observed.TRUE:
        return restart_clock(life), None
    quiet = _tick(life, now)
    if quiet.held < timing.keep_firing:
        return quiet, None
    return replace(restart_clock(quiet), state=State.RESOLVED, pending_since=None, resolved_at=now), Transition.RESOLVED


def _tick(life: Life, now: datetime) -> Life:
    passed = now - life.clock_at if life.clock_at is not None else timedelta(0)
    return replace(life, held=life.held + max(passed, timedelta(0)), clock_at=now)
