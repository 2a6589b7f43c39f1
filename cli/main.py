"""`andon ...`: the command line. Each command is a thin shell; errors are one clear line, never a stack trace."""

from __future__ import annotations

import importlib.metadata
import logging
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import checklist, demo, drift
from cli.output import say
from cli.serve import Server
from settings import SettingsError, load_settings
from store.errors import StoreError

app = typer.Typer(
    name="andon",
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Andon watches AI factories: tokens per second per dollar, drift, and the 3AM checklist.",
)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="an andon.toml; default: ./andon.toml if it is there")
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="folder of the embedded stores and the journal [default: andon-data]")
]


@app.callback(invoke_without_command=True)
def andon(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="print the version and leave")] = False,
) -> None:
    """Andon watches AI factories: tokens per second per dollar, drift, and the 3AM checklist."""
    if version:
        say(f"andon {importlib.metadata.version('andon')}")
    elif context.invoked_subcommand is None:
        say(context.get_help())


@app.command(
    epilog="Examples:\n\n  andon serve\n\n  andon serve --config andon.toml --data-dir /var/lib/andon\n\n"
    "  andon serve --port 0 --otlp-port 0"
)
def serve(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    host: Annotated[str | None, typer.Option(help="address to bind; loopback only [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="dashboard and API; 0 picks one [default: 8300]")] = None,
    otlp_port: Annotated[int | None, typer.Option(help="OTLP/HTTP receiver; 0 picks one [default: 4318]")] = None,
) -> None:
    """Collect, store, watch and show: everything in one process."""
    log_plainly()
    settings = load_settings(config, overrides(data_dir, host, port, otlp_port))
    with Server(settings) as server:
        stop_on_signals(server)
        say(f"dashboard  {server.url}\nOTLP/HTTP  {server.otlp_url}\ndata       {settings.data_dir.resolve()}")
        server.run()


def log_plainly() -> None:
    """Log to stderr, one line an event; what is normal stays silent."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("alembic", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)


def overrides(
    data_dir: Path | None, host: str | None = None, port: int | None = None, otlp_port: int | None = None
) -> dict[str, Any]:
    """What the command line says, as nested settings."""
    server = {"host": host, "port": port, "otlp_http_port": otlp_port}
    values: dict[str, Any] = {"server": {name: value for name, value in server.items() if value is not None}}
    if data_dir is not None:
        values["data_dir"] = data_dir
    return values


def stop_on_signals(server: Server) -> None:
    """SIGTERM and Ctrl-C end the server cleanly."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())


app.command(
    epilog="Examples:\n\n  andon demo\n\n  andon demo --incident\n\n"
    "  andon demo --data-dir demo-data --port 0 --otlp-port 0"
)(demo.demo)
app.command(
    epilog="Examples:\n\n  andon checklist\n\n  andon checklist --json\n\n"
    "  */5 * * * *  andon checklist --data-dir /var/lib/andon || page-me"
)(checklist.checklist)
app.add_typer(drift.app, name="drift")


def main() -> None:
    """Entry point; turns expected errors into one line on stderr and exit code 2."""
    try:
        app()
    except (SettingsError, StoreError) as error:
        print(f"andon: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(2)


if __name__ == "__main__":
    main()
