"""`andon serve`: everything in one process, until it is told to stop."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import ConfigOption, DataDirOption
from cli.output import say
from cli.serve import Server
from settings import load_settings


def serve(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    host: Annotated[str | None, typer.Option(help="address to bind; loopback only [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="dashboard and API; 0 picks one [default: 8300]")] = None,
    otlp_port: Annotated[int | None, typer.Option(help="OTLP/HTTP receiver; 0 picks one [default: 4318]")] = None,
    otlp_grpc_port: Annotated[int | None, typer.Option(help="OTLP/gRPC receiver; 0 picks one [default: 4317]")] = None,
) -> None:
    """Collect, store, watch and show: everything in one process."""
    _log_plainly()
    settings = load_settings(config, _overrides(data_dir, host, port, otlp_port, otlp_grpc_port))
    with Server(settings) as server:
        say(f"dashboard  {server.url}")
        say(f"OTLP/HTTP  {server.otlp_url}")
        say(f"OTLP/gRPC  {server.otlp_grpc_url}")
        say(f"data       {settings.data_dir.resolve()}")
        server.run()


def _log_plainly() -> None:
    """Log to stderr, one line an event; what is normal stays silent."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("alembic", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _overrides(
    data_dir: Path | None, host: str | None, port: int | None, otlp_port: int | None, otlp_grpc_port: int | None
) -> dict[str, Any]:
    """What the command line says, as nested settings."""
    server = {"host": host, "port": port, "otlp_http_port": otlp_port, "otlp_grpc_port": otlp_grpc_port}
    values: dict[str, Any] = {"server": {name: value for name, value in server.items() if value is not None}}
    if data_dir is not None:
        values["data_dir"] = data_dir
    return values
