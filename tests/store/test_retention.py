"""What is kept, and for how long: policies of tables and projects, on a real engine with a clock of the test's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from settings import ProjectRetention, RetentionSettings, Settings
from store import retention as module
from store.engine_logs import bound_engine_logs, engine_logs
from store.errors import StoreError
from store.footprint import bytes_on_disk, held
from store.kept import KEPT, Removal, span_of
from store.retention import Retention
from store.telemetry import TelemetryStore
from tests.store.rows import add_rows, days_of

NOW = datetime(2026, 11, 24, 14, 3, tzinfo=UTC)
DAY = timedelta(days=1)
FACTS = ("spans", "metric_points", "logs", "observations")


def keeping(**days: object) -> RetentionSettings:
    return RetentionSettings.model_validate(days)


def test_a_row_is_kept_at_least_as_many_days_as_the_policy_says(telemetry: TelemetryStore) -> None:
    # Midnight of the 24th less 2 days is the 22nd: the 21st has ended by then, the 22nd has not.
    for day in (20, 21, 22, 23, 24):
        add_rows(telemetry, "logs", datetime(2026, 11, day, 23, 59, 59, tzinfo=UTC))
    Retention(telemetry, keeping(logs=2)).run_once(NOW)
    assert days_of(telemetry, "logs") == ["2026-11-22", "2026-11-23", "2026-11-24"]


@pytest.mark.parametrize("table", FACTS)
def test_each_table_has_a_policy_of_its_own(telemetry: TelemetryStore, table: str) -> None:
    for each in FACTS:
        add_rows(telemetry, each, NOW - 10 * DAY)
    policy = dict.fromkeys(FACTS, 20) | {table: 5}
    run = Retention(telemetry, keeping(**policy)).run_once(NOW)
    assert [removal.table for removal in run.removed] == [table]
    assert [each for each in FACTS if not days_of(telemetry, each)] == [table]


def test_series_go_with_the_days_of_their_points(telemetry: TelemetryStore) -> None:
    for table in ("metric_points", "metric_series"):
        for days in (10, 2):
            add_rows(telemetry, table, NOW - days * DAY)
            add_rows(telemetry, table, NOW - days * DAY, "staging")
    policy = keeping(metric_points=5, projects={"staging": {"metric_points": 20}})
    run = Retention(telemetry, policy).run_once(NOW)
    assert [removal.table for removal in run.removed] == ["metric_points", "metric_series"]
    for table in ("metric_points", "metric_series"):
        assert days_of(telemetry, table) == ["2026-11-22"]
        assert days_of(telemetry, table, "staging") == ["2026-11-14", "2026-11-22"]


def test_for_ever_is_for_ever(telemetry: TelemetryStore) -> None:
    add_rows(telemetry, "logs", datetime(2001, 1, 1, tzinfo=UTC))
    assert Retention(telemetry, keeping(logs="forever")).run_once(NOW).removed == ()
    assert days_of(telemetry, "logs") == ["2001-01-01"]


def test_a_project_may_keep_less_and_the_others_lose_nothing(telemetry: TelemetryStore) -> None:
    for project in ("default", "staging", "it's \\ quoted"):
        add_rows(telemetry, "logs", NOW - 10 * DAY, project, rows=3)
        add_rows(telemetry, "logs", NOW - 2 * DAY, project)
    policy = keeping(logs=30, projects={"staging": {"logs": 7}, "it's \\ quoted": {"logs": 7}})
    run = Retention(telemetry, policy).run_once(NOW)
    assert [(removal.projects, removal.rows) for removal in run.removed] == [(("it's \\ quoted", "staging"), 6)]
    assert days_of(telemetry, "logs", "default") == ["2026-11-14", "2026-11-22"]
    assert days_of(telemetry, "logs", "staging") == ["2026-11-22"]
    assert days_of(telemetry, "logs", "it's \\ quoted") == ["2026-11-22"]


def test_a_project_may_keep_more_and_the_day_stays_for_it_alone(telemetry: TelemetryStore) -> None:
    for project in ("default", "audited"):
        add_rows(telemetry, "logs", NOW - 40 * DAY, project)
    Retention(telemetry, keeping(logs=30, projects={"audited": {"logs": "forever"}})).run_once(NOW)
    assert days_of(telemetry, "logs", "default") == []
    assert days_of(telemetry, "logs", "audited") == ["2026-10-15"]


def test_a_day_that_is_past_the_policy_of_all_who_are_in_it_is_dropped_whole(telemetry: TelemetryStore) -> None:
    add_rows(telemetry, "logs", NOW - 10 * DAY, "staging")
    run = Retention(telemetry, keeping(logs=30, projects={"staging": {"logs": 7}})).run_once(NOW)
    assert [removal.projects for removal in run.removed] == [None]


def test_a_project_that_sets_one_table_keeps_the_others_as_everybody(telemetry: TelemetryStore) -> None:
    policy = RetentionSettings(logs=30, spans=9, projects={"staging": ProjectRetention(spans=7)})
    assert (policy.days("spans", "staging"), policy.days("logs", "staging")) == (7, 30)
    assert (policy.days("spans", "other"), policy.days("spans")) == (9, 9)


def test_roll_ups_that_would_go_before_their_spans_are_refused() -> None:
    with pytest.raises(ValueError, match="rollups = 20 days is shorter than spans = 30"):
        keeping(spans=30, rollups=20)
    with pytest.raises(ValueError, match="shorter than spans = forever"):
        keeping(projects={"audited": {"spans": "forever"}})


def test_what_a_guard_holds_back_waits_and_says_why(telemetry: TelemetryStore) -> None:
    class Never:
        def waits_for(self, removal: Removal) -> str | None:
            return "not yet"

        def going(self, removal: Removal) -> None:
            raise AssertionError(removal)

    add_rows(telemetry, "spans", NOW - 50 * DAY)
    add_rows(telemetry, "logs", NOW - 50 * DAY)
    run = Retention(telemetry, keeping(), {"spans": Never()}).run_once(NOW)
    assert [(left.removal.table, left.reason) for left in run.waiting] == [("spans", "not yet")]
    assert [removal.table for removal in run.removed] == ["logs"]


def test_a_dry_run_tells_the_same_and_changes_nothing(telemetry: TelemetryStore) -> None:
    add_rows(telemetry, "logs", NOW - 50 * DAY, rows=4)
    retention = Retention(telemetry, keeping())
    assert [removal.rows for removal in retention.dry_run(NOW).removed] == [4]
    assert days_of(telemetry, "logs") == ["2026-10-05"]
    assert [removal.rows for removal in retention.run_once(NOW).removed] == [4]


def test_a_run_does_a_bounded_amount_and_the_next_goes_on(
    telemetry: TelemetryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_DROPS_A_RUN", 2)
    for days in (40, 41, 42):
        add_rows(telemetry, "logs", NOW - days * DAY)
    retention = Retention(telemetry, keeping())
    first = retention.run_once(NOW)
    assert [removal.partition.id for removal in first.removed] == ["20261013", "20261014"]
    assert [left.reason for left in first.waiting] == ["enough for one run; the next goes on"]
    assert [removal.partition.id for removal in retention.run_once(NOW).removed] == ["20261015"]


def test_one_failure_is_told_and_the_rest_is_done(telemetry: TelemetryStore) -> None:
    def broken(now: datetime) -> int:
        raise RuntimeError("the control store is away")

    add_rows(telemetry, "logs", NOW - 50 * DAY)
    telemetry.execute("DROP TABLE metric_points")
    retention = Retention(telemetry, keeping(), chores={"alert_events": broken, "others": lambda now: 3})
    with pytest.raises(StoreError, match="alert_events: the control store is away"):
        retention.run_once(NOW)
    assert retention.last is not None
    assert retention.last.chores["others"] == 3
    assert days_of(telemetry, "logs") == []


def test_months_end_where_months_end() -> None:
    assert span_of("202602") == (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    assert span_of("202612") == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert span_of("20261231") == (datetime(2026, 12, 31, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    assert span_of("197001") is None
    assert span_of("all") is None


def test_what_a_table_holds_is_told_by_project(telemetry: TelemetryStore) -> None:
    add_rows(telemetry, "logs", NOW - 3 * DAY, "a", rows=2)
    add_rows(telemetry, "logs", NOW, "a")
    logs = next(table for table in KEPT if table.name == "logs")
    (found,) = held(telemetry, logs)
    assert (found.project, found.rows, found.oldest, found.newest) == ("a", 3, NOW - 3 * DAY, NOW)
    assert bytes_on_disk(telemetry)["logs"].bytes > 0


def test_bytes_that_wait_to_be_removed_are_part_of_the_figure(telemetry: TelemetryStore) -> None:
    add_rows(telemetry, "logs", NOW)
    before = bytes_on_disk(telemetry)["logs"]
    telemetry.execute("ALTER TABLE logs DETACH PARTITION ID '20261124'")
    after = bytes_on_disk(telemetry)["logs"]
    assert after.waste_bytes > 0
    assert after.bytes >= before.bytes


def test_the_embedded_engine_keeps_no_log_of_its_own(telemetry: TelemetryStore) -> None:
    for _ in range(3):
        telemetry.rows("SELECT count() FROM logs")
    assert engine_logs(telemetry) == []
    assert bound_engine_logs(telemetry, 7) == 0


def test_defaults_are_days_that_are_written_down() -> None:
    kept = Settings().retention
    assert (kept.spans, kept.metric_points, kept.logs, kept.observations, kept.rollups) == (30, 30, 14, 90, 730)
    assert {table.policy for table in KEPT} <= set(RetentionSettings.model_fields)
