"""Read the settings: defaults, then `andon.toml`, then `ANDON_*` variables, then what the command line says.

`ANDON_SERVER__PORT=9000` sets `server.port`: two underscores step into a part.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from settings.model import Settings, SettingsError

_PREFIX = "ANDON_"
_CARRY_SECRETS = {"secret", "url", "telemetry_url", "control_url", "bearer_token", "password"}
_OF_THE_SDK = {"ANDON_DISABLED", "ANDON_ENDPOINT", "ANDON_REQUIRE_PEERS"}


def load_settings(
    config: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Return the validated settings.

    Args:
        config: an `andon.toml`; when None, `ANDON_CONFIG`, then `./andon.toml` if it exists.
        overrides: nested values that beat everything else (the command line's).
        environ: where `ANDON_*` is read.

    Raises:
        SettingsError: a file or value cannot be used; names it, what is allowed and where it stands.
    """
    path = config or (Path(environ["ANDON_CONFIG"]) if environ.get("ANDON_CONFIG") else None)
    if path is None and Path("andon.toml").is_file():
        path = Path("andon.toml")
    values = _read_toml(path) if path is not None else {}
    sources = {"andon.toml": str(path) if path else ""}
    _merge(values, _from_environ(environ))
    _merge(values, dict(overrides or {}))
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError(_explain(error, sources["andon.toml"])) from None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read the configuration file {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    known = set(Settings.model_fields)
    for name, text in environ.items():
        if not name.startswith(_PREFIX) or name in _OF_THE_SDK or name == "ANDON_CONFIG":
            continue
        steps = name.removeprefix(_PREFIX).lower().split("__")
        if steps[0] not in known:
            continue
        place = values
        for step in steps[:-1]:
            place = place.setdefault(step, {})
        place[steps[-1]] = text
    return values


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _may_be_secret(problem: ErrorDetails) -> bool:
    """Secrets and addresses that carry them are not repeated; nor is a whole table that may hold one."""
    if problem["type"] == "extra_forbidden" or not _CARRY_SECRETS.isdisjoint(problem["loc"]):
        return True
    given = problem["input"]
    return isinstance(given, dict | list) or (
        isinstance(given, str) and any(mark in given for mark in ("://", "whsec_"))
    )


def _explain(error: ValidationError, path: str) -> str:
    lines = []
    for problem in error.errors():
        place = ".".join(str(step) for step in problem["loc"])
        variable = _PREFIX + "__".join(str(step) for step in problem["loc"]).upper()
        given = "" if problem["type"] == "missing" or _may_be_secret(problem) else f" (given: {problem['input']!r})"
        lines.append(f"{place}: {problem['msg']}{given}; set it in {path or 'andon.toml'} or as {variable}")
    return "settings cannot be used:\n  " + "\n  ".join(lines)
