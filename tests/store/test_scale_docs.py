"""What the page on scale says is what the code says: its table, its two measured figures, its settings."""

from __future__ import annotations

from pathlib import Path

from benchmarks import scale
from store.tables import SETTINGS

PAGE = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()


def test_the_table_is_the_one_that_is_computed() -> None:
    begin, end = "<!-- made by python -m benchmarks.scale -->", "<!-- end -->"
    assert PAGE.split(begin)[1].split(end)[0].strip() == scale.table()


def test_the_measured_figures_are_told_as_they_are_computed_with() -> None:
    assert f"**{scale.CPU_SECONDS_PER_100K_SPANS} CPU-seconds per 100 000" in PAGE
    assert f"**{scale.BYTES_PER_SPAN} bytes per span**" in PAGE


def test_the_arithmetic_of_a_million_spans_a_second() -> None:
    need = scale.Need(1_000_000)
    assert need.cores == 36  # 10 × 1.8 / 0.5
    assert (need.collectors, need.shards, need.nodes) == (18, 2, 4)
    assert need.bytes_per_day == 8_640_000_000_000
    # (18 × 2 + 4 × 32) cores × 730 h × $0.045, 74 057 GB of disk, 233 280 GB of objects
    assert round(need.usd_per_month) == round(5387.4 + 5924.571 + 5365.44)


def test_every_setting_of_a_cluster_is_explained() -> None:
    for name, value in SETTINGS.items():
        assert f"`{name}={value}`" in PAGE
