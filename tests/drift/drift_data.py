"""Data for the drift tests: baselines from numbers, and spans and observations put into a telemetry store."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
import pyarrow as pa

from drift.baseline import Baseline, fit, training_windows
from drift.bins import EDGE_LEVELS, Bins
from drift.edetector import DetectorState, Leader, leader, log_evidence, step
from drift.status import MonitorStatus, read_status
from drift.windows import QUANTILE_LEVELS, Window
from settings import DriftMonitor
from store.control import ControlStore
from store.telemetry import TelemetryStore

START = datetime(2026, 3, 1, tzinfo=UTC)
A = 10_000.0
SECONDS = 2.0
GRACE = 1.0
Sampler = Callable[[int], Any]
_ids = count(1)


def quantiles(values: Any, levels: Sequence[float]) -> tuple[float, ...]:
    """Quantiles that are values of the sample, as the engine's exact ones are."""
    return tuple(float(v) for v in np.quantile(values, levels, method="inverted_cdf"))


def window(bins: Bins, values: Any, number: int = 0) -> Window:
    """One window of one second, the `number`-th after START."""
    start = START + timedelta(seconds=number)
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    shown = quantiles(finite, QUANTILE_LEVELS) if len(finite) else ()
    return Window(start, start + timedelta(seconds=1), bins.count(values), quantiles=shown)


def baseline_of(samples: Sequence[Any]) -> Baseline:
    """A baseline from one array per window, made as `capture` makes it."""
    split = training_windows(len(samples))
    bins = Bins.from_quantiles(quantiles(np.concatenate(list(samples[:split])), EDGE_LEVELS))
    windows = [window(bins, sample, number) for number, sample in enumerate(samples)]
    shown = quantiles(np.concatenate(list(samples)), QUANTILE_LEVELS)
    return fit(windows, bins, shown, version=1, question="q", captured_at=START)


def alarms(baseline: Baseline, sample: Sampler, rows: int, windows: int) -> int:
    """How often the detector alarms over `windows` windows of `rows` rows, starting anew after each alarm."""
    state, found = DetectorState.fresh(), 0
    for _ in range(windows):
        state = step(state, baseline.log_e(baseline.bins.count(sample(rows))), START)
        if log_evidence(state) >= math.log(A):
            state, found = DetectorState.fresh(), found + 1
    return found


def first_alarm(baseline: Baseline, sample: Sampler, rows: int, windows: int) -> tuple[int, Leader] | None:
    """Windows until the first alarm, and what it says; None when there is none."""
    state = DetectorState.fresh()
    for number in range(1, windows + 1):
        state = step(state, baseline.log_e(baseline.bins.count(sample(rows))), START + timedelta(seconds=number))
        if log_evidence(state) >= math.log(A):
            found = leader(state)
            assert found is not None
            return number, found
    return None


def put_spans(telemetry: TelemetryStore, rows: Sequence[dict[str, Any]], copies: int = 1) -> None:
    """Store spans; each row names what differs from a leaf span of pipeline `support`, stage `generate`, model `m`."""
    filled = []
    for row in rows:
        number = next(_ids)
        end = row.get("end_time", START)
        filled.append(
            {
                "trace_id": number.to_bytes(16, "big"),
                "span_id": number.to_bytes(8, "big"),
                "start_time": end - timedelta(seconds=1),
                "end_time": end,
                "name": "generate",
                "pipeline": "support",
                "stage": "generate",
                "request_model": "m",
                "usage_role": "leaf",
                "output_tokens": None,
                "time_to_first_token_seconds": None,
                **row,
            }
        )
    schema = {
        "trace_id": pa.binary(16),
        "span_id": pa.binary(8),
        "start_time": pa.timestamp("ns", "UTC"),
        "end_time": pa.timestamp("ns", "UTC"),
        "name": pa.string(),
        "pipeline": pa.string(),
        "stage": pa.string(),
        "request_model": pa.string(),
        "usage_role": pa.string(),
        "output_tokens": pa.int64(),
        "time_to_first_token_seconds": pa.float64(),
    }
    table = pa.table({name: pa.array([row[name] for row in filled], kind) for name, kind in schema.items()})
    for _ in range(copies):
        telemetry.insert("spans", table, token=uuid.uuid4().hex)


def put_observations(
    telemetry: TelemetryStore,
    values: Sequence[float | str | None],
    times: Sequence[datetime],
    signal: str = "feature.length",
    pipeline: str = "support",
    copies: int = 1,
    with_span: bool = True,
) -> None:
    """Store one observation per value: numbers as numbers, text as text, None as a row without either."""
    ids = [next(_ids) if with_span else 0 for _ in values]
    table = pa.table(
        {
            "time": pa.array(times, pa.timestamp("ns", "UTC")),
            "pipeline": pa.array([pipeline] * len(ids)),
            "signal": pa.array([signal] * len(ids)),
            "number": pa.array([None if isinstance(v, str) else v for v in values], pa.float64()),
            "text": pa.array([v if isinstance(v, str) else None for v in values], pa.string()),
            "trace_id": pa.array([i.to_bytes(16, "big") for i in ids], pa.binary(16)),
            "span_id": pa.array([i.to_bytes(8, "big") for i in ids], pa.binary(8)),
        }
    )
    for _ in range(copies):
        telemetry.insert("observations", table, token=uuid.uuid4().hex)


def put_windows(
    telemetry: TelemetryStore,
    samples: Sequence[Any],
    first: int = 0,
    seconds: float = SECONDS,
    signal: str = "feature.length",
) -> None:
    """Store one array of observations per window of `seconds`, the first being the `first`-th after START."""
    values: list[Any] = []
    times: list[datetime] = []
    for number, sample in enumerate(samples, start=first):
        begin = START + timedelta(seconds=seconds * number)
        step_us = seconds * 1e6 / (len(sample) + 1)
        values += [value if value is None or isinstance(value, str) else float(value) for value in sample]
        times += [begin + timedelta(microseconds=int(step_us * index)) for index in range(len(sample))]
    put_observations(telemetry, values, times, signal)


def define(**changes: Any) -> DriftMonitor:
    """A monitor of the feature `length` with windows of two seconds; `changes` beat its defaults."""
    given: dict[str, Any] = {
        "name": "length",
        "signal": "feature.length",
        "window_seconds": SECONDS,
        "min_windows": 20,
        "min_rows": 2000,
        "grace_seconds": GRACE,
        **changes,
    }
    return DriftMonitor(**given)


def after(windows: int) -> datetime:
    """The moment at which the first `windows` windows have closed."""
    return START + timedelta(seconds=SECONDS * windows + GRACE)


def normal(windows: int, rows: int = 100, shift: float = 0.0, seed: int = 1) -> list[Any]:
    """Windows of a normal signal, mean 100, sd 15, shifted by that many sd."""
    rng = np.random.default_rng(seed)
    return [rng.normal(100 + 15 * shift, 15, rows) for _ in range(windows)]


def only(control: ControlStore, monitor: DriftMonitor) -> MonitorStatus:
    """The status of the one monitor."""
    (status,) = read_status(control, [monitor])
    return status
