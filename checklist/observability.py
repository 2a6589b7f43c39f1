"""Do we still see? Pipelines that fell silent, models without a price, drift monitors that do not guard.

Last spans come from the telemetry store with one statement, prices and monitors through `context.facts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from checklist.context import CheckContext, MonitorFact, MonitorState, UnpricedModel
from checklist.model import CheckResult, Evidence, Status, conclude
from checklist.wording import age_text
from collector.cardinality import ORIGINAL, OTHER
from settings import ObservabilitySettings
from store.collectors import Collector, read_collectors
from store.telemetry import TelemetryStore

GROUPED = ("service", "pipeline", "stage", "provider", "model")
# A span counts as seen when it ended, and no later than it arrived: a clock that runs ahead must not hide silence.
LAST_SPANS = """
SELECT pipeline, max(least(end_time, ingested_at)) AS last_span
FROM spans
WHERE end_time >= :since
GROUP BY pipeline
"""
# Columns of the roll-ups in which the collector's guard has folded values, in minutes that are folded.
CROWDED = f"""
SELECT {", ".join(f"countIf({column} = '{OTHER}') AS {column}" for column in GROUPED)}
FROM usage_1m WHERE minute >= toDateTime(:since, 'UTC')
"""
OVERLAP_SECONDS = 600.0
INSTRUMENT = (
    "Instrument a pipeline: `import andon`; `andon.init(service='my-service')` once at start; "
    "`@andon.pipeline('my-pipeline')` above the function that runs it."
)


@dataclass(frozen=True)
class Sightings:
    """When each pipeline was last seen (UTC), and whether any span arrived that belongs to none."""

    last_span: Mapping[str, datetime]
    others: bool


class ObservabilityCheck:
    """Is everything that should report still reporting, priced and guarded?"""

    name = "observability"
    title = "Observability"

    def run(self, context: CheckContext, now: datetime) -> CheckResult:
        settings = context.settings.checklist.observability
        seen = self._look(context, settings, now)
        evidence = list(judge_pipelines(seen, settings, now))
        if context.facts.unpriced_models is not None:
            since = now - timedelta(seconds=settings.unpriced_window_seconds)
            evidence += judge_prices(context.facts.unpriced_models(since, now), settings)
        if context.facts.monitors is not None:
            evidence += judge_monitors(context.facts.monitors(now), settings, now)
        since = now - timedelta(seconds=settings.unpriced_window_seconds)
        evidence += judge_columns(crowded_columns(context.telemetry, since), settings)
        evidence += judge_collectors(read_collectors(context.control))
        reporting = sum(row.status is Status.OK and row.rule == "observability.silence" for row in evidence)
        all_well = f"{reporting} {'pipeline reports' if reporting == 1 else 'pipelines report'}, nothing is blind"
        return conclude(self.name, self.title, tuple(evidence), all_well, now)

    def _look(self, context: CheckContext, settings: ObservabilitySettings, now: datetime) -> Sightings:
        kept = context.memory.read("pipelines")
        since = now - timedelta(seconds=settings.remember_seconds)
        if kept:
            # Only what may have changed since the last look is read again; late spans are why it overlaps.
            overlap = max(OVERLAP_SECONDS, 2 * settings.silent_fail_seconds)
            since = max(since, datetime.fromisoformat(kept["looked_at"]) - timedelta(seconds=overlap))
        fresh = last_spans(context.telemetry, since)
        seen = remember(kept, fresh, settings, now)
        context.memory.write(
            "pipelines",
            {
                "looked_at": now.isoformat(),
                "others": seen.others,
                "last_span": {pipeline: time.isoformat() for pipeline, time in seen.last_span.items()},
            },
            now,
        )
        return seen


def last_spans(telemetry: TelemetryStore, since: datetime) -> dict[str, datetime]:
    """The time of the last span of each pipeline that ended at or after `since`; '' collects spans without one."""
    return {row["pipeline"]: row["last_span"] for row in telemetry.rows(LAST_SPANS, since=since)}


def crowded_columns(telemetry: TelemetryStore, since: datetime) -> list[str]:
    """Columns that took more values than they may since a time (UTC)."""
    row = telemetry.rows(CROWDED, since=since.strftime("%Y-%m-%d %H:%M:%S"))[0]
    return [column for column in GROUPED if row[column]]


def judge_columns(columns: Sequence[str], settings: ObservabilitySettings) -> Sequence[Evidence]:
    """WARN for each column that took too many values; nothing where all is well."""
    return [
        Evidence(
            f"values of {column}",
            f"more than one day may have; the others are counted as {OTHER}",
            Status.WARN,
            rule="observability.values",
            basis=f"in the last {age_text(settings.unpriced_window_seconds)}",
            query=_originals(column),
            remedy=f"A sender puts ids into {column}: let it send a name there and the id in an attribute of its own; "
            "or raise collector.max_values_per_column or collector.max_pipelines_and_stages.",
        )
        for column in columns
    ]


def _originals(column: str) -> str:
    spelled = "request_model" if column == "model" else column
    return f"SELECT attributes['{ORIGINAL}{spelled}'], count() FROM spans WHERE {spelled} = '{OTHER}' GROUP BY 1"


def remember(
    kept: Mapping[str, Any], fresh: Mapping[str, datetime], settings: ObservabilitySettings, now: datetime
) -> Sightings:
    """What is known after a look: expected pipelines for ever, the others for `remember_seconds`."""
    last = {name: datetime.fromisoformat(time) for name, time in kept.get("last_span", {}).items()}
    for name, time in fresh.items():
        last[name] = max(time, last.get(name, time))
    others = bool(kept.get("others", False)) or "" in fresh
    forget_before = now - timedelta(seconds=settings.remember_seconds)
    known = {
        name: time
        for name, time in last.items()
        if name and (name in settings.expected_pipelines or time >= forget_before)
    }
    return Sightings(known, others)


def judge_pipelines(seen: Sightings, settings: ObservabilitySettings, now: datetime) -> Sequence[Evidence]:
    """One row per pipeline that is expected or remembered.

    Expected: silent for `silent_warn_seconds` WARN, for `silent_fail_seconds` or never seen FAIL. Not expected but
    seen before: WARN from `silent_fail_seconds` on. No pipeline at all: UNKNOWN, or WARN when other spans do arrive.
    """
    if not seen.last_span and not seen.others:
        expected = f"; expected: {', '.join(settings.expected_pipelines)}" if settings.expected_pipelines else ""
        return [
            Evidence(
                "instrumentation",
                f"no span has arrived yet{expected}",
                Status.UNKNOWN,
                rule="observability.silence",
                remedy=INSTRUMENT,
            )
        ]
    names = list(dict.fromkeys((*settings.expected_pipelines, *sorted(seen.last_span))))
    if not names:
        found = "spans arrive, but none belongs to a pipeline"
        return [Evidence("instrumentation", found, Status.WARN, rule="observability.silence", remedy=INSTRUMENT)]
    return [_judge_pipeline(name, seen.last_span.get(name), settings, now) for name in names]


def _judge_pipeline(name: str, last: datetime | None, settings: ObservabilitySettings, now: datetime) -> Evidence:
    expected = name in settings.expected_pipelines
    remedy = f"Is the process that runs {name!r} up, and does its ANDON_ENDPOINT reach the collector?"
    if last is None:
        value, status = "never seen", Status.FAIL
    else:
        silent = max(0.0, (now - last).total_seconds())
        value = f"last span {age_text(silent)} ago"
        status = _judge_silence(silent, expected, settings)
    if not expected:
        remedy += " If it has been retired it is forgotten after checklist.observability.remember_seconds."
    return Evidence(
        f"pipeline {name}",
        value,
        status,
        rule="observability.silence",
        basis="expected" if expected else "seen before",
        query=f"SELECT max(end_time) FROM spans WHERE pipeline = {_quoted(name)}",
        remedy="" if status is Status.OK else remedy,
    )


def _judge_silence(silent_seconds: float, expected: bool, settings: ObservabilitySettings) -> Status:
    if silent_seconds >= settings.silent_fail_seconds:
        return Status.FAIL if expected else Status.WARN
    return Status.WARN if expected and silent_seconds >= settings.silent_warn_seconds else Status.OK


def judge_prices(models: Sequence[UnpricedModel], settings: ObservabilitySettings) -> Sequence[Evidence]:
    """WARN for each model whose tokens have no price: its cost is unknown, not zero."""
    window = f"in the last {age_text(settings.unpriced_window_seconds)}"
    if not models:
        return [Evidence("prices", "every model has a price", Status.OK, rule="observability.unpriced", basis=window)]
    return [
        Evidence(
            f"price of {' '.join(filter(None, (model.provider, model.model))) or 'an unnamed model'}",
            f"none; {model.tokens} tokens cost an unknown amount",
            Status.WARN,
            rule="observability.unpriced",
            basis=window,
            remedy="Let a capacity pool serve it ([[pools]], serves.models), or send the provider and model names "
            "that its price list uses.",
        )
        for model in models
    ]


def judge_monitors(
    monitors: Sequence[MonitorFact], settings: ObservabilitySettings, now: datetime
) -> Sequence[Evidence]:
    """Each drift monitor: drifting and learning WARN; no data, or no decision for long, UNKNOWN."""
    return [_judge_monitor(monitor, settings, now) for monitor in monitors]


def judge_collectors(collectors: Sequence[Collector]) -> Sequence[Evidence]:
    """FAIL for each collector that is gone with acknowledged rows in its journal: no total holds them."""
    return [
        Evidence(
            f"collector {one.instance}",
            f"{one.state.value} since {one.seen_at:%Y-%m-%d %H:%M:%S} UTC with rows waiting in its journal",
            Status.FAIL,
            rule="observability.collector",
            basis=f"host {one.host}",
            remedy="Start it again on its data directory: it writes what waits. If its disk is lost, give it up with "
            f"`andon collector --forget {one.instance}`.",
        )
        for one in collectors
        if one.holds_rows_back
    ]


def _judge_monitor(monitor: MonitorFact, settings: ObservabilitySettings, now: datetime) -> Evidence:
    rule = "observability.drift"
    label = f"drift monitor {monitor.name}"
    limit_seconds = settings.monitor_stale_windows * monitor.window_seconds
    if monitor.state is MonitorState.LEARNING:
        remedy = f"It guards nothing before it has a baseline: `andon drift baseline {monitor.name}` captures one."
        return Evidence(label, "learning", Status.WARN, rule=rule, remedy=remedy)
    remedy = "No window was decided: has its signal stopped arriving, or the drift loop of `andon serve`?"
    if monitor.last_window_end is None:
        return Evidence(label, "no decision yet", Status.UNKNOWN, rule=rule, remedy=remedy)
    since_seconds = (now - monitor.last_window_end).total_seconds()
    value = f"{monitor.state.value.replace('_', ' ')}, last window ended {age_text(max(0.0, since_seconds))} ago"
    if since_seconds > limit_seconds or monitor.state is MonitorState.NO_DATA:
        return Evidence(label, value, Status.UNKNOWN, rule=rule, remedy=remedy)
    if monitor.state is MonitorState.DRIFTING:
        remedy = (
            "Compare the drifted windows with the baseline on the drift page; a wanted change needs a new baseline."
        )
        return Evidence(label, value, Status.WARN, rule=rule, remedy=remedy)
    return Evidence(label, value, Status.OK, rule=rule)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
