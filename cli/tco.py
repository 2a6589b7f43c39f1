"""`andon tco`: API, rented, owned or a hybrid, for the measured demand or a scenario file.

It asks the server that runs on the data directory; without one it opens the stores, and with a scenario that writes its
demand it needs neither.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from pydantic import TypeAdapter, ValidationError

from cli.options import ConfigOption, DataDirOption
from cli.output import say
from cli.stores import open_stores, running_server
from cli.tco_table import render
from economics.report import Reports
from economics.tco.answer import TcoAnswer
from economics.tco.ask import answer_measured, answer_written, needs_store
from economics.tco.case import ScenarioError
from economics.tco.load import example, load_scenario
from economics.tco.scenario import Scenario
from settings import Settings, SettingsError, load_settings
from store.errors import StoreError

ANSWER_SECONDS = 120.0
_ANSWER: TypeAdapter[TcoAnswer] = TypeAdapter(TcoAnswer)


def tco(
    scenario: Annotated[
        Path | None, typer.Option("--scenario", "-s", help="a scenario, TOML or .json (without: what is measured)")
    ] = None,
    write_example: Annotated[bool, typer.Option("--example", help="print a documented scenario to start from")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print what POST /api/v1/tco answers")] = False,
    days: Annotated[int | None, typer.Option(help="measured demand of the last so many days (30)")] = None,
    seed: Annotated[int | None, typer.Option(help="seed of the simulation (0)")] = None,
    config: ConfigOption = None,
    data_dir: DataDirOption = None,
) -> None:
    """What tokens cost at an API, rented, owned and mixed, and is 3:1 supported? Exit code: 0, or 2 on bad input."""
    if write_example:
        say(example().rstrip("\n"))
        return
    try:
        asked = _with_options(Scenario() if scenario is None else load_scenario(scenario), days, seed)
        found = _answer(asked, config, data_dir)
    except ScenarioError as error:
        raise SettingsError(str(error)) from None
    if as_json:
        say(_ANSWER.dump_json(found, indent=2).decode())
    else:
        say("\n".join(render(found)))


def _with_options(scenario: Scenario, days: int | None, seed: int | None) -> Scenario:
    changes: dict[str, Any] = scenario.model_dump(exclude_unset=True)
    if days is not None:
        changes.setdefault("demand", {})["days"] = days
    if seed is not None:
        changes.setdefault("simulation", {})["seed"] = seed
    try:
        return Scenario.model_validate(changes)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = f"--{first['loc'][-1]}"
        raise ScenarioError(name, first.get("input"), first["msg"]) from None


def _answer(scenario: Scenario, config: Path | None, data_dir: Path | None) -> TcoAnswer:
    if not needs_store(scenario):
        return answer_written(scenario, datetime.now(UTC))
    settings = load_settings(config, {} if data_dir is None else {"data_dir": data_dir})
    url = running_server(settings.data_dir)
    return _look(scenario, settings) if url is None else _asked(scenario, url)


def _look(scenario: Scenario, settings: Settings) -> TcoAnswer:
    with open_stores(settings) as stores:
        reports = Reports(stores.telemetry, settings.pools)
        return answer_measured(scenario, stores.telemetry, reports, settings, datetime.now(UTC))


def _asked(scenario: Scenario, url: str) -> TcoAnswer:
    body = scenario.model_dump_json(exclude_unset=True)
    headers = {"content-type": "application/json"}
    try:
        answer = httpx.post(f"{url}/api/v1/tco", content=body, headers=headers, timeout=ANSWER_SECONDS, trust_env=False)
        if not answer.is_success:
            raise StoreError(f"the server at {url} refused: {answer.json()['error']['message']}")
        return _ANSWER.validate_json(answer.content)
    except (httpx.HTTPError, ValidationError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StoreError(f"the server at {url} gave no answer to the scenario: {reason}") from None
