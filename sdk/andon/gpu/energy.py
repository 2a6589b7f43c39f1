"""Joules of a stretch of time, twice: by the GPU's own energy counter, and as the integral of its power.

Pure: takes readings, returns joules. The counter is exact and is what counts; the integral (trapezoids between samples)
checks it, and is all there is where a card has no counter.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from andon.gpu.samples import Reading

MAX_GAP_SECONDS: Final = 3.0
"""Above this, power between two samples is not known any more."""


class Growth:
    """How much a counter has grown since the first value, also across resets of the counter."""

    def __init__(self) -> None:
        self.total: float | None = None
        self.resets = 0
        self._last = 0.0

    def add(self, value: float | None) -> None:
        """Take the counter's next value; unknown changes nothing."""
        if value is None:
            return
        if self.total is None:
            self.total = 0.0
        elif value >= self._last:
            self.total += value - self._last
        else:  # it began anew at zero, and what it had not told before is lost
            self.total += value
            self.resets += 1
        self._last = value


class Integral:
    """Power over time, a trapezoid for each two samples that follow each other closely enough.

    Attributes:
        joules: of all pieces without a gap.
        pieces: how many there were.
        gaps: pieces that were left out, since samples were too far apart or power was unknown.
    """

    def __init__(self) -> None:
        self.joules = 0.0
        self.pieces = 0
        self.gaps = 0
        self._last: Reading | None = None

    def add(self, reading: Reading) -> None:
        """Take the next sample."""
        last, self._last = self._last, reading
        if last is None:
            return
        seconds = reading.at_seconds - last.at_seconds
        if seconds > MAX_GAP_SECONDS or last.power_watts is None or reading.power_watts is None:
            self.gaps += 1
            return
        self.joules += (last.power_watts + reading.power_watts) / 2 * seconds
        self.pieces += 1


@dataclass(frozen=True, slots=True)
class EnergyWindow:
    """Energy of one GPU between two moments.

    Attributes:
        joules_counter: by the energy counter; None: there is none, or it was reset.
        joules_integrated: power integrated over time; None: power was unknown, or two samples were further apart than
            `MAX_GAP_SECONDS`.
    """

    seconds: float
    joules_counter: float | None
    joules_integrated: float | None

    @property
    def joules(self) -> float | None:
        """The counter's value where there is one, else the integral's."""
        return self.joules_integrated if self.joules_counter is None else self.joules_counter

    @property
    def relative_difference(self) -> float | None:
        """(integral - counter) / counter; None unless both are known and the counter has moved."""
        if self.joules_counter is None or self.joules_integrated is None or self.joules_counter == 0:
            return None
        return (self.joules_integrated - self.joules_counter) / self.joules_counter


class WindowMeter:
    """Turns the readings of one GPU into an `EnergyWindow`."""

    def __init__(self) -> None:
        self._growth = Growth()
        self._integral = Integral()
        self._first: Reading | None = None
        self._last: Reading | None = None

    def add(self, reading: Reading) -> None:
        """Take the next reading."""
        self._first = self._first or reading
        self._last = reading
        self._growth.add(reading.energy_joules)
        self._integral.add(reading)

    def window(self) -> EnergyWindow:
        """Return the energy from the first reading to the last."""
        first, last, growth, integral = self._first, self._last, self._growth, self._integral
        if first is None or last is None:
            return EnergyWindow(0.0, None, None)
        # The ends must be known: what the counter did before its first value or after its last is not in it.
        whole = first.energy_joules is not None and last.energy_joules is not None and not growth.resets
        return EnergyWindow(
            seconds=last.at_seconds - first.at_seconds,
            joules_counter=growth.total if whole else None,
            joules_integrated=integral.joules if integral.pieces and not integral.gaps else None,
        )


@dataclass(slots=True)
class Energy:
    """What `andon.gpu.energy()` has measured; complete when its block has ended, unknown (None) before.

    Attributes:
        gpus: a window for each GPU that this process can use, by UUID.
        whole: False where the process has only a part of a GPU (MIG), whose energy nobody counts.
    """

    gpus: Mapping[str, EnergyWindow] = field(default_factory=dict)
    whole: bool = True

    @property
    def joules(self) -> float | None:
        """Joules of all GPUs together; None if any is unknown."""
        return self._total([window.joules for window in self.gpus.values()])

    @property
    def joules_counter(self) -> float | None:
        """The same by energy counters alone."""
        return self._total([window.joules_counter for window in self.gpus.values()])

    @property
    def joules_integrated(self) -> float | None:
        """The same by integrated power alone."""
        return self._total([window.joules_integrated for window in self.gpus.values()])

    @property
    def relative_difference(self) -> float | None:
        """(integral - counter) / counter of all GPUs together; None unless both are known."""
        return EnergyWindow(self.seconds or 0.0, self.joules_counter, self.joules_integrated).relative_difference

    @property
    def seconds(self) -> float | None:
        """Length of the longest window; None if nothing was measured."""
        return max((window.seconds for window in self.gpus.values()), default=None)

    def _total(self, joules: list[float | None]) -> float | None:
        known = [value for value in joules if value is not None]
        return sum(known) if self.whole and known and len(known) == len(joules) else None
