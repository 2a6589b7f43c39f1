"""Data that breaks drift tools: never a crash, never an alarm because of it, a clear status instead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from drift_data import START, after, define, normal, only, put_observations, put_windows

from drift.capture import capture
from drift.course import MonitorState
from drift.monitor import DriftMonitors
from store.control import ControlStore
from store.telemetry import TelemetryStore


def hostile() -> list[tuple[str, Sequence[Any], Sequence[Any]]]:
    rng = np.random.default_rng(15)
    constant = [np.full(100, 7.0)] * 20
    with_outlier = normal(20)
    with_outlier[3] = np.append(with_outlier[3], 1e9)
    mixed = [[*sample, None, "text", np.nan, np.inf] for sample in normal(20)]
    return [
        ("constant", constant, [np.full(100, 7.0)] * 10),
        ("ties", [rng.poisson(1, 100) for _ in range(20)], [rng.poisson(1, 100) for _ in range(10)]),
        ("one outlier in the baseline", with_outlier, normal(10, seed=16)),
        ("one outlier later", normal(20), [*normal(9, seed=17), np.append(normal(1, seed=18)[0], [1e9, -1e300])]),
        ("nulls, text, NaN and infinities", mixed, mixed[:10]),
        ("one row a window", normal(20), normal(10, rows=1, seed=19)),
        ("twenty times the traffic", normal(20), normal(4, rows=2000, seed=20)),
        ("a twentieth of the traffic", normal(20, rows=2000), normal(10, rows=100, seed=21)),
        ("heavy tails", list(rng.standard_cauchy((20, 100))), list(rng.standard_cauchy((10, 100)))),
        ("huge numbers", [s * 1e306 for s in normal(20)], [s * 1e306 for s in normal(10, seed=22)]),
    ]


@pytest.mark.parametrize(
    ("name", "before", "later"), hostile(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_hostile_data_neither_crashes_nor_alarms(
    telemetry: TelemetryStore, control: ControlStore, name: str, before: Sequence[Any], later: Sequence[Any]
) -> None:
    monitor = define()
    put_windows(telemetry, [*before, *later])
    capture(telemetry, control, monitor, after(20))
    (judged,) = DriftMonitors(telemetry, control, [monitor]).run_once(after(20 + len(later)))
    assert (judged.state, judged.windows, judged.problem) == (MonitorState.QUIET, len(later), None), name
    assert only(control, monitor).state is MonitorState.QUIET


def test_a_constant_that_changes_is_a_drift_and_the_status_says_constant(
    telemetry: TelemetryStore, control: ControlStore
) -> None:
    monitor = define()
    put_windows(telemetry, [[7.0] * 100] * 20 + [[6.0] * 100])
    capture(telemetry, control, monitor, after(20))
    DriftMonitors(telemetry, control, [monitor]).run_once(after(21))
    status = only(control, monitor)
    assert (status.state, status.sign) == (MonitorState.DRIFTING, -1)
    assert status.baseline is not None
    assert status.baseline.constant
    assert "the baseline is constant" in status.detail
    assert status.effects is not None
    assert status.effects.w1_iqr is None


def test_a_signal_of_text_says_that_it_needs_numbers(telemetry: TelemetryStore, control: ControlStore) -> None:
    monitor = define(signal="label")
    put_observations(telemetry, ["good"] * 50, [START + timedelta(seconds=n) for n in range(50)], signal="label")
    DriftMonitors(telemetry, control, [monitor]).run_once(after(30))
    assert "50 rows carry no finite number: this monitor needs a numeric signal" in only(control, monitor).detail
