"""Spans for tests of the ledger, written by name: `span(end=..., output=...)`."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from collector.columns import SPAN_ATTRIBUTES as _TYPED
from collector.columns import SPAN_SCHEMA, ValueKind
from collector.rows import stored_schema
from store.telemetry import TelemetryStore

NOON = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
CLIENT, SERVER = 3, 2
_numbers = itertools.count(1)

_EMPTY: dict[str, Any] = {
    **dict.fromkeys(SPAN_SCHEMA.names, ""),
    **{column.name: None for column in _TYPED if column.kind is not ValueKind.TEXT},
    "project": "default",
    "flags": 0,
    "kind": CLIENT,
    "status_code": 0,
    "parent_span_id": bytes(8),
    "usage_role": "none",
    "attributes": [],
    "resource": [],
    **{name: [] for name in SPAN_SCHEMA.names if name.startswith(("event_", "link_"))},
}


def span(
    end: datetime = NOON,
    *,
    seconds: float = 1.0,
    n_in: int | None = None,
    n_out: int | None = None,
    trace: int | None = None,
    identity: int | None = None,
    **columns: Any,
) -> dict[str, Any]:
    """One span; with `n_in` or `n_out` it is a leaf unless `usage_role` says otherwise."""
    identity = identity or next(_numbers)
    role = "leaf" if n_in is not None or n_out is not None else "none"
    return {
        **_EMPTY,
        "trace_id": (trace or identity).to_bytes(16, "big"),
        "span_id": identity.to_bytes(8, "big"),
        "start_time": end - timedelta(seconds=seconds),
        "end_time": end,
        "name": "chat",
        "input_tokens": n_in,
        "output_tokens": n_out,
        "usage_role": role,
        **columns,
    }


def store_spans(store: TelemetryStore, *spans: dict[str, Any]) -> None:
    """Insert spans as the writer would."""
    schema = stored_schema(SPAN_SCHEMA)
    columns = {name: [row[name] for row in spans] for name in schema.names}
    store.insert("spans", pa.table(columns, schema=schema))
