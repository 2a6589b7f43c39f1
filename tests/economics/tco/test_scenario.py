"""Scenario files: TOML and JSON, one clear error that names the value, what is allowed and where it stands."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from economics.tco.case import ScenarioError
from economics.tco.load import example, load_scenario, parse_scenario
from economics.tco.spread import Spread


@pytest.mark.parametrize(
    ("text", "field", "said"),
    [
        ("[owned]\navailability = 1.2", "owned.availability", "must be at most 1"),
        ("[owned]\navailability = 0", "owned.availability", "must be above 0"),
        ("[rented]\nusd_per_gpu_hour = -1", "rented.usd_per_gpu_hour", "must be above 0"),
        ("[power]\npue = 0.9", "power.pue", "must be at least 1"),
        ("[rented]\nusd_per_gpu_hour = {low = 3, likely = 2, high = 4}", "rented.usd_per_gpu_hour", "must rise"),
        ("[rented]\ncolour = 'red'", "rented.colour", "Extra inputs are not permitted"),
        ("baseline = 'cloud'", "baseline", "'api', 'rented' or 'owned'"),
        ("[demand]\ndays = 0", "demand.days", "greater than or equal to 1"),
        ("[[demand.levels]]\nhours = 0\noutput_tokens = 1", "demand.levels.0.hours", "greater than or equal to 0.001"),
        ("[[demand.levels]]\nhours = 1\noutput_tokens = 1\ncached_input_tokens = 2", "demand.levels.0", "a part of"),
        ("[service]\nequivalent_models = ['x']", "service", "needs equivalence"),
        ("[api]\nusd_per_mtok_input = 1", "api", "together"),
        ("[simulation]\ndraws = 1_000_000", "simulation.draws", "less than or equal to 20000"),
        ("[rented]\nusd_per_gpu_hour = inf", "rented.usd_per_gpu_hour", "finite"),
        ("[rented]\nusd_per_gpu_hour = 1e13", "rented.usd_per_gpu_hour", "beyond 1000000000000"),
        (
            "[[demand.levels]]\nhours = 1\noutput_tokens = 1000000000000000",
            "demand.levels.0.output_tokens",
            "less",
        ),
        ("[rented]\nusd_per_gpu_hour = 'cheap'", "rented.usd_per_gpu_hour", "write a number, or a range"),
        ("x = ", "--scenario", "no valid TOML"),
    ],
)
def test_a_bad_value_is_named_with_what_is_allowed_and_where_it_stands(text: str, field: str, said: str) -> None:
    with pytest.raises(ScenarioError) as error:
        parse_scenario(text, where="mine.toml")
    assert error.value.field == field
    assert said in str(error.value)
    assert "mine.toml" in str(error.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="No such file"):
        load_scenario(tmp_path / "none.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        load_scenario(binary)


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(
        json.dumps({"rented": {"usd_per_gpu_hour": 3.99}, "owned": {"kw": {"low": 1, "likely": 1.1, "high": 2}}})
    )
    written = "[rented]\nusd_per_gpu_hour = 3.99\n[owned]\nkw = {low = 1, likely = 1.1, high = 2}"
    assert load_scenario(path) == parse_scenario(written)
    path.write_text("{")
    with pytest.raises(ScenarioError, match="no valid JSON"):
        load_scenario(path)


def test_numbers_keep_their_digits() -> None:
    found = parse_scenario("[rented]\nusd_per_gpu_hour = 0.1")
    assert found.rented is not None
    assert found.rented.usd_per_gpu_hour == Spread.sure(Decimal("0.1"))


def test_the_example_is_a_scenario() -> None:
    assert parse_scenario(example()).name == "A 70B model: API or H100s of our own"
