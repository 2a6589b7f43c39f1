"""`andon.observe`: features, predictions and labels of a model, for drift detection.

Takes a row, or columns as the host holds them; places them in the current pipeline, stage and run, chooses which rows
are kept, packs their columns and queues them. Nothing is sent on the caller's thread.
"""

import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from time import time_ns
from typing import Any, Final, NamedTuple, TypeAlias

from opentelemetry import trace

from andon import attributes
from andon.columns import Column as ColumnOfRows
from andon.containers import column_of, fields_of
from andon.guard import never_raises
from andon.notices import Loss, losses, warn_once
from andon.observations import Observation, Packed, Value, valid_text
from andon.outbox import Outbox
from andon.runtime import runtime
from andon.spans import current_span

Column: TypeAlias = Any
"""A list or tuple, a column of numpy, pandas, polars or Arrow, or anything that speaks their protocols."""

Fields: TypeAlias = Mapping[str, Value | Column | None] | Any
"""Values or columns by name: a mapping, a pandas or polars data frame, or an Arrow table."""

MAX_RECORD_ROWS: Final = 10_000
_RECORDS_IN_QUEUE: Final = 8
"""A full queue gives up a whole record for one row: it holds at least so many."""
MAX_RECORD_BYTES: Final = 4 * 2**20
_EXPANDED_BYTES: Final = 96 * 2**20
_EXPANDED_VALUE_BYTES: Final = 160
_ROW_BYTES: Final = 200
"""What a waiting row takes beside its values, measured."""


@never_raises
def observe(
    *,
    model: str | None = None,
    features: Fields | None = None,
    prediction: Value | Column | None = None,
    score: float | Column | None = None,
    label: Value | Column | None = None,
    segment: Fields | None = None,
) -> None:
    """Report what a model was given and what it answered.

    Where any value is a column, each row of the columns is one observation; all columns have the same length, and
    single values hold for every row. Unknown is None (or NaN), and is not sent. Above
    `ANDON_OBSERVE_ROWS_PER_SECOND` a random part of the rows is sent, each with the number of rows it stands for.

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
    work = current_span()
    constants: dict[str, object] = dict(work.place) if work is not None else {}
    columns: dict[str, ColumnOfRows] = {}
    answers = {
        attributes.OBSERVATION_PREDICTION: prediction,
        attributes.OBSERVATION_SCORE: score,
        attributes.OBSERVATION_LABEL: label,
    }
    try:
        named = [*answers.items(), *_named(attributes.OBSERVATION_FEATURE, features)]
        named += _named(attributes.OBSERVATION_SEGMENT, segment)
    except TypeError as error:
        losses.add(Loss.REJECTED, 1, f"andon.observe: {error}; nothing of this call is sent")
        return
    for name, value in named:
        column = column_of(name, value)
        if column is not None:
            columns[name] = column
        elif value is not None:
            constants[name] = value
    if isinstance(model, str):
        constants[attributes.REQUEST_MODEL] = model
    elif model is not None:
        warn_once("observe.model", "andon.observe: model=%r is left out; allowed: one text", type(model).__name__)
    count = _common_length(columns)
    if count:
        _keep(outbox, constants, columns, count)


def _named(prefix: str, fields: object) -> Iterator[tuple[str, object]]:
    if fields is not None:
        for name, value in fields_of(fields):
            yield _attribute(prefix, name), value


@lru_cache(maxsize=4096)
def _attribute(prefix: str, name: object) -> str:
    # One text for all rows that wait: made anew each time, the names would take most of the queue's memory.
    return prefix + valid_text(str(name))


def _common_length(columns: Mapping[str, ColumnOfRows]) -> int:
    """How many rows there are; 0, after a line in the log, when the columns disagree."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name.removeprefix('andon.observation.')} has {length}" for name, length in lengths.items())
        rows = max(lengths.values())
        losses.add(Loss.REJECTED, rows, f"andon.observe: columns differ in length ({told}); no row is sent")
        return 0
    return next(iter(lengths.values()), 1)


def _keep(
    outbox: Outbox[Observation], constants: dict[str, object], columns: dict[str, ColumnOfRows], count: int
) -> None:
    """Queue the rows that the budget and the queue's bounds allow, in records that a collector takes."""
    budget = runtime.row_budget
    stratum = tuple(constants.get(name) for name in (attributes.REQUEST_MODEL, attributes.PIPELINE, attributes.STAGE))
    share = budget.share(stratum, count, outbox.limits.max_items)
    kept, weight = share.kept, share.weight
    timestamp_ns = time_ns()
    span_context = trace.get_current_span().get_span_context()
    most = outbox.limits.max_bytes
    fixed = _ROW_BYTES + sys.getsizeof(constants) + sum(map(sys.getsizeof, constants.values()))
    most_rows = max(1, min(MAX_RECORD_ROWS, outbox.limits.max_items // _RECORDS_IN_QUEUE))
    pieces: list[_Piece] = []
    while kept:
        if kept < count:
            chosen = budget.choose(count, kept)
            columns = {name: column.take(chosen) for name, column in columns.items()}
        pieces = list(_pieces(constants, columns, kept, most_rows)) if columns else [_Piece(0, 1, {}, 0)]
        size = sum(fixed + piece.size_bytes for piece in pieces)
        if size <= most:
            break
        # Of what is too large for the queue, as many rows as fit are sent, each standing for more.
        count, kept = kept, int(0.9 * kept * most / size)
        weight *= count / kept if kept else 1.0
    if share.kept and not kept:
        told = f"andon.observe: a row of this call is larger than ANDON_OBSERVE_MAX_BYTES={most}; no row is sent"
        losses.add(Loss.REJECTED, share.kept, told)
        return
    if weight != 1.0:
        constants[attributes.OBSERVATION_WEIGHT] = weight
    for piece in pieces:
        at = timestamp_ns + piece.start
        outbox.put(Observation(piece.rows, constants, piece.columns, at, span_context, fixed + piece.size_bytes))


class _Piece(NamedTuple):
    """Rows of a call that travel in one record, from row `start` on."""

    start: int
    rows: int
    columns: dict[str, Packed]
    size_bytes: int


def _pieces(
    constants: Mapping[str, object], columns: Mapping[str, ColumnOfRows], count: int, most_rows: int
) -> Iterator[_Piece]:
    """Cut columns so that no record is too large, neither as it is sent nor as what a collector unfolds it to."""
    told = sum(len(text) for text in constants.values() if isinstance(text, str))
    expanded = (len(columns) + len(constants)) * (_EXPANDED_VALUE_BYTES + told)
    step = max(1, min(most_rows, _EXPANDED_BYTES // expanded))
    waiting = [(start, min(start + step, count)) for start in range(0, count, step)][::-1]
    while waiting:
        start, end = waiting.pop()
        cut = columns if end - start == count else {name: column.cut(start, end) for name, column in columns.items()}
        packed = {name: column.pack(name) for name, column in cut.items()}
        sent = sum(len(column) if isinstance(column, bytes) else column.packed_bytes for column in packed.values())
        if sent > MAX_RECORD_BYTES and end - start > 1:
            middle = (start + end) // 2
            waiting += [(middle, end), (start, middle)]
        else:
            yield _Piece(start, end - start, packed, sum(map(_size, packed.values())))


def _size(column: Packed) -> int:
    return sys.getsizeof(column) if isinstance(column, bytes) else column.size_bytes
