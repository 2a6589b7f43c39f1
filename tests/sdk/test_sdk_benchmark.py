"""What the SDK's benchmark rests on: targets worked out by hand, its table of ways, no praise for a dead way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.sdk import cost, crew, faults, install, report, results, startup, targets
from benchmarks.sdk.sink import Behaviour
from benchmarks.sdk.subjects import SHAPES

ROOT = Path(__file__).parents[2]


def costs(**cpu_us: tuple[float, float, float]) -> list[cost.Cost]:
    return [
        cost.Cost(way, shape, wall_us=us, cpu_us=us, background_us=1.0, attributes=())
        for way, by_shape in cpu_us.items()
        for shape, us in zip(SHAPES, by_shape, strict=True)
    ]


MEASURED = costs(bare=(0.1, 0.1, 2.0), plain=(20.0, 20.0, 30.0), andon=(24.0, 25.0, 71.0), disabled=(0.5, 0.6, 2.75))


def test_a_call_may_cost_one_fifth_more_than_a_plain_span() -> None:
    sync, asynchronous, *_ = targets.of_costs(MEASURED)
    assert (sync.measured, sync.most, sync.kept) == (1.2, 1.2, True)  # 24 / 20
    assert (asynchronous.measured, asynchronous.kept) == (1.25, False)  # 25 / 20


def test_a_stream_may_cost_three_tenths_of_a_microsecond_for_each_item_above_that() -> None:
    stream = targets.of_costs(MEASURED)[2]
    assert stream.measured == pytest.approx(0.35)  # (71 - 1.2 * 30) / 100
    assert not stream.kept


def test_a_disabled_call_may_cost_half_a_microsecond_above_a_bare_one() -> None:
    sync, asynchronous, stream = targets.of_costs(MEASURED)[3:]
    assert [verdict.measured for verdict in (sync, asynchronous, stream)] == pytest.approx([0.4, 0.5, 0.75])
    assert (sync.kept, stream.kept) == (True, False)


def test_the_start_is_measured_above_the_import_of_opentelemetry() -> None:
    (verdict,) = targets.of_startup({startup.LOADED: 100.0, "plain": 150.0, "andon": 161.0})
    assert (verdict.measured, verdict.kept) == (61.0, False)


def test_installed_size_and_packages_are_held_against_opentelemetry_alone() -> None:
    size, packages = targets.of_install(
        {
            "plain": install.Installed(6_000_000, {"a": "1", "b": "1"}),
            "andon": install.Installed(16_000_000, {"a": "1", "b": "1", "c": "1", "d": "1"}),
        }
    )
    assert (size.measured, size.kept) == (16.0, False)
    assert (packages.measured, packages.kept) == (2, True)


def test_every_way_of_the_table_has_its_file_and_says_how_it_was_set_up() -> None:
    table = crew.entries()
    for entry in table:
        assert (ROOT / "benchmarks/sdk/ways" / f"{entry.module}.py").exists()
        assert entry.how or not entry.requires
        assert all("==" in requirement or requirement == install.OWN for requirement in entry.requires)
    assert {entry.name for entry in table if entry.peer} == {
        "openlit",
        "traceloop",
        "logfire",
        "phoenix",
        "langfuse",
        "mlflow",
    }


@pytest.fixture
def endpoint() -> Iterator[str]:
    with crew.sink(Behaviour.ACCEPT) as address:
        yield address


def test_a_way_that_records_nothing_is_not_compared(endpoint: str) -> None:
    mute = crew.Entry(name="mute", title="mute", file="andon", environment={"ANDON_DISABLED": "true"})
    with (
        crew.crew([mute], crew.Interpreters(), endpoint, stubbed=True) as workers,
        pytest.raises(RuntimeError, match="mute made 0 spans"),
    ):
        cost.measure(workers, rounds=1, stubbed=True)


def test_a_way_that_cannot_start_is_told_with_its_reason(endpoint: str) -> None:
    absent = crew.Entry(name="absent", title="absent", file="no_such_file")
    with (
        pytest.raises(RuntimeError, match=r"absent gave up:[\s\S]*No module named"),
        crew.crew([absent], crew.Interpreters(), endpoint, stubbed=True),
    ):
        pass


def test_the_work_of_the_background_is_counted(endpoint: str) -> None:
    ways = [entry for entry in crew.entries() if entry.name in {"plain", "andon"}]
    with crew.crew(ways, crew.Interpreters(), endpoint, stubbed=False) as workers:
        measured = cost.measure(workers, rounds=1, stubbed=False)
    assert all(each.background_us > 0 for each in measured)
    assert crew.bytes_taken(endpoint) > 0


def test_a_full_queue_is_bounded_while_the_collector_hangs() -> None:
    ways = [entry for entry in crew.entries() if entry.name == "andon"]
    (held,) = faults.memory(ways, crew.Interpreters(), settle_seconds=0.1)
    assert 2048 <= held.spans <= 2048 + 512
    assert held.allocated_bytes / held.spans < 10_000


def test_the_figures_go_to_their_place_in_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    measured = results.new_results(["--quick"])
    measured.startup_ms = {startup.LOADED: 100.0, "andon": 130.0}
    report.write_page(page, measured, crew.entries())
    text = page.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\n") and text.endswith(f"{report.END}\nafter\n")
    assert "old" not in text
    assert "| andon | 130.0 | +30.0 |" in text
    assert "`python -m benchmarks.sdk --quick`" in text


def test_a_page_without_a_place_for_the_figures_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing here\n")
    with pytest.raises(ValueError, match="no place for the figures"):
        report.write_page(page, results.new_results([]), crew.entries())
    assert page.read_text() == "nothing here\n"
