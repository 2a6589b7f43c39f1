"""`andon checklist`: the 3AM checklist on a terminal, in cron and in CI; the exit code is its worst state.

It asks the server that runs on the data directory; without one it opens the stores and looks itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import httpx
import typer
from pydantic import TypeAdapter, ValidationError

from checklist.cdc import CdcCheck, accept_slot
from checklist.memory import StoredMemory
from checklist.model import Status
from checklist.runner import ChecklistRunner
from checklist.status import ChecklistItem, from_results
from checklist.wording import age_text
from cli.stores import open_stores, running_server
from cli.wiring import checklist_facts
from dashboard.api import ChecklistJson
from economics.report import Reports
from settings import Settings, SettingsError, load_settings
from store.control import ControlStore
from store.errors import StoreError
from store.migrate import upgrade

JSON: TypeAdapter[ChecklistJson] = TypeAdapter(ChecklistJson)
ANSWER_SECONDS = 30.0
_COLOURS = {Status.OK: "32", Status.WARN: "33", Status.FAIL: "31", Status.UNKNOWN: "35"}


def checklist(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", help="an andon.toml; default: ./andon.toml if it is there")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="folder of the stores and the journal [default: andon-data]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print what GET /api/v1/checklist answers")] = False,
    accept: Annotated[
        str | None,
        typer.Option("--accept-slot", metavar="SOURCE/SLOT", help="take a replication slot as it is from now on"),
    ] = None,
) -> None:
    """Print the 3AM checklist. Exit code: 0 all OK, 1 worst is WARN, 2 worst is FAIL, 3 worst is UNKNOWN."""
    try:
        settings = load_settings(config, {} if data_dir is None else {"data_dir": data_dir})
        if accept is not None:
            _accept(settings, accept)
            return
        found = _ask_server(settings) or _look(settings)
    except (SettingsError, StoreError) as error:
        typer.echo(f"andon: {error}", err=True)
        raise typer.Exit(Status.UNKNOWN.exit_code) from None
    if as_json:
        typer.echo(JSON.dump_json(found, indent=2).decode())
    else:
        coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        typer.echo("\n".join(render(found, coloured)))
    raise typer.Exit(found.exit_code)


def render(found: ChecklistJson, coloured: bool) -> Iterator[str]:
    """The checklist as lines of text; every state is a word, colour only repeats it."""
    for item in found.checks:
        yield from _render_item(item, found.now, coloured)
    yield f"worst: {_lamp(found.worst, coloured).rstrip()}"


def _render_item(item: ChecklistItem, now: datetime, coloured: bool) -> Iterator[str]:
    yield f"{_lamp(item.status, coloured)} {item.title} ({item.name}): {item.summary}"
    since = "" if item.since is None else f", since {item.since:%Y-%m-%d %H:%M:%S} UTC"
    looked = "never" if item.age_seconds is None else f"{age_text(item.age_seconds)} ago"
    yield f"        looked {looked}{since}"
    for row in item.evidence:
        if row.status in (None, Status.OK) and item.status is Status.OK:
            continue
        value = "unknown" if row.value is None else f"{row.value} {row.unit}".rstrip()
        yield f"        {_lamp(row.status, coloured)} {row.label}: {value}"
        if row.remedy and row.status not in (None, Status.OK):
            yield f"                -> {row.remedy}"
    if item.remedy and not any(row.remedy == item.remedy for row in item.evidence):
        yield f"        -> {item.remedy}"


def _lamp(status: Status | None, coloured: bool) -> str:
    word = f"{status.value.upper() if status is not None else '':7}"
    return f"\x1b[{_COLOURS[status]}m{word}\x1b[0m" if coloured and status is not None else word


def _ask_server(settings: Settings) -> ChecklistJson | None:
    url = running_server(settings.data_dir)
    if url is None:
        return None
    try:
        answer = httpx.get(f"{url}/api/v1/checklist", timeout=ANSWER_SECONDS, trust_env=False)
        answer.raise_for_status()
        return JSON.validate_json(answer.content)
    except (httpx.HTTPError, ValidationError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StoreError(f"the server at {url} runs on {settings.data_dir} but gave no checklist: {reason}") from None


def _look(settings: Settings) -> ChecklistJson:
    with open_stores(settings) as stores:
        now = datetime.now(UTC)
        reports = Reports(stores.telemetry, settings.pools)
        facts = checklist_facts(reports, stores.control, settings)
        results = ChecklistRunner(settings, stores.telemetry, stores.control, facts).run_once(now)
        found = from_results(results, stores.control, now)
        return ChecklistJson(found.at, found.status, found.exit_code, found.checks)


def _accept(settings: Settings, accept: str) -> None:
    source, _, slot = accept.rpartition("/")
    if not source:
        raise SettingsError(f"--accept-slot {accept!r}: give SOURCE/SLOT as the checklist names them")
    # The control store may be written beside a running server, so this needs no server and stops none.
    control = ControlStore(settings.resolved_control_url())
    try:
        upgrade(control.engine, "control")
        known = accept_slot(StoredMemory(control, CdcCheck.name), source, slot, datetime.now(UTC))
    finally:
        control.close()
    if not known:
        raise SettingsError(f"--accept-slot {accept!r}: no slot of that name was seen; see `andon checklist`")
    typer.echo(f"{accept}: taken as it is from the next look on")
