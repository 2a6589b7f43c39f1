"""What stands in `deploy/` fits the code: commands, flags, settings, files and variables exist and can be used."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from cli.listening import refuse_open_receivers, refuse_public_bind
from cli.main import COMMANDS, app
from cli.stores import refuse_embedded
from settings import Settings, load_settings

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "andon"}
CONTAINER = (DEPLOY / "Dockerfile").read_text()
PAGE = (ROOT / "docs" / "deploy.md").read_text()

_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::[-?][^}]*)?\}")


def flags_of(command: str) -> set[str]:
    """Every flag that a command of `andon` takes."""
    context = typer.main.get_command(app)
    found = context.get_command(typer.Context(context), command)  # type: ignore[attr-defined]
    return {flag for parameter in found.params for flag in parameter.opts}


def environment_of(service: dict[str, Any]) -> dict[str, str]:
    """What a service sees, with every variable of `.env` set."""
    return {name: _VARIABLE.sub("secret", text) for name, text in service["environment"].items()}


def settings_of(service: dict[str, Any]) -> Settings:
    environment = environment_of(service)
    mounted = {place: DEPLOY / source for source, place in _mounts(service)}
    environment["ANDON_CONFIG"] = str(mounted[environment["ANDON_CONFIG"]])
    return load_settings(environ=environment)


def _mounts(service: dict[str, Any]) -> list[tuple[str, str]]:
    """Source and place of every volume."""
    return [tuple(text.split(":")[:2]) for text in service["volumes"]]  # type: ignore[misc]


def test_there_are_two_collectors_a_worker_and_a_dashboard() -> None:
    assert sorted(service["command"][0] for service in OURS.values()) == [
        "collector",
        "collector",
        "dashboard",
        "worker",
    ]


def started() -> list[tuple[str, list[str]]]:
    (image,) = re.findall(r"^CMD (\[.*\])$", CONTAINER, re.MULTILINE)
    return [("Dockerfile", json.loads(image)), *((name, service["command"]) for name, service in OURS.items())]


@pytest.mark.parametrize(("where", "words"), started())
def test_every_command_and_flag_exists(where: str, words: list[str]) -> None:
    command, *rest = words
    assert command in COMMANDS, where
    assert {word for word in rest if word.startswith("--")} <= flags_of(command), where


def known_variables() -> set[str]:
    """Every `ANDON_*` variable that sets something."""

    def under(model: Any, prefix: str) -> set[str]:
        found = set()
        for name, field in model.model_fields.items():
            inner = field.annotation
            found.add(f"{prefix}{name.upper()}")
            if hasattr(inner, "model_fields"):
                found |= under(inner, f"{prefix}{name.upper()}__")
        return found

    return under(Settings, "ANDON_") | {"ANDON_CONFIG"}


def test_every_variable_of_ours_sets_something() -> None:
    named = set(re.findall(r"\bANDON_[A-Z_]+", "\n".join([CONTAINER, (DEPLOY / "compose.yaml").read_text(), PAGE])))
    assert named
    assert named <= known_variables()


@pytest.mark.parametrize("name", OURS)
def test_the_settings_of_each_process_are_taken(name: str) -> None:
    settings = settings_of(OURS[name])
    refuse_embedded(settings)
    refuse_public_bind(settings.server.host)
    refuse_open_receivers(settings)
    assert settings.server.port == 8300
    assert settings.resolved_control_url().startswith("postgresql://andon:secret@")


def test_what_is_commented_out_in_the_settings_can_be_used_too(tmp_path: Path) -> None:
    said = (DEPLOY / "andon.toml").read_text()
    inner = re.sub(r"^# (?=\[\[|\w[\w.]* = )", "", said, flags=re.MULTILINE).replace("whsec_...", "whsec_" + "A" * 32)
    tomllib.loads(inner)
    place = tmp_path / "andon.toml"
    place.write_text(inner)
    settings = load_settings(place, environ={})
    assert settings.pools
    assert settings.alerts.channels


def test_the_gateway_has_the_configuration_of_the_repository_and_variables_that_it_reads() -> None:
    gateway = SERVICES["gateway"]
    (config,) = (source for source, place in _mounts(gateway) if place == "/etc/otelcol-contrib/config.yaml")
    assert (DEPLOY / config).resolve() == (ROOT / "otel-config.yaml").resolve()
    read = set(re.findall(r"env:(GATEWAY_\w+)", (ROOT / "otel-config.yaml").read_text()))
    assert set(gateway["environment"]) <= read
    headers = yaml.safe_load(environment_of(gateway)["GATEWAY_ANDON_HEADERS"])
    assert headers == {"Authorization": "Bearer secret"}
    for name in ("collector-1", "collector-2"):
        assert "collector" in OURS[name]["networks"]["default"]["aliases"]
    assert gateway["environment"]["GATEWAY_ANDON_URL"] == "http://collector:4318"
    assert f"{gateway['image']}" in (ROOT / "docs" / "gateway.md").read_text()


def test_each_collector_keeps_its_journal_on_a_volume_of_its_own() -> None:
    kept = [
        source
        for name in ("collector-1", "collector-2")
        for source, place in _mounts(OURS[name])
        if place == "/var/lib/andon"
    ]
    assert len(set(kept)) == 2
    assert set(kept) <= set(COMPOSE["volumes"])
    assert "ANDON_DATA_DIR=/var/lib/andon" in CONTAINER


def test_every_mounted_file_and_volume_exists_and_every_port_is_on_loopback() -> None:
    for service in SERVICES.values():
        for source, _ in _mounts(service):
            assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_dashboard_reaches_the_stores_by_the_ports_that_they_publish() -> None:
    environment = OURS["dashboard"]["environment"]
    for store, variable in (("clickhouse", "ANDON_TELEMETRY_URL"), ("postgres", "ANDON_CONTROL_URL")):
        (port,) = SERVICES[store]["ports"]
        assert f"@{port.rsplit(':', 1)[0]}/andon" in environment[variable]


def test_every_variable_of_the_env_file_is_described() -> None:
    asked = set(_VARIABLE.findall((DEPLOY / "compose.yaml").read_text()))
    assert asked
    assert all(f"`{name}`" in PAGE for name in asked)


def test_the_image_takes_in_every_package_and_runs_as_nobody_special_and_is_asked_for_its_health() -> None:
    taken = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line[:1] == "!"}
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert set(build["targets"]["wheel"]["packages"]) <= taken
    assert all((ROOT / name).exists() for name in taken)
    assert re.findall(r"^USER (\w+)$", CONTAINER, re.MULTILINE) == ["andon"]
    assert re.search(r"^HEALTHCHECK .*(?:\\\n.*)*8300.*/healthz", CONTAINER, re.MULTILINE)
