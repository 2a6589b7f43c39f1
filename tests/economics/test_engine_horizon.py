"""Metric points go, what engines reported stays: the horizon of the roll-up of engine metrics."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from economics.catalogue import catalogue
from economics.engine_rollup import EngineRollUp
from economics.engines import read_engines
from economics.fold import Fold
from economics.horizon import advance_horizon, guards, read_horizon
from economics.times import sql_minute
from economics.versions import prune_versions
from settings import RetentionSettings
from store.retention import Retention
from store.telemetry import TelemetryStore
from tests.economics.points import NOON, Row, point, store_points

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MIDNIGHT = NOON.replace(hour=0)
NEXT_DAY = MIDNIGHT + DAY
LATER = NOON + 40 * DAY
ENGINES = EngineRollUp(catalogue())


def fold_of(store: TelemetryStore) -> Fold:
    return Fold(store, ENGINES, timedelta(seconds=10))


def retention_of(store: TelemetryStore, **days: object) -> Retention:
    return Retention(store, RetentionSettings.model_validate(days), guards(store, [ENGINES]))


def prompt(time: datetime, value: int) -> Row:
    return point(time, "vllm:prompt_tokens_total", value, labels={"model_name": "m"})


def tokens(
    store: TelemetryStore, start: datetime = MIDNIGHT, end: datetime = MIDNIGHT + 2 * DAY, step: int | None = None
) -> float | None:
    rows = read_engines(store, catalogue(), start, end, ["tokens.input"], step)
    known = [row.facts.value for row in rows if row.facts.value is not None]
    return sum(known) if known else None


def points_in(store: TelemetryStore) -> int:
    return int(store.rows("SELECT count() AS n FROM metric_points")[0]["n"])


def test_no_day_of_points_is_dropped_that_is_not_rolled_up(telemetry: TelemetryStore) -> None:
    retention = retention_of(telemetry)
    store_points(telemetry, prompt(NOON, 100), prompt(NOON + 3 * MINUTE, 130))
    run = retention.run_once(LATER)
    # Nor what the points are about.
    assert [left.removal.table for left in run.waiting] == ["metric_points", "metric_series"]
    assert {left.reason for left in run.waiting} == {"the fold has 2 minutes of it to do for engine_1m"}
    assert points_in(telemetry) == 2
    fold_of(telemetry).run_once(LATER)
    assert retention.run_once(LATER).waiting == ()
    assert points_in(telemetry) == 0
    assert tokens(telemetry) == 30


def test_a_late_point_of_a_dropped_day_leaves_its_minute_as_it_was(telemetry: TelemetryStore) -> None:
    fold = fold_of(telemetry)
    store_points(telemetry, prompt(NOON, 100), prompt(NOON + timedelta(seconds=15), 130))
    fold.run_once(LATER)
    retention_of(telemetry).run_once(LATER)
    # More than the minute held before: it is not the number that tells.
    store_points(telemetry, *[prompt(NOON + timedelta(seconds=20 + s), 140 + s) for s in range(3)])
    assert fold.run_once(LATER) == []
    assert fold_of(telemetry).run_once(LATER) == []  # nor does a process that starts anew
    assert tokens(telemetry) == 30
    removed = retention_of(telemetry).run_once(LATER).removed
    assert [removal.rows for removal in removed if removal.table == "metric_points"] == [3]
    assert tokens(telemetry) == 30


def test_points_that_come_too_late_are_counted_once_each(telemetry: TelemetryStore) -> None:
    advance_horizon(telemetry, ENGINES, NOON)
    fold = fold_of(telemetry)
    fold._counted_until -= HOUR
    row = (
        "INSERT INTO metric_points (time, ingested_at) SELECT toDateTime64(:at, 9, 'UTC'), now64(9) - INTERVAL 5 MINUTE"
    )
    telemetry.execute(row, at=sql_minute(NOON - MINUTE))
    telemetry.execute(row, at=sql_minute(NOON + MINUTE))
    for _ in range(3):
        fold.run_once(LATER)
    assert fold.health(LATER)["too_late_rows_total"] == 1


def test_the_first_hour_of_the_next_day_is_closed_with_a_day_and_the_second_is_not(telemetry: TelemetryStore) -> None:
    """What a counter grew by is known from the point before, which may be in the day that went."""
    store_points(
        telemetry,
        prompt(NEXT_DAY - 10 * MINUTE, 100),
        prompt(NEXT_DAY + 20 * MINUTE, 400),
        prompt(NEXT_DAY + 50 * MINUTE, 420),
        prompt(NEXT_DAY + 90 * MINUTE, 500),
    )
    fold = fold_of(telemetry)
    fold.run_once(LATER)
    assert tokens(telemetry) == 400
    retention_of(telemetry).run_once(MIDNIGHT + 31 * DAY + HOUR)
    assert points_in(telemetry) == 3
    assert read_horizon(telemetry, ENGINES) == NEXT_DAY + HOUR
    store_points(telemetry, prompt(NEXT_DAY + 20 * MINUTE + timedelta(seconds=30), 410))
    assert fold_of(telemetry).run_once(LATER) == []
    assert tokens(telemetry, NEXT_DAY + 20 * MINUTE, NEXT_DAY + 21 * MINUTE) == 300
    # 420 -> 500 in 1:30 becomes 420 -> 450 in 1:10 and 450 -> 500 in 1:30.
    store_points(telemetry, prompt(NEXT_DAY + 70 * MINUTE, 450))
    late, following = NEXT_DAY + 70 * MINUTE, NEXT_DAY + 90 * MINUTE
    assert fold_of(telemetry).run_once(LATER) == [late, following]
    assert [tokens(telemetry, at, at + MINUTE) for at in (late, following)] == [30, 50]
    assert tokens(telemetry) == 400


def store_twice(store: TelemetryStore, *rows: Row) -> None:
    """Points of the project `default`, and the same of `staging`."""
    store_points(store, *rows)
    for table in ("metric_series", "metric_points"):
        store.execute(f"INSERT INTO {table} SELECT * REPLACE ('staging' AS project) FROM {table}")


def test_minutes_of_a_day_that_lost_one_project_are_closed_too(telemetry: TelemetryStore) -> None:
    store_twice(telemetry, prompt(NOON, 100), prompt(NOON + timedelta(seconds=15), 130))
    fold_of(telemetry).run_once(LATER)
    assert tokens(telemetry) == 60
    retention_of(telemetry, metric_points=100, projects={"staging": {"metric_points": 7}}).run_once(LATER)
    assert points_in(telemetry) == 2
    assert fold_of(telemetry).run_once(LATER) == []
    assert tokens(telemetry) == 60


def test_before_the_horizon_whole_minutes_are_known_and_nothing_is_made_of_what_is_left(
    telemetry: TelemetryStore,
) -> None:
    seconds = timedelta(seconds=1)
    store_twice(telemetry, *[prompt(NOON + s * seconds, 100 + s) for s in range(0, 120, 15)])
    fold_of(telemetry).run_once(LATER)
    cut = (NOON + 30 * seconds, NOON + 2 * MINUTE)
    # 45 - 15 in what is left of the first minute, 105 - 45 in the second, of two projects.
    assert tokens(telemetry, *cut) == 2 * (30 + 60)
    assert tokens(telemetry, *cut, step=15) == 2 * (30 + 60)
    retention_of(telemetry, metric_points=100, projects={"staging": {"metric_points": 7}}).run_once(LATER)
    assert tokens(telemetry, *cut) == 2 * 60
    assert tokens(telemetry, *cut, step=60) == 2 * 60
    assert tokens(telemetry, *cut, step=15) is None


def test_a_newer_catalogue_leaves_closed_minutes_and_is_waited_for_in_the_others(telemetry: TelemetryStore) -> None:
    older = "ALTER TABLE folded_engine_minutes UPDATE catalogue = 0 WHERE 1 SETTINGS mutations_sync = 2"
    store_points(telemetry, prompt(NOON, 100), prompt(NOON + timedelta(seconds=15), 130))
    fold_of(telemetry).run_once(LATER)
    telemetry.execute(older)
    retention = retention_of(telemetry)
    waiting, _of_series = retention.run_once(LATER).waiting
    assert waiting.reason == "the fold has 1 minutes of it to do for engine_1m"
    assert fold_of(telemetry).run_once(LATER) == [NOON]
    assert retention.run_once(LATER).waiting == ()
    telemetry.execute(older)
    assert fold_of(telemetry).run_once(LATER) == []
    assert tokens(telemetry) == 30


def test_roll_ups_go_by_whole_months_and_leave_what_is_unknown(telemetry: TelemetryStore) -> None:
    december = NOON + 30 * DAY
    for day in (NOON, december):
        store_points(telemetry, prompt(day, 100), prompt(day + timedelta(seconds=15), 130))
    fold = fold_of(telemetry)
    fold.run_once(LATER)
    retention = retention_of(telemetry, rollups=365)
    retention.run_once(datetime(2027, 11, 30, 23, tzinfo=NOON.tzinfo))
    assert (points_in(telemetry), tokens(telemetry)) == (0, 30)
    run = retention.run_once(datetime(2027, 12, 1, tzinfo=NOON.tzinfo))
    assert [(each.table, each.partition.id) for each in run.removed] == [
        ("folded_engine_minutes", "202611"),
        ("engine_1m", "202611"),
    ]
    assert tokens(telemetry) is None
    assert tokens(telemetry, december, december + DAY) == 30
    assert read_horizon(telemetry, ENGINES) == december.replace(hour=0) + DAY + HOUR
    assert fold_of(telemetry).run_once(LATER) == []


def test_a_horizon_is_one_roll_ups_own(telemetry: TelemetryStore) -> None:
    advance_horizon(telemetry, ENGINES, NOON)
    assert telemetry.rows("SELECT count() AS n FROM folded_minutes")[0]["n"] == 0
    assert read_horizon(telemetry, ENGINES) == NOON


def versions(store: TelemetryStore, table: str) -> int:
    return int(store.rows(f"SELECT count(DISTINCT version) AS n FROM {table} WHERE version > 0 AND minute > 0")[0]["n"])


def test_replaced_versions_are_deleted_once_no_reader_can_be_at_them(telemetry: TelemetryStore) -> None:
    fold = fold_of(telemetry)
    for number in range(3):
        store_points(telemetry, prompt(NOON + timedelta(seconds=15 * number), 100 + number))
        fold.run_once(NOON + HOUR + number * MINUTE)
    assert (versions(telemetry, "engine_1m"), versions(telemetry, "folded_engine_minutes")) == (3, 3)
    # An hour after the second of the three, only the first has been replaced for so long.
    assert prune_versions(telemetry, ENGINES.grain, NOON + 2 * HOUR + MINUTE) == 1
    assert prune_versions(telemetry, ENGINES.grain, NOON + 3 * HOUR) == 1
    assert (versions(telemetry, "engine_1m"), versions(telemetry, "folded_engine_minutes")) == (1, 1)
    assert tokens(telemetry) == 2


@pytest.mark.parametrize("days", [{"metric_points": 800}, {"projects": {"audited": {"metric_points": "forever"}}}])
def test_roll_ups_that_would_go_before_their_points_are_refused(days: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"rollups = 730 days is shorter than metric_points = (800|forever)"):
        RetentionSettings.model_validate(days)
