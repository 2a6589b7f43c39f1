"""`andon keys`: make, list and revoke the keys of those who send telemetry.

Keys stand in the control store, which may be opened beside a running server; the server sees a change within seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.options import ConfigOption, DataDirOption
from cli.output import say
from cli.stores import open_control
from dashboard.parameters import ParameterError, parse_span
from settings import Settings, SettingsError, load_settings
from store.keys import DEFAULT_PROJECT, Key, create_key, read_keys, revoke_key

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Keys of those who send: create, list, revoke.",
)

JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]


@app.command(
    epilog="Examples:\n\n  andon keys create checkout\n\n"
    "  andon keys create nightly --project research --expires 90d\n\n"
    "  andon keys create gateway --items-per-second 20000 --burst 200000"
)
def create(
    name: Annotated[str, typer.Argument(help="what the key is for")],
    project: Annotated[str, typer.Option(help="project that what is sent with it belongs to")] = DEFAULT_PROJECT,
    expires: Annotated[
        str | None, typer.Option(help="how long it is valid, such as 12h or 90d [default: ever]")
    ] = None,
    items_per_second: Annotated[
        float | None, typer.Option(min=0.001, help="its own limit [default: collector.items_per_second]")
    ] = None,
    burst: Annotated[
        int | None, typer.Option(min=1, help="items at once after a pause [default: those of ten seconds]")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Make a key and print it: this once, it is stored as a hash only."""
    now = datetime.now(UTC)
    try:
        ends = None if expires is None else now + parse_span("--expires", expires)
    except ParameterError as error:
        raise SettingsError(str(error)) from None
    with open_control(_settings(config, data_dir)) as control:
        key, text = create_key(
            control,
            name=name,
            now=now,
            project=project,
            expires_at=ends,
            items_per_second=items_per_second,
            burst_items=burst,
        )
    if as_json:
        say(json.dumps({"key": text, **_as_json(key, now)}, indent=2))
        return
    say(text)
    typer.echo(
        f"The key of {name!r} for the project {project!r}; it is not shown again. Senders give it as:\n"
        f'  OTEL_EXPORTER_OTLP_HEADERS="x-andon-key={key.prefix}_..."',
        err=True,
    )


@app.command("list", epilog="Examples:\n\n  andon keys list\n\n  andon keys list --project research --json")
def list_keys(
    project: Annotated[str | None, typer.Option(help="only the keys of this project")] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Print every key, without its secret."""
    now = datetime.now(UTC)
    with open_control(_settings(config, data_dir)) as control:
        keys = [key for key in read_keys(control) if project in {None, key.project}]
    if as_json:
        say(json.dumps([_as_json(key, now) for key in keys], indent=2))
    elif not keys:
        say("there are no keys; `andon keys create NAME` makes one")
    else:
        for line in _table(keys, now):
            say(line)


@app.command(epilog="Examples:\n\n  andon keys revoke andon_3f9c0b12a4de")
def revoke(
    key: Annotated[str, typer.Argument(help="the key, or what `andon keys list` shows of it")],
    as_json: JsonOption = False,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """Revoke a key: a running server refuses it within seconds."""
    now = datetime.now(UTC)
    with open_control(_settings(config, data_dir)) as control:
        revoked = revoke_key(control, key, now)
    if as_json:
        say(json.dumps(_as_json(revoked, now), indent=2))
    else:
        say(f"{revoked.prefix} ({revoked.name}) is revoked")


def _as_json(key: Key, now: datetime) -> dict[str, Any]:
    return {
        "id": key.id,
        "prefix": key.prefix,
        "project": key.project,
        "name": key.name,
        "state": key.state(now),
        "scopes": sorted(key.scopes),
        "items_per_second": key.items_per_second,
        "burst_items": key.burst_items,
        "created_at": _iso(key.created_at),
        "expires_at": _iso(key.expires_at),
        "revoked_at": _iso(key.revoked_at),
        "last_used_at": _iso(key.last_used_at),
    }


def _table(keys: list[Key], now: datetime) -> Iterator[str]:
    rows = [("KEY", "PROJECT", "STATE", "SCOPES", "LIMIT", "LAST USED", "NAME")]
    for key in keys:
        limit = "" if key.items_per_second is None else f"{key.items_per_second:g}/s"
        used = "not yet" if key.last_used_at is None else f"{key.last_used_at:%Y-%m-%d %H:%M} UTC"
        rows.append((key.prefix, key.project, key.state(now), ",".join(sorted(key.scopes)), limit, used, key.name))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _settings(config: Path | None, data_dir: Path | None) -> Settings:
    return load_settings(config, {} if data_dir is None else {"data_dir": data_dir})
