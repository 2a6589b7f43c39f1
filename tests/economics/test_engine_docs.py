"""docs/engines.md says what the catalogue and the code say."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from economics import growth
from economics.catalogue import catalogue
from economics.catalogue_tables import tables
from economics.engine_numbers import BY, EngineNumber

TEXT = (Path(__file__).parents[2] / "docs/engines.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_catalogue() -> None:
    assert TEXT.endswith(tables(catalogue())), "run: python -m economics.catalogue_tables"


def test_every_field_of_an_answer_is_told() -> None:
    told = {"quantity", "unit", "form", "labels"}
    assert [each.name for each in fields(EngineNumber) if each.name not in told and f"`{each.name}`" not in TEXT] == []
    assert [name for name in BY if f"`{name}`" not in TEXT] == []


def test_the_lengths_of_time_are_those_of_the_code() -> None:
    assert growth.FRESH_START.total_seconds() == 5 * 60
    assert growth.LONGEST_SILENCE.total_seconds() == 3600
    assert growth.LONGEST_HOLD.total_seconds() == 3 * 60
    for said in ("within the last 5 minutes", "up to an hour", "at most 3\nminutes apart"):
        assert said in TEXT
