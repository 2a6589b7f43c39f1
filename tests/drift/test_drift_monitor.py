"""Monitors against real stores: learning, quiet, drifting, over again, and never a window judged twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from drift_data import START, after, define, normal, only, put_windows

from drift import monitor as monitor_module
from drift import standing
from drift.baseline import BaselineRefusedError, StillLearningError
from drift.capture import capture
from drift.course import MonitorState
from drift.edetector import Kind
from drift.monitor import DriftMonitors
from drift.records import DriftBaselineRecord, DriftMonitorRecord, DriftWindowRecord
from drift.signals import Question
from settings import SettingsError
from store.control import ControlStore
from store.migrate import upgrade
from store.telemetry import TelemetryStore


def stored(control: ControlStore) -> list[tuple[datetime, int, str]]:
    with control.read() as session:
        records = session.scalars(sa.select(DriftWindowRecord).order_by(DriftWindowRecord.window_start)).all()
        return [(record.window_start, record.rows, record.state) for record in records]


def test_a_monitor_learns_until_both_minimums_are_reached(telemetry: TelemetryStore, control: ControlStore) -> None:
    monitor = define()
    assert only(control, monitor).detail == "learning (0 of 20 windows, 0 of 2 000 rows)"
    put_windows(telemetry, normal(12))
    (judged,) = DriftMonitors(telemetry, control, [monitor]).run_once(after(12))
    assert (judged.state, judged.windows, judged.problem) == (MonitorState.LEARNING, 0, None)
    status = only(control, monitor)
    assert status.state is MonitorState.LEARNING
    assert status.detail == "learning (12 of 20 windows, 1 200 of 2 000 rows)"
    assert (status.evidence, status.effects, status.baseline, status.since) == (None, None, None, after(12))
    with pytest.raises(StillLearningError, match=r"12 of 20 windows, 1 200 of 2 000 rows"):
        capture(telemetry, control, monitor, after(12))


def test_a_big_shift_is_found_in_its_first_window_and_closed_when_it_is_over(
    telemetry: TelemetryStore, control: ControlStore
) -> None:
    monitor = define(auto_baseline=True)
    monitors = DriftMonitors(telemetry, control, [monitor])
    put_windows(telemetry, normal(20))
    monitors.run_once(after(20))
    status = only(control, monitor)
    assert status.state is MonitorState.QUIET
    assert status.baseline is not None
    assert (status.baseline.version, status.baseline.windows, status.baseline.rows) == (1, 20, 2000)
    assert (status.baseline.range_start, status.baseline.range_end) == (START, START + timedelta(seconds=40))

    put_windows(telemetry, normal(5, seed=2), first=20)
    monitors.run_once(after(25))
    status = only(control, monitor)
    assert (status.state, status.windows_judged, status.kind) == (MonitorState.QUIET, 5, None)
    assert status.evidence is not None
    assert status.evidence < status.threshold

    put_windows(telemetry, normal(2, shift=2.0, seed=3), first=25)
    monitors.run_once(after(27))
    status = only(control, monitor)
    assert status.state is MonitorState.DRIFTING
    assert (status.kind, status.sign) == (Kind.LOCATION, 1)
    assert status.change_time == START + timedelta(seconds=50)
    assert status.since == START + timedelta(seconds=52)
    assert status.log10_ratio is not None
    assert status.log10_ratio > 0
    assert status.effects is not None
    assert status.effects.shift == pytest.approx(0.84, abs=0.05)  # 2 Phi(2 / sqrt 2) - 1
    assert "values are higher since 2026-03-01 00:00:50 UTC" in status.detail

    put_windows(telemetry, normal(6, seed=4), first=27)
    monitors.run_once(after(33))
    status = only(control, monitor)
    assert status.state is MonitorState.QUIET
    assert status.last_alarm is not None
    assert status.last_alarm.at == START + timedelta(seconds=52)
    assert status.last_alarm.closed_at == status.since
    assert [w.state.value for w in status.recent][5:8] == ["drifting"] * 3


def test_a_run_in_small_steps_equals_one_run(telemetry: TelemetryStore, control: ControlStore, tmp_path: Any) -> None:
    other = ControlStore(f"sqlite:///{tmp_path / 'other.sqlite'}")
    upgrade(other.engine, "control")
    monitor = define()
    samples = [*normal(20), *normal(8, seed=5), *normal(4, shift=0.6, seed=6), *normal(5, seed=7)]
    put_windows(telemetry, samples)
    for store in (control, other):
        capture(telemetry, store, monitor, after(20))
    DriftMonitors(telemetry, control, [monitor]).run_once(after(37))
    for windows in range(21, 38):
        DriftMonitors(telemetry, other, [monitor]).run_once(after(windows))
    first, second = only(control, monitor), only(other, monitor)
    assert first.windows_judged == 17
    assert (first.state, first.since, first.evidence, first.last_alarm) == (
        second.state,
        second.since,
        second.evidence,
        second.last_alarm,
    )
    assert first.recent == second.recent
    other.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def any_control(request: pytest.FixtureRequest) -> Iterator[ControlStore]:
    """A migrated, empty control store on each dialect."""
    if request.param == "sqlite":
        yield request.getfixturevalue("control")
        return
    store = ControlStore(request.getfixturevalue("postgres"))
    upgrade(store.engine, "control")
    yield store
    store.close()


def test_two_runs_at_once_never_judge_a_window_twice(telemetry: TelemetryStore, any_control: ControlStore) -> None:
    control = any_control
    monitor = define()
    put_windows(telemetry, [*normal(20), *normal(10, seed=8)])
    capture(telemetry, control, monitor, after(20))
    barrier = threading.Barrier(3)
    found: list[int] = []

    def run() -> None:
        monitors = DriftMonitors(telemetry, control, [monitor])
        barrier.wait()
        found.extend(monitors.run_once(after(windows))[0].windows for windows in range(21, 31))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 30
    assert sum(found) == 10 == only(control, monitor).windows_judged == len(stored(control))


def test_a_run_that_was_overtaken_stores_nothing(telemetry: TelemetryStore, control: ControlStore) -> None:
    monitor = define()
    put_windows(telemetry, [*normal(20), *normal(4, seed=8)])
    capture(telemetry, control, monitor, after(20))
    before = standing.load(control, monitor.name, Question.of(monitor))
    assert before is not None
    DriftMonitors(telemetry, control, [monitor]).run_once(after(24))
    after_first = only(control, monitor)
    assert not standing.store(control, monitor.name, before, before.course, [], after(24), after(24))
    assert only(control, monitor) == after_first


def test_after_downtime_a_run_judges_a_bounded_number_of_windows(
    telemetry: TelemetryStore, control: ControlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor_module, "WINDOWS_PER_RUN", 4)
    monitor = define()
    put_windows(telemetry, [*normal(20), *normal(10, seed=8)])
    capture(telemetry, control, monitor, after(20))
    monitors = DriftMonitors(telemetry, control, [monitor])
    assert [monitors.run_once(after(30))[0].windows for _ in range(4)] == [4, 4, 2, 0]


def test_windows_without_rows_change_nothing_and_three_of_them_are_no_data(
    telemetry: TelemetryStore, control: ControlStore
) -> None:
    monitor = define()
    put_windows(telemetry, [*normal(20), *normal(2, seed=9)])
    capture(telemetry, control, monitor, after(20))
    monitors = DriftMonitors(telemetry, control, [monitor])
    monitors.run_once(after(22))
    evidence = only(control, monitor).evidence
    monitors.run_once(after(24))
    assert only(control, monitor).state is MonitorState.QUIET
    put_windows(telemetry, [[None, "x", np.nan, np.inf]], first=24)
    monitors.run_once(after(25))
    status = only(control, monitor)
    assert (status.state, status.evidence, status.windows_judged) == (MonitorState.NO_DATA, evidence, 2)
    assert status.since == START + timedelta(seconds=44)
    assert status.last_window is not None
    assert (status.last_window.rows, status.last_window.not_numbers) == (0, 4)
    assert "no numbers of feature.length in the last 3 windows" in status.detail
    put_windows(telemetry, normal(1, seed=10), first=25)
    monitors.run_once(after(26))
    assert only(control, monitor).state is MonitorState.QUIET


def test_an_open_drift_stays_open_in_silence(telemetry: TelemetryStore, control: ControlStore) -> None:
    monitor = define()
    put_windows(telemetry, [*normal(20), *normal(1, shift=3.0)])
    capture(telemetry, control, monitor, after(20))
    DriftMonitors(telemetry, control, [monitor]).run_once(after(40))
    status = only(control, monitor)
    assert status.state is MonitorState.DRIFTING
    assert "no numbers in the last 19 windows, so the drift stays open" in status.detail


def test_a_window_waits_out_its_grace(telemetry: TelemetryStore, control: ControlStore) -> None:
    monitor = define()
    put_windows(telemetry, [*normal(20), *normal(1, seed=11)])
    capture(telemetry, control, monitor, after(20))
    monitors = DriftMonitors(telemetry, control, [monitor])
    assert monitors.run_once(after(21) - timedelta(microseconds=1))[0].windows == 0
    assert monitors.run_once(after(21))[0].windows == 1


def test_a_baseline_that_differs_from_itself_is_refused_with_the_reason(
    telemetry: TelemetryStore, control: ControlStore
) -> None:
    monitor = define(auto_baseline=True)
    put_windows(telemetry, [*normal(14), *normal(6, shift=1.0, seed=12)])
    with pytest.raises(BaselineRefusedError, match=r"newest 6 windows .* first 14 .*location up"):
        capture(telemetry, control, monitor, after(20))
    (judged,) = DriftMonitors(telemetry, control, [monitor]).run_once(after(20))
    assert judged.state is MonitorState.LEARNING
    assert judged.problem is not None
    assert "location up" in only(control, monitor).detail


def test_a_new_baseline_is_a_new_version_and_starts_anew(telemetry: TelemetryStore, control: ControlStore) -> None:
    monitor = define()
    put_windows(telemetry, [*normal(20), *normal(25, shift=2.0, seed=13)])
    capture(telemetry, control, monitor, after(20))
    monitors = DriftMonitors(telemetry, control, [monitor])
    monitors.run_once(after(45))
    assert only(control, monitor).state is MonitorState.DRIFTING
    with control.read() as session:
        first = session.get_one(DriftBaselineRecord, ("length", 1)).body
    capture(telemetry, control, monitor, after(45))
    status = only(control, monitor)
    assert (status.state, status.evidence, status.windows_judged) == (MonitorState.QUIET, None, 0)
    assert status.baseline is not None
    assert (status.baseline.version, status.baseline.range_start) == (2, START + timedelta(seconds=50))
    with control.read() as session:
        assert session.get_one(DriftBaselineRecord, ("length", 1)).body == first


def test_a_range_is_taken_as_whole_windows(telemetry: TelemetryStore, control: ControlStore) -> None:
    monitor = define(min_windows=5, min_rows=500)
    put_windows(telemetry, normal(30))
    start, end = START + timedelta(seconds=3), START + timedelta(seconds=21)
    baseline = capture(telemetry, control, monitor, after(30), start, end)
    assert (baseline.range_start, baseline.range_end) == (START + timedelta(seconds=4), START + timedelta(seconds=20))
    with pytest.raises(BaselineRefusedError, match="holds no whole closed window"):
        capture(telemetry, control, monitor, after(30), end, start)
    with pytest.raises(BaselineRefusedError, match="holds no whole closed window"):
        capture(telemetry, control, monitor, after(30), after(90))


def test_a_redefined_monitor_learns_again_and_takes_its_baseline_up_when_it_comes_back(
    telemetry: TelemetryStore, control: ControlStore
) -> None:
    monitor, other = define(), define(signal="feature.other")
    put_windows(telemetry, [*normal(20), *normal(4, seed=14)])
    capture(telemetry, control, monitor, after(20))
    DriftMonitors(telemetry, control, [monitor]).run_once(after(22))
    assert only(control, other).state is MonitorState.LEARNING
    DriftMonitors(telemetry, control, [other]).run_once(after(23))
    assert only(control, other).detail == "learning (0 of 20 windows, 0 of 2 000 rows)"
    (judged,) = DriftMonitors(telemetry, control, [monitor]).run_once(after(24))
    assert (judged.state, judged.windows) == (MonitorState.QUIET, 2)
    assert len(stored(control)) == 4


def test_a_store_that_fails_for_one_monitor_does_not_stop_the_others(
    telemetry: TelemetryStore, control: ControlStore
) -> None:
    first, second = define(name="first"), define(name="second", signal="output_tokens")
    put_windows(telemetry, normal(20))
    telemetry.execute("DROP TABLE spans SYNC")
    broken, fine = DriftMonitors(telemetry, control, [second, first]).run_once(after(21))
    assert (broken.state, fine.state) == (None, MonitorState.LEARNING)
    assert broken.problem is not None
    status = only(control, second)
    assert status.problem == broken.problem
    assert "could not be judged" in status.detail


def test_names_of_monitors_are_unique(telemetry: TelemetryStore, control: ControlStore) -> None:
    with pytest.raises(SettingsError, match="two drift monitors are named 'length'"):
        DriftMonitors(telemetry, control, [define(), define()])


def test_history_is_bounded(telemetry: TelemetryStore, control: ControlStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "WINDOWS_KEPT", 3)
    monitor = define()
    put_windows(telemetry, [*normal(20), *normal(8, seed=23)])
    capture(telemetry, control, monitor, after(20))
    DriftMonitors(telemetry, control, [monitor]).run_once(after(28))
    DriftMonitors(telemetry, control, [monitor]).run_once(after(29))
    assert [start for start, _, _ in stored(control)] == [START + timedelta(seconds=2 * n) for n in (24, 25, 26, 27)]
    with control.read() as session:
        assert session.get_one(DriftMonitorRecord, "length").judged_until == START + timedelta(seconds=58)
