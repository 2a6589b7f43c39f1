"""What the README and the guides say is there, is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cli.main import COMMANDS
from settings import load_settings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http:", "https:")):
            assert (page.parent / target).exists(), target


def test_the_two_commands_are_the_first_commands() -> None:
    commands = re.findall(r"```bash\n(.*?)\n```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert commands[:2] == ["pip install uv && uv run andon demo", "pip install uv && uv run pytest"]


def test_ci_runs_the_test_command_with_peers_required() -> None:
    assert "ANDON_REQUIRE_PEERS=1 uv run pytest" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_commands_that_are_named_exist() -> None:
    for page in PAGES:
        for command in re.findall(r"(?:^|`|uv run )andon ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert command in COMMANDS, f"{page.name}: andon {command}"


def test_the_pool_of_the_readme_is_a_valid_setting(tmp_path: Path) -> None:
    (toml,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    config = tmp_path / "andon.toml"
    config.write_text(toml)
    assert load_settings(config, environ={}).pools[0].count == 8
