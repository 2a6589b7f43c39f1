"""Minutes of engine metrics: folded as often as late points ask for it, and never read twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from economics import rollup
from economics.catalogue import catalogue
from economics.engine_rollup import EngineRollUp
from economics.engines import EngineRow, read_engines
from economics.fold import Fold
from store.collectors import Watched
from store.telemetry import TelemetryStore
from tests.economics.points import NOON, Row, at, gauge, point, store_points

LATER = datetime.now(UTC)
MINUTE = timedelta(minutes=1)
FROM, TO = at(-600), at(7200)
PROMPT, RUNNING, TTFT = "vllm:prompt_tokens_total", "vllm:num_requests_running", "vllm:time_to_first_token_seconds"


def fold_of(store: TelemetryStore) -> Fold:
    return Fold(store, EngineRollUp(catalogue()), timedelta(seconds=10))


def read(store: TelemetryStore, start: datetime = FROM, end: datetime = TO, step: int | None = None) -> list[EngineRow]:
    return sorted(read_engines(store, catalogue(), start, end, step_seconds=step), key=repr)


def tokens(store: TelemetryStore, start: datetime = FROM, end: datetime = TO) -> float | None:
    known = [
        row.facts.value
        for row in read(store, start, end)
        if row.key.quantity == "tokens.input" and row.facts.value is not None
    ]
    return sum(known) if known else None


def prompt(seconds: float, value: int) -> Row:
    return point(at(seconds), PROMPT, value, labels={"model_name": "m"})


def test_a_folded_minute_says_what_its_points_say(telemetry: TelemetryStore) -> None:
    rows = [prompt(s, 10 * s) for s in range(0, 200, 15)]
    rows += [gauge(at(s), RUNNING, s / 15) for s in range(0, 200, 15)]
    rows += [
        point(at(s), TTFT, kind="histogram", count=s, total=s / 8, bounds=[0.1, 0.5], buckets=[s, 0, 0])
        for s in range(0, 200, 15)
    ]
    store_points(telemetry, *rows)
    raw = read(telemetry)
    fold = fold_of(telemetry)
    assert fold.run_once(LATER) == [at(60 * n) for n in range(4)]
    assert read(telemetry) == raw
    assert fold.run_once(LATER) == []
    assert fold_of(telemetry).run_once(LATER) == []
    assert tokens(telemetry) == 1950


def test_an_open_minute_is_read_from_points_and_a_closed_one_from_the_roll_up(telemetry: TelemetryStore) -> None:
    store_points(telemetry, *[prompt(s, 10 * s) for s in range(0, 91, 15)])
    assert fold_of(telemetry).run_once(at(75)) == [NOON]
    assert tokens(telemetry) == 900
    telemetry.execute("ALTER TABLE engine_1m DELETE WHERE 1 SETTINGS mutations_sync = 2")
    # What is left is the open minute: 45 -> 90.
    assert tokens(telemetry) == 450


def test_a_late_point_folds_its_minute_and_that_of_the_next_point_again(telemetry: TelemetryStore) -> None:
    fold = fold_of(telemetry)
    store_points(telemetry, prompt(0, 100), prompt(200, 400), prompt(260, 500))
    fold.run_once(LATER)
    assert tokens(telemetry, at(180), at(240)) == 300
    store_points(telemetry, prompt(70, 250))
    # 100 -> 250 in 12:01, 250 -> 400 in 12:03; 12:04 is as it was.
    assert fold.run_once(LATER) == [at(60), at(180)]
    assert [tokens(telemetry, at(s), at(s + 60)) for s in (60, 180, 240)] == [150, 150, 100]
    assert fold.run_once(LATER) == []


def test_a_late_point_is_seen_to_be_late_after_a_crash_between_two_minutes(telemetry: TelemetryStore) -> None:
    store_points(telemetry, prompt(0, 100), prompt(200, 400))
    fold_of(telemetry).run_once(LATER)
    store_points(telemetry, prompt(70, 250))
    interrupted = fold_of(telemetry)
    publish = interrupted._publish

    def once(minutes: list[datetime], closed_before: datetime) -> None:
        publish(minutes[:1], closed_before)
        raise RuntimeError("the process ends here")

    interrupted._publish = once  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        interrupted.run_once(LATER)
    fold_of(telemetry).run_once(LATER)
    assert [tokens(telemetry, at(s), at(s + 60)) for s in (60, 180)] == [150, 150]


def test_points_stored_twice_change_nothing(telemetry: TelemetryStore) -> None:
    rows = [prompt(0, 100), prompt(15, 130)]
    store_points(telemetry, *rows)
    fold = fold_of(telemetry)
    fold.run_once(LATER)
    store_points(telemetry, *rows, prompt(30, 135))
    assert fold.run_once(LATER) == [NOON]
    assert tokens(telemetry) == 35


def test_folding_after_a_crash_between_rows_and_mark_changes_nothing(telemetry: TelemetryStore) -> None:
    store_points(telemetry, prompt(0, 100), prompt(15, 130))
    fold_of(telemetry).run_once(LATER)
    telemetry.execute("ALTER TABLE folded_engine_minutes DELETE WHERE 1 SETTINGS mutations_sync = 2")
    assert tokens(telemetry) == 30
    fold_of(telemetry).run_once(LATER)
    assert tokens(telemetry) == 30


def test_a_newer_catalogue_folds_everything_again(telemetry: TelemetryStore) -> None:
    store_points(telemetry, prompt(0, 100), prompt(15, 130))
    fold_of(telemetry).run_once(LATER)
    telemetry.execute("ALTER TABLE folded_engine_minutes UPDATE catalogue = 0 WHERE 1 SETTINGS mutations_sync = 2")
    assert fold_of(telemetry).run_once(LATER) == [NOON]


def test_a_silent_minute_is_known_to_be_silent_and_no_zero(telemetry: TelemetryStore) -> None:
    watched = Watched(NOON - 2 * MINUTE, NOON + MINUTE)
    assert fold_of(telemetry).run_once(NOON + timedelta(seconds=15), watched) == [NOON - 2 * MINUTE, NOON - MINUTE]
    assert read(telemetry) == []
    assert tokens(telemetry) is None


def test_more_points_than_memory_holds_are_folded_piece_by_piece(
    telemetry: TelemetryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_points(telemetry, *[prompt(s, 10 * s) for s in range(0, 600, 15)])
    whole = read(telemetry)
    monkeypatch.setattr(rollup, "MOST_POINTS_AT_ONCE", 8)
    assert read(telemetry) == whole
    fold_of(telemetry).run_once(LATER)
    assert read(telemetry) == whole


@pytest.mark.parametrize("step", [15, 60, 300])
def test_buckets_of_any_length_hold_the_whole(telemetry: TelemetryStore, step: int) -> None:
    store_points(telemetry, *[prompt(s, 10 * s) for s in range(0, 600, 15)])
    fold_of(telemetry).run_once(at(400))
    rows = read(telemetry, step=step)
    assert sum(row.facts.value or 0 for row in rows if row.key.quantity == "tokens.input") == 5850
    assert all(row.key.bucket is not None and row.key.bucket.timestamp() % step == 0 for row in rows)


# Up to three processes of one engine: when each restarts, and by how much it grows from scrape to scrape.
RUNS = st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=8), min_size=1, max_size=3)
INTERVALS = st.sampled_from([5, 15, 30, 60, 90])


def counted(runs: list[list[int]], interval: int, with_start: bool) -> tuple[list[Row], list[tuple[float, int]]]:
    """Points of a counter that restarts at each run, and what each of them adds."""
    rows, truth = [], []
    second: float = 0
    for run in runs:
        total, began = 0, at(second - interval / 2)
        for growth in run:
            total += growth
            rows.append(point(at(second), PROMPT, total, start=began if with_start else None))
            truth.append((second, growth))
            second += interval
    return rows, truth


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=RUNS, interval=INTERVALS, cut=st.integers(-30, 2200), order=st.randoms(use_true_random=False))
def test_totals_add_up_over_any_cut_folded_or_not_whatever_the_order_of_arrival(
    telemetry: TelemetryStore, runs: list[list[int]], interval: int, cut: int, order: Random
) -> None:
    for table in ("metric_points", "engine_1m", "folded_engine_minutes"):
        telemetry.execute(f"TRUNCATE TABLE {table}")
    rows, truth = counted(runs, interval, with_start=True)
    whole = float(sum(growth for _, growth in truth))
    order.shuffle(rows)
    half = max(1, len(rows) // 2)
    fold = fold_of(telemetry)
    store_points(telemetry, *rows[:half])
    fold.run_once(LATER)
    if rows[half:]:
        store_points(telemetry, *rows[half:])
    fold.run_once(LATER)
    assert tokens(telemetry) == whole
    assert fold.run_once(LATER) == []
    before = sum(growth for second, growth in truth if second < cut)
    assert (tokens(telemetry, FROM, at(cut)) or 0) == before
    assert (tokens(telemetry, at(cut), TO) or 0) == whole - before
    folded = read(telemetry)
    telemetry.execute("TRUNCATE TABLE folded_engine_minutes")
    assert read(telemetry) == folded


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs=RUNS, interval=INTERVALS)
def test_without_start_times_a_restart_is_seen_where_the_value_falls(
    telemetry: TelemetryStore, runs: list[list[int]], interval: int
) -> None:
    telemetry.execute("TRUNCATE TABLE metric_points")
    rows, _ = counted(runs, interval, with_start=False)
    store_points(telemetry, *rows)
    values = [int(row["int_value"]) for row in rows]
    pairs = list(pairwise(values))
    expected = sum(after - before if after >= before else after for before, after in pairs)
    assert tokens(telemetry) == (float(expected) if pairs else None)
