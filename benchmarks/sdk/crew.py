"""The measuring side: starts a worker process for each way, and a sink for them to send to.

Reads `ways.toml`; knows in which interpreter a way runs and what its environment is. Everything it starts ends with it.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import tomllib
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.sdk.sink import Behaviour

ROOT: Final = Path(__file__).parents[2]
TABLE: Final = Path(__file__).with_name("ways.toml")

# Whatever a library wants to tell its maker is refused at once, on this machine.
_NOWHERE: Final = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Entry:
    """One way as `ways.toml` tells of it."""

    name: str
    title: str
    requires: tuple[str, ...] = ()
    file: str = ""
    peer: bool = False
    records: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)
    how: str = ""

    @property
    def module(self) -> str:
        """Its file in `ways/`."""
        return self.file or self.name


def entries() -> list[Entry]:
    """Return every way of the table."""
    return [
        Entry(**{**row, "requires": tuple(row.get("requires", ()))}) for row in tomllib.loads(TABLE.read_text())["way"]
    ]


class Interpreters:
    """Which Python a way runs in: this one, unless an environment was made for it."""

    def __init__(self, made: Mapping[str, Path] | None = None) -> None:
        self._made = made or {}

    def of(self, entry: Entry) -> str:
        """Return the interpreter's path."""
        return str(self._made.get(entry.module, self._made.get("plain", Path(sys.executable))))


def clean_environment(entry: Entry, endpoint: str) -> dict[str, str]:
    """Return the environment of a way's process: no telemetry settings of this machine, all exports to `endpoint`."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("OTEL_", "ANDON_", "PYTHON", "VIRTUAL_ENV")) and "PROXY" not in name.upper()
    }
    return {
        **inherited,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "HTTP_PROXY": _NOWHERE,
        "HTTPS_PROXY": _NOWHERE,
        "NO_PROXY": "127.0.0.1,localhost",
        **entry.environment,
    }


class Worker:
    """One way's process; `ask` gives it a command of `worker.Worker` and returns the answer."""

    def __init__(self, entry: Entry, interpreter: str, endpoint: str, *, stubbed: bool) -> None:
        self.entry = entry
        # At the end of the path, so that this project's folders hide no module of a peer.
        program = (
            f"import sys; sys.path.append({str(ROOT)!r}); "
            f"from benchmarks.sdk.worker import main; main({entry.module!r}, {stubbed})"
        )
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - open as long as the process
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [interpreter, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=clean_environment(entry, endpoint),
            cwd=self._folder.name,
        )

    def ready(self) -> None:
        """Wait until its SDK is set up."""
        self._answer()

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Give a command and wait for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait(10)
            self._errors.seek(0)
            raise RuntimeError(f"{self.entry.title} gave up:\n{self._errors.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process, without waiting for what it may still want to send."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._errors.close()
        self._folder.cleanup()


@contextmanager
def crew(ways: list[Entry], interpreters: Interpreters, endpoint: str, *, stubbed: bool) -> Iterator[list[Worker]]:
    """Start a worker for each way, all set up, in the order of `ways`."""
    with ExitStack() as stack:
        workers = []
        for entry in ways:
            workers.append(Worker(entry, interpreters.of(entry), endpoint, stubbed=stubbed))
            stack.callback(workers[-1].close)
        for worker in workers:
            worker.ready()
        yield workers


@contextmanager
def sink(behaviour: Behaviour) -> Iterator[str]:
    """Start a sink; gives its base address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sdk.sink", behaviour.value], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def nobody_listening() -> Iterator[str]:
    """Give an address on which every connection is refused."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can have it
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def bytes_taken(endpoint: str) -> int:
    """Return how many bytes a sink has been sent."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(endpoint, timeout=10) as answer:
        return int(answer.read().split()[1])
