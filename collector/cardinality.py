"""Keeps the columns that usage is grouped by from growing without end: values beyond a limit become `__other__`.

Between the decoder and the journal, on the distinct values of a batch and not on its rows. What a row said stays in its
attributes; how often that happened, where, and with which value stands in the health report and at `/metrics`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from settings import CollectorSettings
from store.keys import DEFAULT_PROJECT
from store.telemetry import TelemetryStore

log = logging.getLogger(__name__)

OTHER: Final = "__other__"
ORIGINAL: Final = "andon.original."

_DAY_NANOS = 24 * 3600 * 10**9
_SHOWN_CHARACTERS = 120
_SEED = timedelta(minutes=15)
_FEW = frozenset({"pipeline", "stage"})


@dataclass(frozen=True)
class GuardedTable:
    """A table with the columns that are guarded, and the map that takes what they said."""

    columns: tuple[str, ...]
    time: str
    map: str = "attributes"


GUARDED: Final = {
    "spans": GuardedTable(
        (
            "name",
            "service",
            "environment",
            "pipeline",
            "stage",
            "domain",
            "operation",
            "provider",
            "request_model",
            "response_model",
            "accelerator_pool",
        ),
        "end_time",
    ),
    "metric_series": GuardedTable(("metric", "service", "environment", "accelerator_pool"), "day"),
    "logs": GuardedTable(("event_name", "severity_text", "service", "environment", "accelerator_pool"), "time"),
    "observations": GuardedTable(
        ("signal", "service", "environment", "pipeline", "stage", "model"), "time", map="segment"
    ),
}


# Rows that repeat a column of what they belong to, which is folded before them: table -> its table, and the columns.
REPEATED: Final = {"metric_points": ("metric_series", ("metric",))}


@dataclass
class ColumnValues:
    """The values of one column of one project on one day, as hashes: a value may be a megabyte long.

    `limit` new values are let in each day. Those of the day before come in beside them, so that a flood at midnight
    shuts out nobody who was there; both together are at most twice the limit.
    """

    limit: int
    today: set[int] = field(default_factory=set)
    yesterday: set[int] = field(default_factory=set)
    fresh: int = 0
    folded: int = 0
    example: str | None = None

    def admits(self, value: str) -> bool:
        """Whether a value is let in; it then is for the rest of the day."""
        name = hash(value)
        if name in self.today:
            return True
        if len(self.today) >= 2 * self.limit:
            return False
        if name not in self.yesterday:
            if self.fresh >= self.limit:
                return False
            self.fresh += 1
        self.today.add(name)
        return True

    def turn(self, days: int) -> None:
        """Begin another day, `days` after the one before."""
        self.yesterday = self.today if days == 1 else set()
        self.today, self.fresh, self.example = set(), 0, None


class Cardinality:
    """The guard of all columns of all tables. Thread-safe."""

    def __init__(self, limits: CollectorSettings) -> None:
        self._limits = limits
        self._day: int | None = None
        self._columns: dict[tuple[str, str, str], ColumnValues] = {}
        self._lock = threading.Lock()

    def fold(self, table: str, rows: pa.Table, now_nanos: int, project: str = DEFAULT_PROJECT) -> pa.Table:
        """The rows, what is beyond a limit replaced by `__other__` and kept in the row's map.

        Args:
            now_nanos: UTC now; limits are by the day in which rows arrive.
        """
        of_table, columns = REPEATED.get(table, (table, GUARDED[table].columns if table in GUARDED else ()))
        map_name = GUARDED[table].map if table in GUARDED else None
        for name in columns:
            column = rows.column(name)
            encoded = pc.dictionary_encode(column.combine_chunks() if column.num_chunks != 1 else column.chunk(0))
            values = encoded.dictionary.to_pylist()
            refused = self._refused(project, of_table, name, values, now_nanos)
            if refused:
                is_refused = np.zeros(len(values), dtype=bool)
                is_refused[refused] = True
                where = is_refused[encoded.indices.to_numpy(zero_copy_only=False)]
                rows = _replaced(rows, name, map_name, where)
                self._tell(project, of_table, name, values[refused[0]], int(where.sum()))
        return rows

    def seed(self, store: TelemetryStore, now: datetime) -> None:
        """Learn the values of the last 15 minutes from the store, so that a restart shuts out nobody who is there.

        No more is read: a whole day of rows would hold up those who look at the store when it has just started.
        """
        for table, guarded in GUARDED.items():
            arrays = ", ".join(
                f"groupUniqArray({self._limit(name)})(toString({name})) AS {name}_values" for name in guarded.columns
            )
            for row in store.rows(
                f"SELECT toString(project) AS owner, {arrays} FROM {table} "
                f"WHERE {guarded.time} >= toDateTime64(:since, 9, 'UTC') GROUP BY owner",
                # Series are told of once a day.
                since=(now - _SEED).strftime("%Y-%m-%d" if guarded.time == "day" else "%Y-%m-%d %H:%M:%S"),
            ):
                for name in guarded.columns:
                    values = [value for value in row[f"{name}_values"] if value != OTHER]
                    self._refused(row["owner"], table, name, values, int(now.timestamp()) * 10**9)

    def report(self) -> dict[str, dict[str, dict[str, Any]]]:
        """By table and column: values today (of the project with most), limit, rows folded since start, an example."""
        with self._lock:
            found: dict[str, dict[str, dict[str, Any]]] = {
                table: {
                    name: {"values": 0, "limit": self._limit(name), "folded_total": 0, "example": None}
                    for name in guarded.columns
                }
                for table, guarded in GUARDED.items()
            }
            for (_, table, name), values in self._columns.items():
                column = found[table][name]
                column["values"] = max(column["values"], len(values.today))
                column["folded_total"] += values.folded
                column["example"] = values.example or column["example"]
        return found

    def _refused(self, project: str, table: str, name: str, values: Iterable[str], now_nanos: int) -> list[int]:
        """The places of the values that are not let in; no value at all is always let in."""
        with self._lock:
            self._keep_day(now_nanos // _DAY_NANOS)
            key = (project, table, name)
            known = self._columns.get(key)
            if known is None:
                known = self._columns[key] = ColumnValues(self._limit(name))
            return [place for place, value in enumerate(values) if value and not known.admits(value)]

    def _keep_day(self, day: int) -> None:
        if day != self._day:
            for values in self._columns.values():
                values.turn(day - self._day if self._day is not None else 0)
            self._day = day

    def _tell(self, project: str, table: str, name: str, value: str, rows: int) -> None:
        with self._lock:
            values = self._columns[project, table, name]
            first = values.example is None
            values.folded += rows
            values.example = value[:_SHOWN_CHARACTERS]
        if first:
            log.warning(
                "%s.%s of project %s has more than %d new values today: others, such as %r, become %s and stay in the "
                "rows' %s%s",
                table,
                name,
                project,
                values.limit,
                value[:_SHOWN_CHARACTERS],
                OTHER,
                ORIGINAL,
                name,
            )

    def _limit(self, name: str) -> int:
        return self._limits.max_pipelines_and_stages if name in _FEW else self._limits.max_values_per_column


def _replaced(rows: pa.Table, name: str, map_name: str | None, where: np.ndarray[Any, Any]) -> pa.Table:
    """The rows with `__other__` in a column at the places of `where`, and what stood there in their map, if any."""
    mask = pa.array(where)
    column = rows.column(name).combine_chunks()
    others = pc.if_else(mask, pa.scalar(OTHER), column)
    rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), others)
    if map_name is None:
        return rows
    maps = rows.column(map_name).combine_chunks()
    added = _with_pair(maps, ORIGINAL + name, column.filter(mask), np.flatnonzero(where))
    return rows.set_column(rows.schema.get_field_index(map_name), rows.schema.field(map_name), added.cast(maps.type))


def _with_pair(maps: pa.MapArray, key: str, values: pa.StringArray, places: np.ndarray[Any, Any]) -> pa.MapArray:
    """The maps, those at `places` with one more pair."""
    offsets = maps.offsets.to_numpy()
    first, last = offsets[0], offsets[-1]
    keys, items = maps.keys[first:last], maps.items[first:last]
    row_of_pair = np.concatenate([np.repeat(np.arange(len(maps)), np.diff(offsets)), places])
    order = pa.array(np.argsort(row_of_pair, kind="stable"))
    keys = pa.concat_arrays([keys, pa.array([key] * len(places), pa.string())]).take(order)
    items = pa.concat_arrays([items, values]).take(order)
    counts = np.bincount(row_of_pair, minlength=len(maps))
    return pa.MapArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)), keys, items)
