"""`andon tco` as its user meets it: an example to start from, a table, JSON, with and without a server, and errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from cli.tco_table import count, dollars, render
from economics.tco.ask import answer_written
from economics.tco.scenario import Scenario
from tests.cli.test_cli_serve import andon
from tests.economics.tco.cases import PLAIN, answer
from tests.servers import ServeProcess

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_the_example_is_a_scenario_that_the_command_takes(tmp_path: Path) -> None:
    written = andon("tco", "--example")
    assert written.returncode == 0
    path = tmp_path / "scenario.toml"
    path.write_text(written.stdout)
    done = andon("tco", "--scenario", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("A 70B model: API or H100s of our own\n")
    assert "hybrid against api: 3:1 as a cost ratio" in done.stdout


def test_the_same_seed_prints_the_same(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(
        json.dumps({**PLAIN, "rented": {**PLAIN["rented"], "usd_per_gpu_hour": {"low": 1, "likely": 2, "high": 4}}})
    )
    first, again, other = (
        json.loads(andon("tco", "-s", str(path), "--seed", seed, "--json").stdout)["comparisons"]
        for seed in ("7", "7", "8")
    )
    assert first == again
    assert first != other


def test_the_table_says_costs_ratio_verdict_and_what_they_rest_on() -> None:
    lines = list(render(answer()))
    assert lines[:4] == [
        "hybrid cost calculator",
        "basis      list prices and your scenario, on a written demand; costs to come are a projection, not a bill",
        "prices     genai-prices 0.2.3; facts of 2026-11-22; 4 years",
        "demand     scenario: 4 whole hours",
    ]
    head = next(place for place, line in enumerate(lines) if line.startswith("option"))
    assert lines[head : head + 5] == [
        "option  USD/month  USD/Mtok  USD/Mtok-out  USD now  egress  GPUs  in use  R     P10-P90    verdict",
        "api     6,570      2.000     2.000         315,360  0.0 %   -     -       1     -          baseline",
        "rented  1,825      0.556     0.556         87,600   0.0 %   2     100 %   3.60  3.60-3.60  3:1 supported",
        "owned   1,460      0.444     0.444         70,080   0.0 %   2     62 %    4.50  4.50-4.50  3:1 supported",
        "hybrid  1,095      0.333     0.333         52,560   0.0 %   1     100 %   6.00  6.00-6.00  3:1 supported",
    ]
    assert "hybrid: owned replicas: 1; tokens: 80.0 % owned, 20.0 % rented" in lines
    assert "  payback 10.7 months, discounted 10.7 months; benefit-cost ratio 4.500, ROI 350.0 %" in lines
    assert any(line.startswith("  owned.purchase_usd") and line.endswith("your scenario") for line in lines)


def test_what_is_refused_or_missing_is_printed_with_what_to_do() -> None:
    text = "\n".join(render(answer(rented__service__good_share=None, owned__purchase_usd=None)))
    assert "refused: options are compared only when they give the same service" in text
    assert "  rented: the share of its tokens that are good is not stated -> set rented.service.good_share" in text
    assert "  owned: the price of an accelerator -> set owned.purchase_usd" in text
    assert "rented against api: not compared" in text


def test_figures_as_people_read_them() -> None:
    assert [dollars(Decimal(value)) for value in ("0.5", "999.994", "12345.6", "-2000")] == [
        "0.50",
        "999.99",
        "12,346",
        "-2,000",
    ]
    assert [count(Decimal(value)) for value in (0, 999, 1000, 39_420_000_000)] == ["0", "999", "1 k", "39.4 G"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--scenario", "none.toml"), "--scenario = 'none.toml' cannot be used: it cannot be read"),
        (("--days", "0"), "--days = '0' cannot be used: Input should be greater than or equal to 1"),
        (("--seed", "-1"), "--seed = '-1' cannot be used"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    done = andon("tco", *arguments, "--data-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_running_server_is_asked_and_a_fresh_one_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('[owned]\npurchase_usd = 1\nkw = 1\negress = "Nobody"\n')
    with ServeProcess(tmp_path / "data"):
        asked = andon("tco", "--data-dir", str(tmp_path / "data"))
        assert asked.returncode == 0
        assert "no whole hour of it is known -> let Andon watch" in asked.stdout
        refused = andon("tco", "--scenario", str(path), "--data-dir", str(tmp_path / "data"))
    assert refused.returncode == 2
    assert "owned.egress='Nobody' cannot be used" in refused.stderr
    alone = andon("tco", "--days", "7", "--json", "--data-dir", str(tmp_path / "data"))
    assert json.loads(alone.stdout)["demand"]["source"] == "measured"


def test_a_scenario_that_writes_its_demand_needs_no_data(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps(PLAIN))
    done = andon("tco", "--scenario", str(path), "--data-dir", str(tmp_path / "none"))
    assert done.returncode == 0
    assert not (tmp_path / "none").exists()
    assert answer_written(Scenario.model_validate(PLAIN), NOW).options[0].name == "api"
