"""Silent pipelines, models without a price and drift monitors that do not guard."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from captured_source import NOW

from checklist.context import CheckContext, Facts, MonitorFact, MonitorState, UnpricedModel
from checklist.model import CheckResult, Status
from checklist.observability import (
    ObservabilityCheck,
    Sightings,
    judge_monitors,
    judge_pipelines,
    judge_prices,
    remember,
)
from settings import ChecklistSettings, ObservabilitySettings
from store.telemetry import TelemetryStore

EXPECTING = ObservabilitySettings(expected_pipelines=("rag",))


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def states(seen: dict[str, datetime], settings: ObservabilitySettings) -> dict[str, Status | None]:
    rows = judge_pipelines(Sightings(seen, others=False), settings, NOW)
    return {row.label: row.status for row in rows}


@pytest.mark.parametrize(
    ("silent", "expected", "remembered"),
    [
        (119.0, Status.OK, Status.OK),
        (120.0, Status.WARN, Status.OK),
        (299.0, Status.WARN, Status.OK),
        (300.0, Status.FAIL, Status.WARN),
    ],
)
def test_silence_of_an_expected_pipeline_fails_of_another_warns(
    silent: float, expected: Status, remembered: Status
) -> None:
    found = states({"rag": ago(silent), "batch": ago(silent)}, EXPECTING)
    assert found == {"pipeline rag": expected, "pipeline batch": remembered}


def test_an_expected_pipeline_that_never_came_fails_while_others_report() -> None:
    assert states({"batch": ago(1)}, EXPECTING) == {"pipeline rag": Status.FAIL, "pipeline batch": Status.OK}


def test_nothing_instrumented_is_unknown_and_tells_the_three_lines() -> None:
    (row,) = judge_pipelines(Sightings({}, others=False), EXPECTING, NOW)
    assert row.status is Status.UNKNOWN
    assert all(line in row.remedy for line in ("import andon", "andon.init(", "@andon.pipeline("))


def test_spans_without_any_pipeline_warn() -> None:
    (row,) = judge_pipelines(Sightings({}, others=True), ObservabilitySettings(), NOW)
    assert row.status is Status.WARN


def test_an_expected_pipeline_is_remembered_for_ever_another_for_a_day() -> None:
    kept = {"last_span": {name: ago(86_401).isoformat() for name in ("rag", "batch")}}
    assert set(remember(kept, {}, EXPECTING, NOW).last_span) == {"rag"}


def test_the_latest_of_memory_and_look_counts() -> None:
    kept = {"last_span": {"rag": ago(10).isoformat()}}
    assert remember(kept, {"rag": ago(500)}, EXPECTING, NOW).last_span["rag"] == ago(10)
    assert remember(kept, {"rag": ago(5)}, EXPECTING, NOW).last_span["rag"] == ago(5)


def test_a_model_without_a_price_warns_with_its_tokens() -> None:
    (row,) = judge_prices([UnpricedModel("", "tiny-ngram", 1234)], EXPECTING)
    assert (row.status, row.label) == (Status.WARN, "price of tiny-ngram")
    assert "1234 tokens" in (row.value or "")
    assert [row.status for row in judge_prices([], EXPECTING)] == [Status.OK]


@pytest.mark.parametrize(
    ("state", "last_end", "status"),
    [
        (MonitorState.STABLE, 60.0, Status.OK),
        (MonitorState.STABLE, 180.0, Status.OK),
        (MonitorState.STABLE, 181.0, Status.UNKNOWN),
        (MonitorState.DRIFTING, 60.0, Status.WARN),
        (MonitorState.DRIFTING, 181.0, Status.UNKNOWN),
        (MonitorState.NO_DATA, 60.0, Status.UNKNOWN),
        (MonitorState.STABLE, None, Status.UNKNOWN),
        (MonitorState.LEARNING, None, Status.WARN),
    ],
)
def test_a_monitor_guards_only_while_it_decides(state: MonitorState, last_end: float | None, status: Status) -> None:
    fact = MonitorFact("length", state, None if last_end is None else ago(last_end), window_seconds=60)
    (row,) = judge_monitors([fact], EXPECTING, NOW)
    assert row.status is status


def spans(*rows: tuple[str, datetime]) -> pa.Table:
    count = len(rows)
    time = pa.timestamp("ns", "UTC")
    return pa.table(
        {
            "trace_id": pa.array([bytes(16)] * count, pa.binary(16)),
            "span_id": pa.array([index.to_bytes(8, "big") for index in range(count)], pa.binary(8)),
            "pipeline": [pipeline for pipeline, _ in rows],
            "start_time": pa.array([end - timedelta(seconds=1) for _, end in rows], time),
            "end_time": pa.array([end for _, end in rows], time),
            "ingested_at": pa.array([min(end, NOW) for _, end in rows], time),
        }
    )


def test_the_last_span_of_each_pipeline_comes_from_the_store(
    telemetry: TelemetryStore, telemetry_context: Callable[..., CheckContext]
) -> None:
    telemetry.insert("spans", spans(("rag", ago(900)), ("rag", ago(30)), ("batch", ago(301)), ("", ago(1))))
    context = telemetry_context("observability", ChecklistSettings(observability=EXPECTING))
    result = ObservabilityCheck().run(context, NOW)
    assert {row.label: (row.value, row.status) for row in result.evidence} == {
        "pipeline rag": ("last span 30 s ago", Status.OK),
        "pipeline batch": ("last span 5 min ago", Status.WARN),
    }


def test_a_clock_that_runs_ahead_does_not_hide_silence(
    telemetry: TelemetryStore, telemetry_context: Callable[..., CheckContext]
) -> None:
    telemetry.insert("spans", spans(("rag", NOW + timedelta(hours=1))))
    context = telemetry_context("observability", ChecklistSettings(observability=EXPECTING))
    result = ObservabilityCheck().run(context, NOW + timedelta(seconds=300))
    assert result.status is Status.FAIL
    assert result.summary == "pipeline rag: last span 5 min ago"


def test_a_pipeline_that_fell_silent_long_ago_is_still_known(
    telemetry: TelemetryStore, telemetry_context: Callable[..., CheckContext]
) -> None:
    telemetry.insert("spans", spans(("rag", NOW)))
    context = telemetry_context("observability", ChecklistSettings(observability=EXPECTING))

    def look(days: float) -> CheckResult:
        return ObservabilityCheck().run(context, NOW + timedelta(days=days))

    assert look(0).status is Status.OK
    assert look(1.5).evidence[0].value == "last span 36.0 h ago"
    assert look(10).evidence[0].value == "last span 10 d ago"


def test_everything_in_view_is_ok_in_one_sentence(
    telemetry: TelemetryStore, telemetry_context: Callable[..., CheckContext]
) -> None:
    telemetry.insert("spans", spans(("rag", ago(3))))
    facts = Facts(
        unpriced_models=lambda _start, _end: [],
        monitors=lambda now: [MonitorFact("length", MonitorState.STABLE, now, 60)],
    )
    context = telemetry_context("observability", ChecklistSettings(observability=EXPECTING), facts)
    result = ObservabilityCheck().run(context, NOW)
    assert (result.status, result.summary) == (Status.OK, "1 pipeline reports, nothing is blind")


def test_an_empty_store_is_unknown(telemetry_context: Callable[..., CheckContext]) -> None:
    result = ObservabilityCheck().run(telemetry_context("observability"), NOW)
    assert result.status is Status.UNKNOWN
    assert "@andon.pipeline" in result.remedy


def test_a_column_that_took_too_many_values_is_a_finding(
    telemetry: TelemetryStore, telemetry_context: Callable[..., CheckContext]
) -> None:
    telemetry.execute(
        "INSERT INTO usage_1m (minute, version, pipeline) VALUES "
        f"(toDateTime('{NOW - timedelta(minutes=5):%Y-%m-%d %H:%M:%S}', 'UTC'), 1, '__other__'), "
        f"(toDateTime('{NOW - timedelta(days=1):%Y-%m-%d %H:%M:%S}', 'UTC'), 1, 'rag')"
    )
    result = ObservabilityCheck().run(telemetry_context("observability"), NOW)
    (row,) = [row for row in result.evidence if row.rule == "observability.values"]
    assert (row.label, row.status) == ("values of pipeline", Status.WARN)
    assert "attributes['andon.original.pipeline']" in (row.query or "")
