"""The factory as a program: started, taken through the incident, and stopped."""

from __future__ import annotations

import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from otlp_sink import OtlpSink, wait_until

ROOT = Path(__file__).parents[2]


class Running:
    """A factory and the lines it printed."""

    def __init__(self, *arguments: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demo.factory", *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def said(self, beginning: str) -> bool:
        return any(line.startswith(beginning) for line in self.lines)

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))


@contextmanager
def running(*arguments: str) -> Iterator[Running]:
    factory = Running(*arguments)
    try:
        yield factory
    finally:
        if factory.process.poll() is None:
            factory.process.kill()
        factory.process.wait()


@pytest.fixture
def sink() -> Iterator[OtlpSink]:
    sink = OtlpSink()
    yield sink
    sink.close()


def test_the_incident_shifts_one_pipeline_and_stalls_another_until_it_is_over(sink: OtlpSink, tmp_path: Path) -> None:
    control = tmp_path / "control"
    with running("--endpoint", sink.url, "--rate", "150", "--control-file", str(control)) as factory:
        wait_until(lambda: len(sink.observed("prompt_length", "support-rag")) >= 150, "150 answers")
        before = sink.observed("prompt_length", "support-rag")

        control.write_text("incident")
        wait_until(lambda: factory.said("incident: "), "the line that tells of the incident")
        began_ns = time.time_ns()
        settled = (
            len(sink.observed("prompt_length", "support-rag")) + 150
        )  # those under way, and those on their way here
        wait_until(lambda: len(sink.observed("prompt_length", "support-rag")) >= settled + 150, "answers during it")
        after = sink.observed("prompt_length", "support-rag")[settled:]
        # The median of 150 lognormal lengths with sigma 0.6 is known to within 27 % (four standard errors).
        assert 2.2 / 1.5 < statistics.median(after) / statistics.median(before) < 2.2 * 1.5
        stalled = [span for span in sink.named("doc-summaries") if span.start_ns > began_ns]
        assert stalled == []

        control.write_text("normal")
        wait_until(lambda: factory.said("incident over: "), "the line that tells of its end")
        over_ns = time.time_ns()
        wait_until(
            lambda: any(span.start_ns > over_ns and not span.failed for span in sink.named("doc-summaries")),
            "a summary after the incident",
        )
        assert factory.stop(signal.SIGTERM) == 0


def test_the_schedule_brings_the_incident_and_a_stall_does_not_keep_it_from_stopping(sink: OtlpSink) -> None:
    with running("--endpoint", sink.url, "--incident", "--incident-after", "0.5", "--incident-length", "0") as factory:
        wait_until(lambda: factory.said("incident: "), "the incident")
        wait_until(lambda: bool(sink.named("support-rag")), "an answer")
        assert factory.stop(signal.SIGINT) == 0
    assert not factory.said("incident over: ")


def test_it_goes_on_without_a_collector_and_stops_when_told() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with running("--endpoint", endpoint, "--incident", "--incident-after", "1") as factory:
            wait_until(lambda: factory.said("incident: "), "the incident, which it lives to see")
            assert factory.stop(signal.SIGTERM) == 0


def test_it_can_be_stopped_while_it_still_learns() -> None:
    with running() as factory:
        wait_until(lambda: factory.said("factory: learning"), "its first line")
        assert factory.stop(signal.SIGTERM) == 0


def test_on_request_it_stops_when_the_process_that_started_it_is_gone(sink: OtlpSink) -> None:
    command = [sys.executable, "-m", "demo.factory", "--endpoint", sink.url, "--stop-with-parent"]
    start = f"import subprocess; print(subprocess.Popen({command!r}).pid, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", start], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout is not None
        factory = int(parent.stdout.readline())
        wait_until(lambda: bool(sink.named("support-rag")), "an answer")
        parent.kill()
        wait_until(lambda: not alive(factory), "the end of the factory")


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--rate", "0"], "argument --rate: 0 is not a number above 0"),
        (["--incident-after", "-1"], "argument --incident-after: -1 is not a number of seconds from 0 up"),
        (["--seed", "-1"], "argument --seed: -1 is not a whole number from 0 up"),
    ],
)
def test_a_bad_option_is_named_with_what_is_allowed(arguments: list[str], complaint: str) -> None:
    command = [sys.executable, "-m", "demo.factory", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)
    assert done.returncode == 2
    assert complaint in done.stderr
