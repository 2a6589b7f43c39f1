"""Spans go, their usage stays: what the fold and the readers know of days that retention has dropped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from economics.answers import Window
from economics.fold import Fold
from economics.grains import MINUTES, Folded, Grain
from economics.horizon import advance_horizon, first_known, guards, in_whole_minutes, read_horizon
from economics.ledger import read_folded, read_state, read_usage
from economics.report import Reports
from economics.times import sql_minute
from economics.usage_rollup import UsageRollUp
from economics.versions import prune_versions
from settings import RetentionSettings
from store.retention import Retention
from store.telemetry import TelemetryStore
from tests.economics.spans import NOON, span, store_spans

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MIDNIGHT = NOON.replace(hour=0)
LATER = NOON + 40 * DAY
BANDS = (0,)
USAGE = UsageRollUp(BANDS)
POLICY = RetentionSettings(spans=30)


def fold_of(store: TelemetryStore) -> Fold:
    return Fold(store, USAGE, timedelta(seconds=10))


def retention_of(store: TelemetryStore, policy: RetentionSettings = POLICY) -> Retention:
    return Retention(store, policy, guards(store, [USAGE]))


def output(store: TelemetryStore, start: datetime = MIDNIGHT, end: datetime = MIDNIGHT + 2 * DAY) -> int:
    return sum(row.output_tokens for row in read_usage(store, start, end, BANDS))


def spans_in(store: TelemetryStore) -> int:
    return int(store.rows("SELECT count() AS n FROM spans")[0]["n"])


def test_no_day_is_dropped_that_is_not_rolled_up(telemetry: TelemetryStore) -> None:
    fold = fold_of(telemetry)
    retention = retention_of(telemetry)
    store_spans(telemetry, span(NOON, n_out=5), span(NOON + 3 * MINUTE, n_out=2))
    run = retention.run_once(LATER)
    assert [left.reason for left in run.waiting] == ["the fold has 2 minutes of it to do for usage_1m"]
    assert spans_in(telemetry) == 2
    fold.run_once(LATER)
    assert retention.run_once(LATER).waiting == ()
    assert spans_in(telemetry) == 0
    assert output(telemetry) == 7


def test_a_later_day_does_not_go_before_an_earlier_one_that_waits(telemetry: TelemetryStore) -> None:
    fold = fold_of(telemetry)
    store_spans(telemetry, span(NOON + DAY, n_out=5))
    fold.run_once(LATER)
    store_spans(telemetry, span(NOON, n_out=5))
    assert retention_of(telemetry).run_once(LATER).removed == ()


def test_a_late_span_of_a_dropped_day_leaves_its_minute_as_it_was_and_is_counted(telemetry: TelemetryStore) -> None:
    fold = Fold(telemetry, USAGE, timedelta(seconds=10))
    retention = retention_of(telemetry)
    store_spans(telemetry, span(NOON, n_out=100))
    fold.run_once(LATER)
    retention.run_once(LATER)
    # More than the minute held before: it is not the number that tells.
    store_spans(telemetry, span(NOON, n_out=1), span(NOON, n_out=1), span(NOON + 5 * MINUTE, n_out=1))
    assert fold.run_once(LATER) == []
    assert output(telemetry) == 100
    assert fold_of(telemetry).run_once(LATER) == []  # nor does a process that starts anew
    assert output(telemetry) == 100
    assert [removal.rows for removal in retention.run_once(LATER).removed] == [3]


def test_spans_that_come_too_late_are_counted_once_each(telemetry: TelemetryStore) -> None:
    advance_horizon(telemetry, USAGE, NOON)
    fold = Fold(telemetry, USAGE, timedelta(seconds=10))
    fold._counted_until -= HOUR
    row = "INSERT INTO spans (end_time, ingested_at) SELECT toDateTime64(:end, 9, 'UTC'), now64(9) - INTERVAL 5 MINUTE"
    telemetry.execute(row, end=sql_minute(NOON - MINUTE))
    telemetry.execute(row, end=sql_minute(NOON + MINUTE))
    for _ in range(3):
        fold.run_once(LATER)
    assert fold.too_late == 1


def test_the_first_half_hour_of_the_next_day_is_closed_with_a_day(telemetry: TelemetryStore) -> None:
    """Its calls were judged with spans of the day that went: the client's, of which this server's is the mirror."""
    fold = fold_of(telemetry)
    before, after = MIDNIGHT + DAY - 5 * MINUTE, MIDNIGHT + DAY + 5 * MINUTE
    store_spans(telemetry, span(before, trace=7, n_out=10), span(after, seconds=900, trace=7, n_out=10, kind=2))
    fold.run_once(LATER)
    assert output(telemetry) == 10
    retention_of(telemetry).run_once(MIDNIGHT + 31 * DAY + HOUR)
    assert read_horizon(telemetry, USAGE) == MIDNIGHT + DAY + 30 * MINUTE
    store_spans(telemetry, span(after, trace=8, n_out=1))
    fold.run_once(LATER)
    assert output(telemetry) == 10


def test_a_day_waits_for_every_roll_up_that_is_made_of_it(telemetry: TelemetryStore) -> None:
    telemetry.execute("CREATE TABLE folded_otherwise AS folded_minutes")
    otherwise = UsageRollUp(BANDS, Grain(60, "usage_otherwise", "folded_otherwise", "minute"))
    store_spans(telemetry, span(NOON, n_out=5))
    fold_of(telemetry).run_once(LATER)
    retention = Retention(telemetry, POLICY, guards(telemetry, [USAGE, otherwise]))
    (waiting,) = retention.run_once(LATER).waiting
    assert waiting.reason == "the fold has 1 minutes of it to do for usage_otherwise"
    telemetry.execute("INSERT INTO folded_otherwise SELECT * FROM folded_minutes")
    assert retention.run_once(LATER).waiting == ()
    assert read_horizon(telemetry, USAGE) == read_horizon(telemetry, otherwise) == MIDNIGHT + DAY + 30 * MINUTE


def test_minutes_of_a_day_that_lost_one_project_are_closed_too(telemetry: TelemetryStore) -> None:
    fold = fold_of(telemetry)
    store_spans(telemetry, span(NOON, n_out=5))
    telemetry.execute(
        "INSERT INTO spans SELECT * REPLACE ('staging' AS project, toFixedString('otherspn', 8) AS span_id, "
        "toFixedString('othertraceothert', 16) AS trace_id) FROM spans"
    )
    fold.run_once(LATER)
    assert output(telemetry) == 10
    policy = RetentionSettings.model_validate({"spans": 100, "projects": {"staging": {"spans": 7}}})
    retention_of(telemetry, policy).run_once(LATER)
    assert spans_in(telemetry) == 1
    assert fold_of(telemetry).run_once(LATER) == []
    assert output(telemetry) == 10


def test_a_minute_that_is_closed_while_it_is_folded_is_not_published(
    telemetry: TelemetryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = fold_of(telemetry)
    store_spans(telemetry, span(NOON, n_out=100), span(NOON + 2 * DAY, n_out=10))
    fold.run_once(LATER)
    store_spans(telemetry, span(NOON, n_out=1), span(NOON + 2 * DAY, n_out=1))
    write = UsageRollUp.write

    def overtaken(rollup: UsageRollUp, store: TelemetryStore, held: Mapping[datetime, int], version: int) -> None:
        """Another process, which has not seen the late span, removes the day before its minute is summed."""
        advance_horizon(store, USAGE, MIDNIGHT + DAY)
        store.alter("spans", "DROP PARTITION ID '20261101'")
        write(rollup, store, held, version)

    monkeypatch.setattr(UsageRollUp, "write", overtaken)
    assert fold.run_once(LATER) == [NOON + 2 * DAY]
    assert output(telemetry) == 100
    assert output(telemetry, NOON + 2 * DAY, NOON + 3 * DAY) == 11
    assert fold.waiting == 0


def test_before_the_horizon_parts_of_minutes_are_gaps_and_whole_minutes_are_known(telemetry: TelemetryStore) -> None:
    fold = fold_of(telemetry)
    store_spans(telemetry, span(NOON + timedelta(seconds=5), n_out=120))
    fold.run_once(LATER)
    window = Window(NOON, NOON + 2 * MINUTE)
    reports = Reports(telemetry, ())
    (fine,) = reports.throughput(window, timedelta(seconds=10))
    assert [point.tps_output for point in fine.points] == [12.0, *[0.0] * 5, *[None] * 6]
    retention_of(telemetry).run_once(LATER)
    (fine,) = reports.throughput(window, timedelta(seconds=10))
    assert {point.tps_output for point in fine.points} == {None}
    (coarse,) = reports.throughput(window, MINUTE)
    assert [point.tps_output for point in coarse.points] == [2.0, None]


def test_a_summary_of_dropped_days_is_over_the_whole_minutes_that_are_kept(telemetry: TelemetryStore) -> None:
    fold = fold_of(telemetry)
    store_spans(telemetry, span(NOON + timedelta(seconds=5), n_out=60), span(NOON + MINUTE, n_out=60))
    fold.run_once(LATER)
    retention_of(telemetry).run_once(LATER)
    found = Reports(telemetry, ()).summary(Window(NOON + timedelta(seconds=30), NOON + 3 * MINUTE))
    assert found.window == Window(NOON + MINUTE, NOON + 3 * MINUTE)
    assert found.quantities.tps.output == 0.5


def test_edges_after_the_horizon_stay_where_they_are() -> None:
    window = Window(NOON + timedelta(seconds=30), NOON + timedelta(seconds=90))
    assert in_whole_minutes(window, NOON) == window
    assert in_whole_minutes(window, NOON + MINUTE) == Window(NOON + MINUTE, window.end)


def test_the_first_that_is_known_of_is_remembered_when_its_spans_are_gone(telemetry: TelemetryStore) -> None:
    assert first_known(telemetry) is None
    fold = fold_of(telemetry)
    seconds = timedelta(seconds=5)
    store_spans(telemetry, span(NOON + seconds, n_out=1), span(LATER - HOUR, n_out=1))
    fold.run_once(LATER)
    assert first_known(telemetry) == NOON + seconds
    retention_of(telemetry).run_once(LATER)
    assert first_known(telemetry) == NOON


def test_roll_ups_go_by_whole_months_and_leave_gaps_not_zeros(telemetry: TelemetryStore) -> None:
    fold = fold_of(telemetry)
    store_spans(telemetry, span(NOON, n_out=60), span(NOON + 30 * DAY, n_out=60))  # 1 November and 1 December
    fold.run_once(LATER + 400 * DAY)
    retention = retention_of(telemetry, RetentionSettings(spans=30, rollups=365))
    retention.run_once(datetime(2027, 11, 30, 23, tzinfo=NOON.tzinfo))
    assert output(telemetry) == 60
    run = retention.run_once(datetime(2027, 12, 1, tzinfo=NOON.tzinfo))
    assert [(each.table, each.partition.id) for each in run.removed] == [
        ("folded_minutes", "202611"),
        ("usage_1m", "202611"),
    ]
    (series,) = Reports(telemetry, ()).throughput(Window(NOON, NOON + MINUTE), MINUTE)
    assert [point.tps_output for point in series.points] == [None]
    assert output(telemetry, NOON + 30 * DAY, NOON + 31 * DAY) == 60
    assert read_horizon(telemetry, USAGE) > NOON  # the mark outlives what it closed
    assert fold_of(telemetry).run_once(LATER + 400 * DAY) == []


def versions(store: TelemetryStore, table: str) -> int:
    return int(store.rows(f"SELECT count(DISTINCT version) AS n FROM {table} WHERE version > 0 AND minute > 0")[0]["n"])


def fold_three_times(store: TelemetryStore) -> Fold:
    fold = fold_of(store)
    for number in range(3):
        store_spans(store, span(NOON, n_out=1))
        fold.run_once(NOON + HOUR + number * MINUTE)
    return fold


def test_replaced_versions_are_deleted_once_no_reader_can_be_at_them(telemetry: TelemetryStore) -> None:
    fold_three_times(telemetry)
    assert (versions(telemetry, "usage_1m"), versions(telemetry, "folded_minutes")) == (3, 3)
    # An hour after the second of the three, only the first has been replaced for so long.
    assert prune_versions(telemetry, MINUTES, NOON + 2 * HOUR + MINUTE) == 1
    assert output(telemetry) == 3
    assert prune_versions(telemetry, MINUTES, NOON + 3 * HOUR) == 1
    assert (versions(telemetry, "usage_1m"), versions(telemetry, "folded_minutes")) == (1, 1)
    assert output(telemetry) == 3
    assert prune_versions(telemetry, MINUTES, NOON + 3 * HOUR) == 0


def test_a_reader_that_runs_while_versions_are_deleted_sees_what_it_began_with(
    telemetry: TelemetryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold_three_times(telemetry)
    newest = read_folded(telemetry)
    store_spans(telemetry, span(NOON, n_out=1))

    def begun(store: TelemetryStore) -> tuple[list[Folded], datetime]:
        """Between the reader's two questions a fourth version is published, and the old ones are deleted."""
        if versions(telemetry, "folded_minutes") == 3:
            fold_of(telemetry).run_once(NOON + 3 * HOUR)
            assert prune_versions(telemetry, MINUTES, NOON + 3 * HOUR + MINUTE) == 2
        return newest

    monkeypatch.setattr("economics.ledger.read_folded", begun)
    assert output(telemetry) == 3


def test_rows_that_a_crash_left_unpublished_are_deleted(telemetry: TelemetryStore) -> None:
    fold_three_times(telemetry)
    telemetry.execute("INSERT INTO usage_1m SELECT * REPLACE (7 AS version) FROM usage_1m LIMIT 1")
    assert prune_versions(telemetry, MINUTES, NOON + 3 * HOUR) == 3
    assert versions(telemetry, "usage_1m") == 1


def test_the_horizon_moves_forward_only(telemetry: TelemetryStore) -> None:
    assert read_horizon(telemetry, USAGE).year == 1970
    advance_horizon(telemetry, USAGE, NOON)
    advance_horizon(telemetry, USAGE, NOON - DAY)
    assert read_horizon(telemetry, USAGE) == NOON
    assert read_state(telemetry)[0] == 0  # no version was published by it
