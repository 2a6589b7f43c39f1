"""The live factory behind `andon demo`: what it is told, when the incident comes, and how it ends.

A program of its own (`python -m demo.factory`), as a team's would be: it knows Andon by the SDK and the address of a
collector, and goes on when that is away. Prints one plain line at each turn of events.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import andon

from demo.floor import Floor
from demo.incident import TOLD, Phase, Schedule, ordered_phase
from demo.pipelines import PIPELINES
from demo.texts import NoTextError

DEFAULT_ENDPOINT = "http://127.0.0.1:4318"
DEFAULT_RATE = 44.0
LOOK_SECONDS = 0.5
FINISH_SECONDS = 1.5
SEND_SECONDS = 1.0


@dataclass(frozen=True)
class Options:
    """What the command line says; `rate` is requests per second of all pipelines together."""

    endpoint: str
    rate: float
    seed: int
    schedule: Schedule
    control_file: Path | None
    stop_with_parent: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the factory until SIGTERM or SIGINT; return the exit code."""
    options = _options(arguments)
    parent = os.getppid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    say("factory: learning from the texts that come with Python")
    started = time.monotonic()
    try:
        floor = Floor(options.rate, options.seed)
    except NoTextError as error:
        return _refuse(str(error))
    learned = f"learned {floor.model.trained_on} tokens in {time.monotonic() - started:.1f} s"
    say(f"factory: {learned}; {', '.join(PIPELINES)} at {options.rate:g} requests a second to {options.endpoint}")
    andon.init("andon-demo", options.endpoint, environment="demo")
    code = asyncio.run(_run(floor, options, parent))
    # A terminal's Ctrl-C and the caller's SIGTERM may both arrive; the second must not spoil the exit.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    return code


def say(line: str) -> None:
    """Print one line at once, if there is anybody left to read it."""
    with suppress(BrokenPipeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


async def _run(floor: Floor, options: Options, parent: int) -> int:
    loop = asyncio.get_running_loop()
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    code = 0
    stopping = asyncio.create_task(told_to_stop.wait())
    began = loop.time()
    phase = Phase.NORMAL
    floor.start()
    try:
        while not told_to_stop.is_set() and not (options.stop_with_parent and os.getppid() != parent):
            wanted = ordered_phase(options.control_file) or options.schedule.phase(loop.time() - began)
            if wanted is not phase:
                phase = wanted
                floor.conditions.enter(phase)
                say(TOLD[phase])
            watching = asyncio.create_task(floor.watch(LOOK_SECONDS))
            await asyncio.wait((watching, stopping), return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                watching.result()
            else:
                watching.cancel()
    except Exception as error:  # noqa: BLE001 - a fault of the demo ends it with one line, and with what was measured sent
        code = _refuse(f"a request failed in a way it should not: {type(error).__name__}: {error}")
    await floor.stop(FINISH_SECONDS)
    await asyncio.to_thread(andon.shutdown, SEND_SECONDS)
    return code


def _refuse(reason: str) -> int:
    sys.stderr.write(f"andon demo factory: {reason}\n")
    return 1


def _options(arguments: Sequence[str] | None) -> Options:
    parser = argparse.ArgumentParser(
        prog="python -m demo.factory", description="Three pipelines that make tokens and report them to a collector."
    )
    parser.add_argument("--endpoint", default=DEFAULT_ENDPOINT, help="OTLP/HTTP collector [%(default)s]")
    parser.add_argument("--rate", type=_above_zero, default=DEFAULT_RATE, help="requests per second [%(default)g]")
    parser.add_argument("--seed", type=_whole, default=7, help="decides what is asked and answered [%(default)d]")
    parser.add_argument("--incident", action="store_true", help="shift one pipeline's inputs and stall another")
    parser.add_argument("--incident-after", type=_not_negative, default=60.0, help="seconds until then [%(default)g]")
    parser.add_argument(
        "--incident-length", type=_not_negative, default=90.0, help="seconds it lasts; 0: it stays [%(default)g]"
    )
    parser.add_argument(
        "--control-file", type=Path, help="file that says 'incident' or 'normal', and beats the schedule while it does"
    )
    parser.add_argument(
        "--stop-with-parent", action="store_true", help="stop when the process that started this one is gone"
    )
    given = parser.parse_args(arguments)
    return Options(
        endpoint=given.endpoint,
        rate=given.rate,
        seed=given.seed,
        schedule=Schedule(given.incident_after if given.incident else None, given.incident_length),
        control_file=given.control_file,
        stop_with_parent=given.stop_with_parent,
    )


def _above_zero(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def _not_negative(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0 up")
    return number


def _whole(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 0 up")
    return number


if __name__ == "__main__":
    sys.exit(main())
