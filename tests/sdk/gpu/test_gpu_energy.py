"""Joules of a stretch of time: counter and integral, worked out by hand; and the `with` block over a stubbed driver."""

from __future__ import annotations

from typing import Any

import pytest
from andon.gpu import Energy, EnergyWindow
from andon.gpu.energy import Growth, WindowMeter
from andon.gpu.samples import Reading, Sample
from andon.gpu.scope import Scope, scope_of_process
from hypothesis import given
from hypothesis import strategies as st

from tests.sdk.gpu.conftest import H100, SECOND, StubbedDriver


def window(*readings: tuple[float, float | None, float | None]) -> EnergyWindow:
    """The window over readings of (seconds, watts, joules)."""
    meter = WindowMeter()
    for reading in readings:
        meter.add(Reading(*reading))
    return meter.window()


def test_power_is_integrated_by_trapezoids_and_compared_with_the_counter() -> None:
    # (100+200)/2 W x 1 s + (200+400)/2 W x 2 s = 150 J + 600 J; the counter says 800 J: 50 J too little, 6.25 %.
    found = window((10.0, 100.0, 5000.0), (11.0, 200.0, 5160.0), (13.0, 400.0, 5800.0))
    assert found == EnergyWindow(seconds=3.0, joules_counter=800.0, joules_integrated=750.0)
    assert found.joules == 800.0
    assert found.relative_difference == -0.0625


def test_a_gap_of_three_seconds_counts_and_a_longer_one_makes_the_integral_unknown() -> None:
    assert window((0.0, 100.0, 0.0), (3.0, 100.0, 300.0)).joules_integrated == 300.0
    found = window((0.0, 100.0, 0.0), (1.0, 100.0, 100.0), (4.001, 100.0, 400.0))
    assert found.joules_integrated is None
    assert found.joules == 400.0
    assert found.relative_difference is None


def test_power_that_was_unknown_once_makes_the_integral_unknown() -> None:
    assert window((0.0, 100.0, None), (1.0, None, None), (2.0, 100.0, None)).joules is None


def test_without_a_counter_the_integral_is_the_answer() -> None:
    found = window((0.0, 100.0, None), (2.0, 300.0, None))
    assert (found.joules_counter, found.joules_integrated, found.joules) == (None, 400.0, 400.0)


def test_a_counter_that_is_unknown_in_the_middle_still_holds_from_end_to_end() -> None:
    assert window((0.0, None, 100.0), (1.0, None, None), (2.0, None, 350.0)).joules_counter == 250.0


@pytest.mark.parametrize("ends", [(None, 100.0), (100.0, None)])
def test_a_counter_that_is_unknown_at_an_end_is_unknown(ends: tuple[float | None, float | None]) -> None:
    assert window((0.0, None, ends[0]), (1.0, None, 50.0), (2.0, None, ends[1])).joules_counter is None


def test_a_counter_that_began_anew_is_unknown_since_what_it_lost_is() -> None:
    assert window((0.0, 100.0, 9000.0), (1.0, 100.0, 20.0)) == EnergyWindow(1.0, None, 100.0)


def test_one_reading_or_none_is_no_integral() -> None:
    assert window() == EnergyWindow(0.0, None, None)
    assert window((0.0, 100.0, 5.0)) == EnergyWindow(0.0, 0.0, None)
    assert window((0.0, 100.0, 5.0)).relative_difference is None


def test_growth_goes_on_across_a_reset_and_never_back() -> None:
    growth = Growth()
    totals = []
    for value in (1000.0, 1400.0, None, 30.0, 50.0):
        growth.add(value)
        totals.append(growth.total)
    assert totals == [0.0, 400.0, 400.0, 430.0, 450.0]


@given(st.lists(st.integers(0, 10**12)))
def test_growth_never_goes_back(values: list[int]) -> None:
    growth = Growth()
    last = 0.0
    for value in values:
        growth.add(value)
        assert growth.total is not None
        assert growth.total >= last
        last = growth.total


@given(st.floats(1, 1000), st.lists(st.floats(0.01, 2.9), min_size=1, max_size=50))
def test_at_constant_power_integral_and_counter_agree(watts: float, gaps: list[float]) -> None:
    moments = [0.0]
    for gap in gaps:
        moments.append(moments[-1] + gap)
    meter = WindowMeter()
    for moment in moments:
        meter.add(Reading(moment, watts, watts * moment))
    assert meter.window().relative_difference == pytest.approx(0, abs=1e-9)


def test_several_gpus_add_up_and_one_unknown_makes_the_sum_unknown() -> None:
    first, second = EnergyWindow(2.0, 800.0, 780.0), EnergyWindow(2.5, 200.0, 240.0)
    both = Energy({"a": first, "b": second})
    assert (both.joules, both.joules_integrated, both.seconds) == (1000.0, 1020.0, 2.5)
    assert both.relative_difference == 0.02
    unknown = Energy({"a": first, "b": EnergyWindow(2.5, None, None)})
    assert unknown.joules is None
    assert Energy().joules is None
    assert Energy().seconds is None


BOARDS = (
    Sample("GPU-a", 0, 0.0, name="H100"),
    Sample("GPU-b", 1, 0.0, name="H100"),
)


@pytest.mark.parametrize(
    ("visible", "scope"),
    [
        (None, Scope(("GPU-a", "GPU-b"))),
        ("1", Scope(("GPU-b",))),
        ("GPU-a", Scope(("GPU-a",))),
        ("", Scope(())),
        ("7", Scope(("GPU-a", "GPU-b"))),
    ],
)
def test_only_the_gpus_that_cuda_shows_the_process_are_its_own(visible: str | None, scope: Scope) -> None:
    assert scope_of_process(BOARDS, {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}) == scope


BLOCK = """
import os, pathlib
import andon

def change(old, new):
    path = pathlib.Path(os.environ["NVML_STUB_STATE"])
    path.with_suffix(".new").write_text(path.read_text().replace(old, new))
    path.with_suffix(".new").replace(path)

with andon.gpu.energy() as e:
    assert e.joules is None
    change("gpu0.energy_mj=5000000000", "gpu0.energy_mj=5000450500")
print(e.joules, e.joules_counter, sorted(e.gpus))
"""


def test_a_block_costs_what_the_counter_grew_meanwhile(run_program: Any, driver: StubbedDriver) -> None:
    done = run_program(BLOCK, **driver.env)
    assert done.stdout == f"450.5 450.5 ['{H100['uuid']}']\n"
    assert done.stderr == ""


def test_a_block_counts_the_gpus_of_its_process_alone(run_program: Any, driver: StubbedDriver) -> None:
    driver.has(H100, H100 | {"uuid": SECOND, "energy_mj": 7})
    done = run_program(BLOCK, CUDA_VISIBLE_DEVICES="1", **driver.env)
    assert done.stdout == f"0.0 0.0 ['{SECOND}']\n"


def test_the_energy_of_a_mig_instance_is_unknown_not_that_of_the_whole_board(
    run_program: Any, driver: StubbedDriver
) -> None:
    driver.says({"gpu0.mig": 1, "gpu0.mig0.uuid": "MIG-11111111"})
    done = run_program(BLOCK, CUDA_VISIBLE_DEVICES="MIG-11111111", **driver.env)
    assert done.stdout == f"None None ['{H100['uuid']}']\n"
    assert len(done.stderr.splitlines()) == 1


def test_an_exception_in_the_block_goes_on_unchanged(run_program: Any, driver: StubbedDriver) -> None:
    program = """
import andon
try:
    with andon.gpu.energy() as e:
        raise KeyError("mine")
except KeyError as error:
    print(repr(error), e.joules)
"""
    assert run_program(program, **driver.env).stdout == "KeyError('mine') 0.0\n"


@pytest.mark.parametrize("env", [{}, {"ANDON_DISABLED": "true"}], ids=["no driver", "disabled"])
def test_without_a_gpu_a_block_runs_and_its_energy_is_unknown(run_program: Any, env: dict[str, str]) -> None:
    program = """
import sys
sys.modules["pynvml"] = None
import andon
with andon.gpu.energy() as e:
    print("ran")
print(e.joules, e.seconds, dict(e.gpus))
"""
    assert run_program(program, **env).stdout == "ran\nNone None {}\n"
