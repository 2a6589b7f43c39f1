"""What a monitor asks of the stored telemetry, and the statements that answer it.

Rows are reduced by the engine in one pass: per window the counts on a baseline's bins and the window's own quantiles. A
span or observation that is stored twice counts once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from drift.bins import EDGE_LEVELS
from drift.windows import QUANTILE_LEVELS, Window, from_microseconds, to_microseconds, window_microseconds
from settings import DriftMonitor, SettingsError
from store.telemetry import TelemetryStore

_CALL_COLUMNS = ("output_tokens", "input_tokens", "time_to_first_token_seconds")
_OBSERVED = ("prediction", "score", "label")

# Calls: the spans whose tokens count (usage_role leaf), so that a pipeline's total is not taken for one more call.
_CALLS = """
SELECT any(toUnixTimestamp64Micro(end_time)) AS at, any(toFloat64(VALUE_COLUMN)) AS value,
       toUInt64(1) AS weight, toUInt8(0) AS is_text
FROM spans
WHERE end_time >= fromUnixTimestamp64Micro(:start) AND end_time < fromUnixTimestamp64Micro(:end)
  AND usage_role = 'leaf'
  AND pipeline = ifNull(:pipeline, pipeline) AND stage = ifNull(:stage, stage)
  AND if(response_model != '', response_model, request_model)
      = ifNull(:model, if(response_model != '', response_model, request_model))
GROUP BY project, trace_id, span_id
"""

# Durations: the spans of one stage, or the pipeline spans themselves when no stage is named.
_DURATIONS = """
SELECT any(toUnixTimestamp64Micro(end_time)) AS at,
       any(toNullable((toUnixTimestamp64Nano(end_time) - toUnixTimestamp64Nano(start_time)) / 1e9)) AS value,
       toUInt64(1) AS weight, toUInt8(0) AS is_text
FROM spans
WHERE end_time >= fromUnixTimestamp64Micro(:start) AND end_time < fromUnixTimestamp64Micro(:end)
  AND stage = ifNull(:stage, '') AND (stage != '' OR (pipeline != '' AND name = pipeline))
  AND pipeline = ifNull(:pipeline, pipeline)
  AND if(response_model != '', response_model, request_model)
      = ifNull(:model, if(response_model != '', response_model, request_model))
GROUP BY project, trace_id, span_id
"""

# Observations: a retried export repeats time, span and value, and counts once. Without a span nothing tells a repeat
# from two equal observations of one moment, so those count as often as they are stored. The column `weight`, how many
# rows a sampled one stands for, is left aside: it is no evidence, and would make a detector too sure.
_OBSERVATIONS = """
SELECT toUnixTimestamp64Micro(time) AS at, number AS value,
       if(reinterpretAsUInt64(span_id) = 0, count(), 1) AS weight, toUInt8(isNotNull(text)) AS is_text
FROM observations
WHERE time >= fromUnixTimestamp64Micro(:start) AND time < fromUnixTimestamp64Micro(:end)
  AND signal = :signal
  AND pipeline = ifNull(:pipeline, pipeline) AND stage = ifNull(:stage, stage) AND model = ifNull(:model, model)
GROUP BY project, time, trace_id, span_id, number, text
"""

# Per window: counts per cell (cell = edges below the value), what is not a number, and the window's own quantiles.
_WINDOWS = """
SELECT intDiv(at, :window_us) AS window,
       sumMapIf([toUInt16(arrayCount(edge -> edge < assumeNotNull(value), :edges))], [weight],
                isFinite(assumeNotNull(value)) AND isNotNull(value)) AS cells,
       sumIf(weight, isNull(value) AND is_text = 0) AS missing,
       sumIf(weight, isNotNull(value) AND isNaN(assumeNotNull(value))) AS nan,
       sumIf(weight, isNotNull(value) AND isInfinite(assumeNotNull(value))) AS infinite,
       sumIf(weight, isNull(value) AND is_text = 1) AS text,
       quantilesExactWeightedIf(LEVELS)(assumeNotNull(value), weight,
                                isFinite(assumeNotNull(value)) AND isNotNull(value)) AS quantiles
FROM (ROWS)
GROUP BY window
ORDER BY window
LIMIT :limit
"""

# Quantiles of a whole range, each a value that was stored: the edges of a baseline's bins, and its figures for display.
_QUANTILES = """
SELECT quantilesExactWeightedIf(LEVELS)(assumeNotNull(value), weight,
                                isFinite(assumeNotNull(value)) AND isNotNull(value)) AS quantiles
FROM (ROWS)
"""


class Source(Enum):
    """Where a signal's rows are stored; the value is the statement that selects them, one row per occurrence."""

    CALLS = _CALLS
    DURATIONS = _DURATIONS
    OBSERVATIONS = _OBSERVATIONS


@dataclass(frozen=True)
class Question:
    """One signal of one pipeline, stage and model (None: any), cut into windows of `window_us` microseconds."""

    signal: str
    pipeline: str | None
    stage: str | None
    model: str | None
    window_us: int

    @classmethod
    def of(cls, monitor: DriftMonitor) -> Question:
        """What a monitor of the settings asks.

        Raises:
            SettingsError: the signal is not one that can be watched.
        """
        _source(monitor.signal, monitor.name)
        window_us = window_microseconds(monitor.window_seconds)
        return cls(monitor.signal, monitor.pipeline, monitor.stage, monitor.model, window_us)

    @property
    def source(self) -> Source:
        """Where its rows are stored."""
        return _source(self.signal, "")

    @property
    def key(self) -> str:
        """The question in one canonical line; a baseline answers only the question that it was captured for."""
        return json.dumps([self.signal, self.pipeline, self.stage, self.model, self.window_us])


def count_windows(
    telemetry: TelemetryStore,
    question: Question,
    edges: Sequence[float],
    start: datetime,
    end: datetime,
    limit: int,
) -> list[Window]:
    """Windows of [start, end) with any row, oldest first, at most `limit`, counted on the cells between `edges`."""
    statement = _statement(_WINDOWS, question, QUANTILE_LEVELS)
    given = {"window_us": question.window_us, "edges": [float(edge) for edge in edges], "limit": limit}
    found = telemetry.rows(statement, **_parameters(question, start, end), **given)
    return [_window(row, question.window_us, len(edges) + 1) for row in found]


def edge_quantiles(telemetry: TelemetryStore, question: Question, start: datetime, end: datetime) -> tuple[float, ...]:
    """Quantiles of the finite numbers in [start, end) at `EDGE_LEVELS`."""
    return _quantiles(telemetry, question, start, end, EDGE_LEVELS)


def shown_quantiles(telemetry: TelemetryStore, question: Question, start: datetime, end: datetime) -> tuple[float, ...]:
    """Quantiles of the finite numbers in [start, end) at `QUANTILE_LEVELS`."""
    return _quantiles(telemetry, question, start, end, QUANTILE_LEVELS)


def _quantiles(
    telemetry: TelemetryStore, question: Question, start: datetime, end: datetime, levels: Sequence[float]
) -> tuple[float, ...]:
    statement = _statement(_QUANTILES, question, levels)
    row = telemetry.rows(statement, **_parameters(question, start, end))[0]
    return tuple(float(value) for value in row["quantiles"])


def _statement(outer: str, question: Question, levels: Sequence[float]) -> str:
    rows = question.source.value.replace("VALUE_COLUMN", question.signal)
    return outer.replace("LEVELS", ", ".join(repr(level) for level in levels)).replace("ROWS", rows)


def _parameters(question: Question, start: datetime, end: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {
        "start": to_microseconds(start),
        "end": to_microseconds(end),
        "pipeline": question.pipeline,
        "stage": question.stage,
        "model": question.model,
    }
    if question.source is Source.OBSERVATIONS:
        values["signal"] = question.signal
    return values


def _window(row: Mapping[str, Any], window_us: int, cells: int) -> Window:
    counts = [0] * cells
    places, weights = row["cells"]
    for place, weight in zip(places, weights, strict=True):
        counts[int(place)] = int(weight)
    start = int(row["window"]) * window_us
    return Window(
        start=from_microseconds(start),
        end=from_microseconds(start + window_us),
        cells=tuple(counts),
        missing=int(row["missing"]),
        nan=int(row["nan"]),
        infinite=int(row["infinite"]),
        text=int(row["text"]),
        quantiles=tuple(float(value) for value in row["quantiles"]) if any(counts) else (),
    )


def _source(signal: str, monitor: str) -> Source:
    if signal in _CALL_COLUMNS:
        return Source.CALLS
    if signal == "duration_seconds":
        return Source.DURATIONS
    if signal in _OBSERVED or (signal.startswith("feature.") and signal != "feature."):
        return Source.OBSERVATIONS
    raise SettingsError(
        f"drift monitor {monitor!r} watches the signal {signal!r}, which does not exist; allowed are "
        f"{', '.join((*_CALL_COLUMNS, 'duration_seconds', *_OBSERVED))} and feature.<name>; "
        "change `signal` under [[drift.monitors]] in andon.toml"
    )
