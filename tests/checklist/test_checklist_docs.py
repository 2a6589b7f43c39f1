"""The documentation names every rule, setting and state of the checklist."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from checklist.model import Status
from checklist.registry import registered_checks
from checklist.slots import Rule
from checklist.source import SourceRule
from settings import CdcSource, ChecklistSettings, ObservabilitySettings, TcoSettings

DOCUMENT = (Path(__file__).parents[2] / "docs" / "checklist.md").read_text(encoding="utf-8")
RULES = [*Rule, *SourceRule, "tco.input", "tco.ratio", "observability.silence", "observability.unpriced"]


@pytest.mark.parametrize("rule", [*RULES, "observability.drift"])
def test_every_rule_is_documented(rule: str) -> None:
    assert f"`{rule}`" in DOCUMENT


@pytest.mark.parametrize(
    ("part", "prefix"),
    [(CdcSource, ""), (ObservabilitySettings, ""), (TcoSettings, "checklist.tco."), (ChecklistSettings, "checklist.")],
)
def test_every_setting_is_documented(part: type[BaseModel], prefix: str) -> None:
    names = [name for name in part.model_fields if name not in {"name", "url"}]
    missing = [name for name in names if f"{prefix}{name}" not in DOCUMENT]
    assert missing == []


def test_every_state_and_every_check_is_documented() -> None:
    for status in Status:
        assert f"| {status.value} |" in DOCUMENT
        assert f"| {status.exit_code} |" in DOCUMENT
    for check in registered_checks():
        assert f"(`{check.name}`)" in DOCUMENT
