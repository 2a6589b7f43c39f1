"""`andon serve`, and its parts as processes of their own: `andon collector`, `andon worker`, `andon dashboard`.

Each runs until it is told to stop, and says first where it listens. The parts are loaded once the settings are right:
help, and what is wrong with a setting, need not wait for a database engine.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import ConfigOption, DataDirOption
from cli.output import say
from cli.roles import EVERYTHING, Role
from settings import Settings, SettingsError, load_settings

HostOption = Annotated[str | None, typer.Option(help="address to bind; loopback only [default: 127.0.0.1]")]
PortOption = Annotated[int | None, typer.Option(help="dashboard and API; 0 picks one [default: 8300]")]
HealthOption = Annotated[int | None, typer.Option(help="health and metrics; 0 picks one [default: 8300]")]
OtlpOption = Annotated[int | None, typer.Option(help="OTLP/HTTP receiver; 0 picks one [default: 4318]")]
GrpcOption = Annotated[int | None, typer.Option(help="OTLP/gRPC receiver; 0 picks one [default: 4317]")]
_SHOWN = {
    "url": "dashboard ",
    "health_url": "health    ",
    "otlp_url": "OTLP/HTTP ",
    "otlp_grpc_url": "OTLP/gRPC ",
}


def serve(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    host: HostOption = None,
    port: PortOption = None,
    otlp_port: OtlpOption = None,
    otlp_grpc_port: GrpcOption = None,
) -> None:
    """Collect, store, watch and show: everything in one process."""
    _run(load_settings(config, _overrides(data_dir, host, port, otlp_port, otlp_grpc_port)), EVERYTHING)


def collector(
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
    host: HostOption = None,
    port: HealthOption = None,
    otlp_port: OtlpOption = None,
    otlp_grpc_port: GrpcOption = None,
    forget: Annotated[
        str | None,
        typer.Option(metavar="INSTANCE", help="give up a lost collector with its journal, and leave"),
    ] = None,
) -> None:
    """Take OTLP, keep it in a journal of its own, and write it to ClickHouse. Any number may run."""
    settings = load_settings(config, _overrides(data_dir, host, port, otlp_port, otlp_grpc_port))
    if forget is not None:
        _forget(settings, forget)
        return
    _run(settings, frozenset({Role.COLLECTOR}))


def worker(config: ConfigOption = None, host: HostOption = None, port: HealthOption = None) -> None:
    """Fold, judge drift, run the checks, evaluate and deliver alerts. Any number may run; each task is done by one."""
    _run(load_settings(config, _overrides(None, host, port)), frozenset({Role.WORKER}))


def dashboard(config: ConfigOption = None, host: HostOption = None, port: PortOption = None) -> None:
    """Serve the pages and the JSON API. Any number may run."""
    _run(load_settings(config, _overrides(None, host, port)), frozenset({Role.DASHBOARD}))


def _run(settings: Settings, roles: frozenset[Role]) -> None:
    from cli.serve import Server

    _log_plainly()
    with Server(settings, roles) as server:
        for name, address in server.addresses.items():
            say(f"{_SHOWN[name]} {address}")
        if Role.COLLECTOR in roles:
            say(f"data       {settings.data_dir.resolve()}")
        server.run()


def _forget(settings: Settings, instance: str) -> None:
    from store.collectors import forget as forget_collector
    from store.control import ControlStore

    control = ControlStore(settings.resolved_control_url())
    try:
        with control.write() as session:
            known = forget_collector(session, instance)
    finally:
        control.close()
    if not known:
        raise SettingsError(f"--forget {instance!r}: no collector of that name has been seen; /readyz names them")
    say(f"{instance}: forgotten; what its journal held is given up")


def _log_plainly() -> None:
    """Log to stderr, one line an event; what is normal stays silent."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("alembic", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _overrides(
    data_dir: Path | None,
    host: str | None,
    port: int | None,
    otlp_port: int | None = None,
    otlp_grpc_port: int | None = None,
) -> dict[str, Any]:
    """What the command line says, as nested settings."""
    server = {"host": host, "port": port, "otlp_http_port": otlp_port, "otlp_grpc_port": otlp_grpc_port}
    values: dict[str, Any] = {"server": {name: value for name, value in server.items() if value is not None}}
    if data_dir is not None:
        values["data_dir"] = data_dir
    return values
