"""docs/tco.md says what the calculator does: its example is run, its fields and figures are those of the code."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from cli.tco_table import render
from economics.tco.ask import answer_written
from economics.tco.facts import fact_book
from economics.tco.fields import tables
from economics.tco.load import example, parse_scenario
from economics.tco.measured import KNOWN_SHARE
from economics.tco.origin import STALE_DAYS
from economics.tco.simulate import MOST_COLUMNS
from economics.tco.verdict import Verdict

TEXT = (Path(__file__).parents[3] / "docs/tco.md").read_text(encoding="utf-8")
FLAT = " ".join(TEXT.split())
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def test_the_example_says_what_the_page_says() -> None:
    written = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)[-1]
    (printed,) = re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL)
    found = list(render(answer_written(parse_scenario(written), NOW), assumptions=False))
    # Versions of price lists come and go.
    assert [line for line in found if not line.startswith("prices")] == [
        line for line in printed.rstrip("\n").split("\n") if not line.startswith("prices")
    ]


def test_the_part_to_add_to_measured_demand_is_a_scenario() -> None:
    first = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)[0]
    assert parse_scenario(first).service.model == "llama-3.3-70b"


def test_the_fields_are_those_of_a_scenario() -> None:
    assert TEXT.endswith(tables()), "run: python -m economics.tco.fields"


def test_every_tariff_and_every_verdict_is_named() -> None:
    assert [name for name in fact_book().egress if f"`{name}`" not in TEXT] == []
    assert [verdict for verdict in Verdict if f"| {verdict} |" not in TEXT] == []


def test_the_figures_are_those_of_the_code() -> None:
    assert f"older than {STALE_DAYS} days" in FLAT
    assert KNOWN_SHARE == 0.9
    assert "nine tenths of it" in FLAT
    assert f"{MOST_COLUMNS} at most" in FLAT
    traffic = {name: count for name, (count, _) in fact_book().bytes_per_output_token.items()}
    assert traffic == {"sse": Decimal(217), "unary": Decimal("6.6")}
    assert "takes 217 bytes, in one JSON answer 6.6" in FLAT


def test_the_file_that_the_command_prints_names_only_fields_of_the_page() -> None:
    fields = set(re.findall(r"^(\w+) = ", example(), re.MULTILINE))
    assert [field for field in sorted(fields) if f"| `{field}` |" not in TEXT] == []
