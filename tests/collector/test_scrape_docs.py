"""The page on scraping: its example is a valid `andon.toml`, and it names every count and every reason to fail."""

from __future__ import annotations

import re
from pathlib import Path

from settings import load_settings
from tests.collector.exporter import Scraped

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "collector.md").read_text()
SECTION = PAGE[PAGE.index("## Scraping") : PAGE.index("## Log records")]


def test_the_example_is_a_valid_andon_toml(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", SECTION, re.DOTALL)
    (tmp_path / "ca.pem").touch()
    config = tmp_path / "andon.toml"
    config.write_text(example.replace("/etc/andon/internal-ca.pem", str(tmp_path / "ca.pem")))
    names = [target.name for target in load_settings(config, environ={}).collector.scrape]
    assert names == ["vllm", "dcgm"]


def test_every_reason_to_fail_is_told() -> None:
    code = "".join(path.read_text() for path in (ROOT / "collector" / "scrape").glob("*.py"))
    reasons = set(re.findall(r'(?:ScrapeError|self\._failed)\(\s*"(\w+)"', code))
    assert len(reasons) > 10
    assert not [reason for reason in reasons if f"`{reason}`" not in SECTION]


def test_every_count_is_told(tmp_path: Path) -> None:
    counts = set(Scraped(tmp_path, "http://gpu-1:8000").target.health()) - {"last_error"}
    told = {name.removeprefix("andon_collector_scrape").lstrip("_") for name in re.findall(r"`(\w+)`", SECTION)}
    assert counts <= told
