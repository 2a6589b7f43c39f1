"""`andon demo`: the server, and beside it a small live factory that really uses the SDK, over loopback OTLP.

The factory is a process of its own, as a team's would be. Webhooks arrive at a small receiver that prints them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cli.output import say
from cli.serve import Server
from demo.receiver import WebhookReceiver
from demo.settings import demo_settings, new_secret

STOP_SECONDS = 5.0


def demo(
    incident: Annotated[
        bool, typer.Option("--incident", help="after a minute shift one pipeline's inputs and stall another")
    ] = False,
    incident_after: Annotated[float, typer.Option(min=1, help="seconds until the incident")] = 60,
    incident_length: Annotated[float, typer.Option(min=0, help="seconds it lasts; 0: until you stop it")] = 90,
    rate: Annotated[float, typer.Option(min=1, max=200, help="requests per second of the factory")] = 44,
    control_file: Annotated[
        Path | None, typer.Option(help="a file that says incident or normal, and beats the schedule", hidden=True)
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="keep the data here [default: a new temporary folder]")
    ] = None,
    port: Annotated[int, typer.Option(help="dashboard and API; 0 picks one")] = 8300,
    otlp_port: Annotated[int, typer.Option(help="OTLP/HTTP receiver; 0 picks one")] = 4318,
    otlp_grpc_port: Annotated[int, typer.Option(help="OTLP/gRPC receiver; 0 picks one")] = 4317,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="open the page in a browser")] = False,
) -> None:
    """Start everything with a small live factory: the first number is on the page within a minute."""
    folder = data_dir or Path(tempfile.mkdtemp(prefix="andon-demo-"))
    secret = new_secret()
    with WebhookReceiver(secret, tell=lambda received: say(received.line)) as receiver:
        settings = demo_settings(
            folder, receiver.url, secret, port=port, otlp_http_port=otlp_port, otlp_grpc_port=otlp_grpc_port
        )
        with Server(settings) as server:
            say(f"dashboard  {server.url}")
            say(f"OTLP/HTTP  {server.otlp_url}")
            say(f"OTLP/gRPC  {server.otlp_grpc_url}")
            say(f"webhooks   {receiver.url}")
            say(f"data       {folder.resolve()}")
            say("Ctrl-C stops it.")
            schedule = _schedule(incident, incident_after, incident_length, control_file)
            factory = [
                sys.executable,
                "-m",
                "demo.factory",
                "--endpoint",
                server.otlp_url,
                "--rate",
                str(rate),
                *schedule,
            ]
            with _running(factory) as stop_factory:
                if open_browser:
                    webbrowser.open(server.url)
                server.run(before_stop=stop_factory)
    if data_dir is None:
        say(f"the data is still there: andon serve --data-dir {folder}   (or delete it)")


def _schedule(incident: bool, after: float, length: float, control_file: Path | None) -> list[str]:
    """When the factory makes trouble, as its options."""
    options = ["--stop-with-parent"]
    if incident:
        options += ["--incident", "--incident-after", str(after), "--incident-length", str(length)]
    if control_file is not None:
        options += ["--control-file", str(control_file)]
    return options


@contextmanager
def _running(command: list[str]) -> Iterator[Callable[[], None]]:
    """The factory, started and stopped with the block; its unexpected end is told. Gives what stops it earlier."""
    # A session of its own: Ctrl-C reaches the server alone, which stops the factory first and takes what it still has.
    factory = subprocess.Popen(command, start_new_session=True)  # noqa: S603  our own module
    stopping = threading.Event()

    def watch() -> None:
        code = factory.wait()
        if not stopping.is_set():
            say(f"the factory ended with exit code {code}; the server goes on")

    watcher = threading.Thread(target=watch, name="factory", daemon=True)
    watcher.start()

    def stop() -> None:
        stopping.set()
        if factory.poll() is None:
            factory.terminate()
        watcher.join(STOP_SECONDS)
        if factory.poll() is None:
            factory.kill()
            watcher.join()

    try:
        yield stop
    finally:
        stop()
