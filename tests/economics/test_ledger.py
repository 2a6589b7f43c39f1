"""Every token is counted once: from raw spans, from the roll-up, and after late data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from economics.fold import Fold
from economics.latency import read_latency
from economics.ledger import Usage, read_usage, usage_in
from economics.usage_rollup import UsageRollUp
from store.collectors import Watched
from store.lease import LeaseLostError
from store.telemetry import TelemetryStore
from tests.economics.spans import NOON, SERVER, span, store_spans

pytestmark = pytest.mark.long

BANDS = (200_000,)
MINUTE = timedelta(minutes=1)
FROM, TO = NOON - 5 * MINUTE, NOON + 5 * MINUTE
LATER = datetime.now(UTC)


def fold_of(store: TelemetryStore) -> Fold:
    return Fold(store, UsageRollUp(BANDS), timedelta(seconds=10))


def totals(store: TelemetryStore) -> tuple[int, int, int]:
    rows = read_usage(store, FROM, TO, BANDS)
    return sum(r.calls for r in rows), sum(r.input_tokens for r in rows), sum(r.output_tokens for r in rows)


def both_ways(store: TelemetryStore) -> tuple[int, int, int]:
    """The totals from raw spans, which must be those from the roll-up."""
    raw = totals(store)
    fold_of(store).run_once(LATER)
    assert totals(store) == raw
    return raw


def test_calls_and_tokens_add_up(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(n_in=100, n_out=10), span(NOON + MINUTE, n_in=50, n_out=5), span(name="other"))
    assert both_ways(telemetry) == (2, 150, 15)


def test_a_span_stored_twice_counts_once(telemetry: TelemetryStore) -> None:
    twice = span(n_in=100, n_out=10)
    store_spans(telemetry, twice)
    store_spans(telemetry, twice, span(n_in=1, n_out=1))
    assert both_ways(telemetry) == (2, 101, 11)


def test_one_response_counts_once_in_a_trace_and_the_span_with_a_pipeline_is_kept(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        span(trace=7, n_in=100, n_out=10, response_id="r1"),
        span(trace=7, n_in=100, n_out=10, response_id="r1", pipeline="rag"),
        span(trace=7, n_in=100, n_out=10, response_id="r2"),
    )
    assert both_ways(telemetry) == (2, 200, 20)
    assert {row.pipeline for row in read_usage(telemetry, FROM, TO, BANDS)} == {"rag", ""}


def below(parent: int) -> dict[str, Any]:
    return {"trace": 7, "parent_span_id": parent.to_bytes(8, "big")}


def test_a_stage_told_of_two_models_whose_clients_are_instrumented_counts_once(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        span(trace=7, identity=1, scope_name="andon", name="answer", operation="chat", n_in=110, n_out=70),
        span(
            **below(1),
            scope_name="andon",
            name="embeddings small-1",
            operation="embeddings",
            request_model="small-1",
            n_in=6,
        ),
        span(**below(1), scope_name="client", name="chat gpt", operation="chat", n_in=110, n_out=70),
        span(**below(1), scope_name="client", name="embeddings", operation="embeddings", n_in=6),
    )
    assert both_ways(telemetry) == (2, 116, 70)


def test_a_stage_told_of_one_of_two_instrumented_clients_counts_once(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        span(trace=7, identity=1, scope_name="andon", name="answer", operation="chat", n_in=110, n_out=70),
        span(**below(1), scope_name="client", operation="chat", n_in=110, n_out=70),
        span(**below(1), scope_name="client", operation="embeddings", n_in=6),
    )
    assert both_ways(telemetry) == (2, 116, 70)


def test_what_only_a_stage_tells_beside_an_instrumented_client_counts_too(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        span(trace=7, identity=1, scope_name="andon", name="answer", operation="chat", n_in=110, n_out=70),
        span(**below(1), scope_name="andon", name="rerank", operation="chat", n_in=6, n_out=1),
        span(**below(1), scope_name="client", operation="chat", n_in=6, n_out=1),
    )
    # The stage `rerank` called something else that used as much; its name is not that of a usage span.
    assert both_ways(telemetry) == (3, 122, 72)


def test_two_equal_calls_that_are_instrumented_count_twice(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        span(**below(1), scope_name="client", operation="embeddings", n_in=6),
        span(**below(1), scope_name="client", operation="embeddings", n_in=6),
    )
    assert both_ways(telemetry) == (2, 12, 0)


def test_a_server_span_is_a_mirror_of_the_client_span_in_its_trace(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        span(trace=7, n_in=100, n_out=10),
        span(trace=7, n_in=100, n_out=10, kind=SERVER, name="llm_request"),
    )
    assert both_ways(telemetry) == (1, 100, 10)


def test_a_server_span_counts_when_no_client_span_is_there(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(n_in=100, n_out=10, kind=SERVER, name="llm_request"))
    assert both_ways(telemetry) == (1, 100, 10)
    assert [row.vantage for row in read_usage(telemetry, FROM, TO, BANDS)] == ["server"]


def test_an_agents_total_counts_only_when_nothing_below_it_does(telemetry: TelemetryStore) -> None:
    agent = {"operation": "invoke_agent", "usage_role": "rollup"}
    store_spans(telemetry, span(trace=7, n_in=100, n_out=10, **agent), span(trace=7, n_in=100, n_out=10))
    store_spans(telemetry, span(trace=8, n_in=30, n_out=3, **agent))
    assert both_ways(telemetry) == (2, 130, 13)


def test_a_span_that_holds_the_sum_of_its_children_is_their_total(telemetry: TelemetryStore) -> None:
    """Tokens recorded by hand around calls that an instrumentation records as well."""
    store_spans(
        telemetry,
        span(NOON + MINUTE, seconds=70, trace=7, identity=70, n_in=100, n_out=10, stage="generate"),
        span(trace=7, n_in=60, n_out=4, parent_span_id=(70).to_bytes(8, "big"), response_id="r1"),
        span(trace=7, n_in=40, n_out=6, parent_span_id=(70).to_bytes(8, "big")),
    )
    assert both_ways(telemetry) == (2, 100, 10)


def test_a_child_call_of_another_model_adds_to_its_parent(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        span(trace=7, identity=70, n_in=100, n_out=10, request_model="a"),
        span(trace=7, n_in=60, n_out=4, request_model="b", parent_span_id=(70).to_bytes(8, "big")),
    )
    assert both_ways(telemetry) == (2, 160, 14)


def test_of_nested_totals_the_innermost_counts(telemetry: TelemetryStore) -> None:
    total = {"operation": "invoke_agent", "usage_role": "rollup", "n_in": 100, "n_out": 10, "trace": 7}
    store_spans(telemetry, span(identity=70, **total), span(parent_span_id=(70).to_bytes(8, "big"), **total))
    assert both_ways(telemetry) == (1, 100, 10)


def test_a_server_call_of_its_own_counts_beside_a_client_call_of_the_same_trace(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(trace=7, n_out=10), span(trace=7, n_out=1000, kind=SERVER))
    assert both_ways(telemetry) == (2, 0, 1010)


def test_a_server_span_below_a_client_span_is_its_mirror_whatever_it_counts(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        span(trace=7, identity=70, n_out=10),
        span(trace=7, n_out=11, kind=SERVER, parent_span_id=(70).to_bytes(8, "big")),
    )
    assert both_ways(telemetry) == (1, 0, 10)


@pytest.mark.parametrize("at_once", [True, False])
def test_one_response_on_both_sides_of_a_minute_counts_once(telemetry: TelemetryStore, at_once: bool) -> None:
    fold = fold_of(telemetry)
    store_spans(telemetry, span(NOON - timedelta(milliseconds=100), trace=7, n_out=50, response_id="r"))
    if not at_once:
        fold.run_once(LATER)
    store_spans(telemetry, span(NOON + timedelta(milliseconds=100), trace=7, n_out=50, response_id="r", pipeline="rag"))
    if at_once:
        assert totals(telemetry) == (1, 0, 50)
    fold.run_once(LATER)
    assert totals(telemetry) == (1, 0, 50)
    assert {row.pipeline for row in read_usage(telemetry, FROM, TO, BANDS)} == {"rag"}


def test_a_call_without_usage_is_counted_and_its_tokens_are_not_invented(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(operation="chat", status_code=2), span(n_in=1, n_out=1))
    rows = read_usage(telemetry, FROM, TO, BANDS)
    assert (sum(r.calls for r in rows), sum(r.calls_without_usage for r in rows)) == (2, 1)
    assert sum(r.errors for r in rows) == 1


def test_runs_of_a_pipeline_are_counted_apart_from_calls(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        span(name="rag", pipeline="rag", status_code=2),
        span(name="rag", pipeline="rag"),
        span(name="retrieve", pipeline="rag", stage="retrieve"),
        span(name="generate", pipeline="rag", stage="generate", n_out=4),
    )
    rows = read_usage(telemetry, FROM, TO, BANDS)
    assert (sum(r.runs for r in rows), sum(r.run_errors for r in rows), sum(r.calls for r in rows)) == (2, 1, 1)


def test_a_call_counts_in_the_minute_in_which_it_ends(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(NOON + timedelta(seconds=5), seconds=90, n_out=4))
    rows = read_usage(telemetry, FROM, TO, BANDS, step_seconds=60)
    assert [row.bucket for row in rows] == [NOON]


@pytest.mark.parametrize("step", [5, 60, 300])
def test_buckets_of_any_length_hold_the_whole(telemetry: TelemetryStore, step: int) -> None:
    store_spans(telemetry, *[span(NOON + timedelta(seconds=7 * i), n_in=2, n_out=1) for i in range(40)])
    fold_of(telemetry).run_once(LATER)
    rows = read_usage(telemetry, FROM, TO, BANDS, step_seconds=step)
    assert sum(row.output_tokens for row in rows) == 40
    assert all(row.bucket is not None and row.bucket.timestamp() % step == 0 for row in rows)


def test_a_window_that_cuts_through_folded_minutes_is_exact(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, *[span(NOON + timedelta(seconds=s), n_out=1) for s in range(180)])
    fold_of(telemetry).run_once(LATER)
    rows = read_usage(telemetry, NOON + timedelta(seconds=30), NOON + timedelta(seconds=145), BANDS)
    assert sum(row.output_tokens for row in rows) == 115


def test_the_tier_of_each_request_is_kept(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(n_in=200_000, n_out=1), span(n_in=200_001, n_out=2))
    bands = {row.input_band: row.output_tokens for row in read_usage(telemetry, FROM, TO, BANDS)}
    assert bands == {0: 1, 200_000: 2}


def test_late_spans_are_folded_into_their_minute(telemetry: TelemetryStore) -> None:
    fold = fold_of(telemetry)
    store_spans(telemetry, span(n_out=1))
    assert fold.run_once(LATER) == [NOON]
    assert fold.run_once(LATER) == []
    store_spans(telemetry, span(n_out=2))
    assert fold.run_once(LATER) == [NOON]
    assert totals(telemetry) == (2, 0, 3)


def test_a_span_that_becomes_visible_late_with_an_early_stamp_is_folded(telemetry: TelemetryStore) -> None:
    """A clock that was set back, or a second collector, stamps rows earlier than those already folded."""
    fold = fold_of(telemetry)
    store_spans(telemetry, span(n_out=1))
    fold.run_once(LATER)
    late = span(n_out=2)
    store_spans(telemetry, late)
    telemetry.alter(
        "spans",
        "UPDATE ingested_at = ingested_at - INTERVAL 5 SECOND WHERE output_tokens = 2 SETTINGS mutations_sync = 2",
    )
    assert fold.run_once(LATER) == [NOON]
    assert totals(telemetry) == (2, 0, 3)


def seen(since: datetime, before: datetime, *unknown: tuple[datetime, datetime]) -> Watched:
    return Watched(since, before, unknown)


def test_time_in_which_nobody_watched_is_a_gap_not_silence(telemetry: TelemetryStore) -> None:
    fold = fold_of(telemetry)
    assert fold.run_once(NOON + timedelta(seconds=15)) == []
    begun = NOON - 3 * MINUTE + timedelta(seconds=1)
    assert fold.run_once(NOON + timedelta(seconds=15), seen(begun, NOON)) == [NOON - 2 * MINUTE, NOON - MINUTE]
    later = NOON + 62 * MINUTE + timedelta(seconds=15)
    assert fold.run_once(later, seen(NOON + 61 * MINUTE, later)) == [NOON + 61 * MINUTE]


def test_minutes_whose_spans_wait_in_a_journal_are_not_silent(telemetry: TelemetryStore) -> None:
    fold, now = fold_of(telemetry), NOON + timedelta(seconds=20)
    waiting = NOON - MINUTE + timedelta(seconds=20)
    assert fold.run_once(now, seen(NOON - 2 * MINUTE, waiting)) == [NOON - 2 * MINUTE]
    assert fold.run_once(now, seen(NOON - 2 * MINUTE, now)) == [NOON - MINUTE]


def test_minutes_that_a_vanished_collector_may_hold_are_not_silent(telemetry: TelemetryStore) -> None:
    held = (NOON - 2 * MINUTE + timedelta(seconds=59), NOON - MINUTE + timedelta(seconds=1))
    now = NOON + timedelta(seconds=15)
    assert fold_of(telemetry).run_once(now, seen(NOON - 3 * MINUTE, now, held)) == [NOON - 3 * MINUTE]


def test_who_folded_earlier_and_wakes_late_changes_no_total(telemetry: TelemetryStore) -> None:
    first, second = fold_of(telemetry), fold_of(telemetry)
    token = first.least_token()
    store_spans(telemetry, span(trace=1, n_out=1))
    assert first.run_once(LATER, token=token) == [NOON]
    store_spans(telemetry, span(trace=2, n_out=10))
    assert second.run_once(LATER, token=token + 1) == [NOON]
    store_spans(telemetry, span(trace=3, n_out=100))
    assert first.run_once(LATER, token=token) == [NOON]  # it counts 111, but under the earlier token
    assert totals(telemetry) == (2, 0, 11)
    assert second.run_once(LATER, token=token + 1) == [NOON]
    assert totals(telemetry) == (3, 0, 111)


def test_a_fold_that_lost_its_lease_publishes_nothing(telemetry: TelemetryStore) -> None:
    def lost() -> None:
        raise LeaseLostError

    store_spans(telemetry, span(n_out=1))
    with pytest.raises(LeaseLostError):
        Fold(telemetry, UsageRollUp(BANDS), timedelta(seconds=10), confirm=lost).run_once(LATER)
    assert telemetry.rows("SELECT count() AS n FROM folded_minutes") == [{"n": 0}]
    assert totals(telemetry) == (1, 0, 1)


def test_what_older_versions_published_is_outranked(telemetry: TelemetryStore) -> None:
    microseconds = 1_795_000_000_000_000
    telemetry.execute(f"INSERT INTO folded_minutes (minute, version) VALUES ('2026-11-01 00:00:00', {microseconds})")
    fold = fold_of(telemetry)
    assert fold.least_token() << 32 > microseconds


def test_a_client_span_that_comes_late_turns_a_folded_server_span_into_its_mirror(telemetry: TelemetryStore) -> None:
    fold = fold_of(telemetry)
    store_spans(telemetry, span(trace=7, n_out=10, kind=SERVER))
    fold.run_once(LATER)
    assert totals(telemetry) == (1, 0, 10)
    store_spans(telemetry, span(NOON + MINUTE, seconds=70, trace=7, n_out=10))
    assert fold.run_once(LATER) == [NOON, NOON + MINUTE]
    assert totals(telemetry) == (1, 0, 10)
    assert fold.run_once(LATER) == []


def test_folding_again_after_a_crash_between_rows_and_mark_changes_nothing(telemetry: TelemetryStore) -> None:
    store_spans(telemetry, span(n_in=5, n_out=1))
    fold_of(telemetry).run_once(LATER)
    telemetry.alter("folded_minutes", "DELETE WHERE 1 SETTINGS mutations_sync = 2")
    assert totals(telemetry) == (1, 5, 1)
    fold_of(telemetry).run_once(LATER)
    assert totals(telemetry) == (1, 5, 1)


def test_an_open_minute_is_read_from_spans_and_a_silent_one_is_published_as_zero(telemetry: TelemetryStore) -> None:
    fold = fold_of(telemetry)
    store_spans(telemetry, span(NOON + timedelta(seconds=1), n_out=1))
    now = NOON + timedelta(seconds=65)
    assert fold.run_once(now, seen(NOON - 2 * MINUTE, now)) == [NOON - 2 * MINUTE, NOON - MINUTE]
    assert totals(telemetry)[0] == 1
    assert fold.run_once(NOON + timedelta(seconds=75)) == [NOON]


def test_latency_quantiles_come_from_calls_that_measured_them(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        *[span(seconds=s, n_out=1, time_to_first_token_seconds=s / 10, pipeline="rag") for s in (1.0, 2.0, 3.0)],
        span(seconds=9, n_out=1, pipeline="quick"),
    )
    for _ in range(2):
        found = read_latency(telemetry, usage_in(telemetry, FROM, TO, BANDS), [("pipeline",)])["pipeline",]
        assert found["rag",].duration_p50_seconds == pytest.approx(2.0)
        assert found["rag",].time_to_first_token_p50_seconds == pytest.approx(0.2)
        assert found["quick",].time_to_first_token_p50_seconds is None
        fold_of(telemetry).run_once(LATER)


def test_usage_names_what_it_is_about(telemetry: TelemetryStore) -> None:
    store_spans(
        telemetry,
        span(n_in=3, n_out=2, service="shop", provider="openai", request_model="gpt", response_model="gpt-5-1"),
    )
    (row,) = read_usage(telemetry, FROM, TO, BANDS)
    assert row == Usage(None, "shop", "", "", "openai", "gpt-5-1", "client", 0, 1, 0, 0, 0, 0, 3, 0, 0, 2, 0)


def test_one_trace_seen_in_two_projects_counts_in_each(telemetry: TelemetryStore) -> None:
    """Ids are no secret: what one project sends may not unseat what another has sent."""
    call = span(trace=7, identity=1, n_in=100, n_out=10, response_id="r1")
    server = span(**below(1), kind=SERVER, n_in=100, n_out=10)
    store_spans(telemetry, call, {**call, "project": "b"}, server)
    store_spans(telemetry, {**call, "project": "b"}, {**server, "project": "c"})
    assert both_ways(telemetry) == (3, 300, 30)
    of_project = {row.project: (row.vantage, row.output_tokens) for row in read_usage(telemetry, FROM, TO, BANDS)}
    assert of_project == {"default": ("client", 10), "b": ("client", 10), "c": ("server", 10)}


def test_late_spans_of_one_project_leave_the_minutes_of_another_alone(telemetry: TelemetryStore) -> None:
    fold = fold_of(telemetry)
    store_spans(telemetry, span(trace=7, n_in=100, n_out=10))
    fold.run_once(LATER)
    store_spans(telemetry, span(NOON + MINUTE, trace=7, n_in=1, n_out=1, project="b"))
    assert fold.run_once(LATER) == [NOON + MINUTE]
    assert totals(telemetry) == (2, 101, 11)
