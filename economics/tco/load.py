"""A scenario file: TOML, or JSON where its name ends so. Errors name the field, its value and what is allowed."""

from __future__ import annotations

import json
import tomllib
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from economics.tco.case import ScenarioError
from economics.tco.scenario import Scenario


def example() -> str:
    """A documented scenario to start from, TOML."""
    return files("economics.tco").joinpath("example.toml").read_text(encoding="utf-8")


def load_scenario(path: Path) -> Scenario:
    """The scenario of a file.

    Raises:
        ScenarioError: it cannot be read, or a value cannot be used.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ScenarioError("--scenario", path, f"it cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ScenarioError("--scenario", path, "it is not UTF-8 text") from None
    return parse_scenario(text, json_text=path.suffix == ".json", where=str(path))


def parse_scenario(text: str, *, json_text: bool = False, where: str = "scenario") -> Scenario:
    """The scenario of a text.

    Raises:
        ScenarioError: as `load_scenario`.
    """
    try:
        values: Any = json.loads(text, parse_float=Decimal) if json_text else tomllib.loads(text, parse_float=Decimal)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        kind = "JSON" if json_text else "TOML"
        raise ScenarioError("--scenario", where, f"it is no valid {kind}: {error}") from None
    try:
        return Scenario.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(step) for step in first["loc"]) or "scenario"
        given = first.get("input")
        shown = given if isinstance(given, str | int | float | Decimal | bool) else type(given).__name__
        raise ScenarioError(field, shown, f"{first['msg']}; correct it in {where}") from None
