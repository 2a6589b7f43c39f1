"""The settings page says what the settings are, and its example works."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settings import SettingsError, load_settings
from settings.__main__ import document

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_made_from_the_settings() -> None:
    assert PAGE.read_text(encoding="utf-8") == document(), "run: python -m settings --write"


def test_every_setting_has_a_meaning() -> None:
    rows = [line for line in document().splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert not [row for row in rows if row.endswith("| None |")]


def test_the_example_is_a_valid_andon_toml(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    config = tmp_path / "andon.toml"
    config.write_text(example)
    settings = load_settings(config, environ={})
    assert settings.pools[0].usd_per_hour == Decimal("3.20")
    assert settings.checklist.cdc[0].name == "orders"


def test_precedence_rises_from_file_to_variable_to_command_line(tmp_path: Path) -> None:
    config = tmp_path / "andon.toml"
    config.write_text("window_seconds = 1\n[server]\nport = 1\notlp_http_port = 1\n")
    settings = load_settings(
        config, {"server": {"port": 3}}, {"ANDON_SERVER__PORT": "2", "ANDON_SERVER__OTLP_HTTP_PORT": "2"}
    )
    assert (settings.window_seconds, settings.server.otlp_http_port, settings.server.port) == (1, 2, 3)


def refusal(config: Path | None, **environ: str) -> str:
    """The message with which the settings are refused."""
    with pytest.raises(SettingsError) as refused:
        load_settings(config, environ=environ)
    return str(refused.value)


def test_two_pools_of_one_name_are_refused(tmp_path: Path) -> None:
    config = tmp_path / "andon.toml"
    config.write_text(2 * '[[pools]]\nname="p"\naccelerator="a"\ncount=1\nusd_per_hour=1\n')
    assert "two pools are named 'p'" in refusal(config)


def test_what_is_not_a_finite_number_is_refused(tmp_path: Path) -> None:
    config = tmp_path / "andon.toml"
    config.write_text("window_seconds = inf")
    assert "window_seconds" in refusal(config)


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    config = tmp_path / "andon.toml"
    config.write_text('[[checklist.cdc]]\nname="a"\nurl="postgresql://u:hunter2@h/d"\n')
    settings = load_settings(config, environ={})
    assert "hunter2" not in repr(settings)
    config.write_text('[[alerts.channels]]\nname="a"\nurl="https://x"\nsecret=["hunter2"]\n')
    assert "hunter2" not in refusal(config)
    config.write_text('telemtry_url="clickhousedb://u:hunter2@h/d"\n')
    assert "hunter2" not in refusal(config)
    config.write_text('[[alerts.channels]]\nname="a"\nurl="https://x"\nsecrt="hunter2"\n')
    assert "hunter2" not in refusal(config)
    assert "hunter2" not in refusal(None, ANDON_CHECKLIST__CDC='[{"url":"postgresql://u:hunter2@h"}]')


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        load_settings(tmp_path / "nowhere.toml", environ={})


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4))
def test_variables_of_others_do_not_matter(environ: dict[str, str]) -> None:
    assert load_settings(None, environ={f"X{name}": value for name, value in environ.items()})
