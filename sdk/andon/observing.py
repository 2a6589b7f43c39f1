"""`andon.observe`: features, predictions and labels of a model, for drift detection.

Takes a row, or a mapping of columns; places it in the current pipeline, stage and run, and queues it. Nothing is
converted and nothing is sent on the caller's thread.
"""

from collections.abc import Mapping
from functools import lru_cache
from time import time_ns
from typing import Any, Final, TypeAlias

from opentelemetry import trace

from andon import attributes
from andon.guard import never_raises
from andon.notices import Loss, losses
from andon.observations import Observation, Value, valid_text
from andon.runtime import runtime
from andon.spans import current_span

Column: TypeAlias = Any
"""A list or tuple of values, or any array with `tolist`, `to_list` or `to_pylist` (numpy, pandas, polars, Arrow)."""

_ARRAY_METHODS: Final = ("tolist", "to_list", "to_pylist")


@never_raises
def observe(
    *,
    model: str | None = None,
    features: Mapping[str, Value | Column | None] | None = None,
    prediction: Value | Column | None = None,
    score: float | Column | None = None,
    label: Value | Column | None = None,
    segment: Mapping[str, Value | Column | None] | None = None,
) -> None:
    """Report what a model was given and what it answered.

    Where any value is a column (a list, tuple or array), each row of the columns is one observation; all columns have
    the same length, and single values hold for every row. Unknown is None (or NaN), and is not sent.

    Args:
        model: name of the model.
        features: inputs by name: numbers, texts or booleans.
        prediction: what the model answered.
        score: its confidence or any other number that is watched.
        label: the truth, where it is known.
        segment: what to compare by, for example `{"country": "SE"}`; sent as text.
    """
    outbox = runtime.observations
    if outbox is None:
        runtime.tell_if_forgotten()
        return
    fields: dict[str, object] = {
        attributes.REQUEST_MODEL: model,
        attributes.OBSERVATION_PREDICTION: prediction,
        attributes.OBSERVATION_SCORE: score,
        attributes.OBSERVATION_LABEL: label,
    }
    for name, value in (features or {}).items():
        fields[_attribute(attributes.OBSERVATION_FEATURE, name)] = value
    for name, value in (segment or {}).items():
        fields[_attribute(attributes.OBSERVATION_SEGMENT, name)] = value

    work = current_span()
    constants: dict[str, object] = dict(work.place) if work is not None else {}
    columns: dict[str, list[Any]] = {}
    for name, value in fields.items():
        column = _as_column(value)
        if column is not None:
            columns[name] = column
        elif value is not None:
            constants[name] = value

    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name.removeprefix('andon.observation.')} has {length}" for name, length in lengths.items())
        rows = max(lengths.values())
        losses.add(Loss.REJECTED, rows, f"andon.observe: columns differ in length ({told}); no row is sent")
        return
    count = next(iter(lengths.values()), 1)
    if count == 0:
        return
    span_context = trace.get_current_span().get_span_context()
    if not outbox.put(Observation(count, constants, columns, time_ns(), span_context)):
        told = f"andon.observe: {count} rows in one call exceed OTEL_BLRP_MAX_QUEUE_SIZE; make smaller calls"
        losses.add(Loss.REJECTED, count, told)


@lru_cache(maxsize=4096)
def _attribute(prefix: str, name: object) -> str:
    # One text for all rows that wait: made anew each time, the names would take most of the queue's memory.
    return prefix + valid_text(str(name))


def _as_column(value: object) -> list[Any] | None:
    if isinstance(value, list | tuple):
        return list(value)
    if value is None or isinstance(value, str | int | float):
        return None
    if not hasattr(value, "__len__"):  # numpy's scalars have tolist, too
        return None
    for method in _ARRAY_METHODS:
        if hasattr(value, method):
            column = getattr(value, method)()
            return column if isinstance(column, list) else None
    return None
