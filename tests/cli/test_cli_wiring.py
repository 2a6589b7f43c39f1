"""What the rooms are asked for each other, and how seldom: questions to the ledger are the dearest there are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.wiring import Signals, stepwise
from economics.report import Reports
from settings import AlertRule, AlertSettings, Settings
from store.control import ControlStore
from store.migrate import migrate
from store.telemetry import TelemetryStore

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def asked(ends: list[datetime], length: timedelta) -> list[datetime]:
    """Of windows that are looked at one after the other: those that are really asked for."""
    found: list[datetime] = []
    answer = stepwise(lambda _start, end: found.append(end) or end)
    for end in ends:
        answer(end - length, end)
    return found


def test_an_hour_is_asked_for_every_twenty_seconds() -> None:
    ends = [NOON + number * 5 * SECOND for number in range(9)]
    assert asked(ends, HOUR) == [NOON, NOON + 20 * SECOND, NOON + 40 * SECOND]


def test_a_short_window_is_asked_for_each_sixtieth_of_it_and_a_day_as_an_hour() -> None:
    ends = [NOON + number * SECOND for number in range(4)]
    assert asked(ends, 120 * SECOND) == [NOON, NOON + 2 * SECOND]
    assert asked([NOON, NOON + 19 * SECOND, NOON + 20 * SECOND], 24 * HOUR) == [NOON, NOON + 20 * SECOND]


def test_a_window_of_another_length_or_from_before_is_asked_for() -> None:
    found: list[tuple[datetime, datetime]] = []
    answer = stepwise(lambda start, end: found.append((start, end)))
    answer(NOON - HOUR, NOON)
    answer(NOON - 2 * HOUR, NOON)
    answer(NOON - 2 * HOUR - SECOND, NOON - SECOND)
    assert len(found) == 3


def signals(telemetry: TelemetryStore, folder: Path, *rules: AlertRule) -> set[str]:
    """The names of the signals that are read for these rules."""
    settings = Settings(data_dir=folder, alerts=AlertSettings(rules=rules))
    control = ControlStore(f"sqlite:///{folder / 'control.db'}")
    try:
        migrate(telemetry, control)
        return {signal.name for signal in Signals(Reports(telemetry, ()), control, settings)(NOON)}
    finally:
        control.close()


def test_usage_is_read_only_when_a_rule_watches_it(telemetry: TelemetryStore, tmp_path: Path) -> None:
    other = AlertRule(name="mine", signal="checklist.state", op="==", value="FAIL", severity="error")
    slow = AlertRule(name="slow", signal="usage.output_tps", op="<", value=5, severity="error")
    assert not any(name.startswith("usage.") for name in signals(telemetry, tmp_path, other))
    assert "usage.output_tps" in signals(telemetry, tmp_path, other, slow)
