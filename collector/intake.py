"""The collector as one thing: journals, writers and receivers, opened from the settings and closed in order."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from collector.columns import LOG_SCHEMA, METRIC_SCHEMA, OBSERVATION_SCHEMA, SPAN_SCHEMA
from collector.grpc_receiver import GrpcReceiver
from collector.journal import Journal
from collector.receiver import Receiver
from collector.reception import Reception
from collector.writer import Writer
from settings import Settings
from store.telemetry import TelemetryStore

_SCHEMAS = {
    "spans": SPAN_SCHEMA,
    "observations": OBSERVATION_SCHEMA,
    "metric_points": METRIC_SCHEMA,
    "logs": LOG_SCHEMA,
}


class Intake:
    """Takes OTLP, keeps it safe, and writes it to the store. `stop()` loses nothing: what is not in the store stays
    in the journal for the next start."""

    def __init__(self, settings: Settings, store: TelemetryStore) -> None:
        limits = settings.collector
        self._journals: dict[str, Journal] = {}
        self._writers: dict[str, Writer] = {}
        for table, schema in _SCHEMAS.items():
            journal = Journal(
                settings.journal_dir / table,
                schema,
                seal_seconds=limits.seal_seconds,
                seal_bytes=limits.seal_bytes,
                max_bytes=limits.journal_max_bytes,
                on_sealed=lambda table=table: self._writers[table].wake(),  # type: ignore[misc]
            )
            self._journals[table] = journal
            self._writers[table] = Writer(journal, store, table)
        self._reception = Reception(
            self._journals,
            max_body_bytes=limits.max_body_bytes,
            max_in_flight_bytes=limits.max_in_flight_bytes,
        )
        self.receiver = Receiver(self._reception)
        self.grpc_receiver = GrpcReceiver(self._reception)

    def start(self) -> None:
        """Begin to write, with what an earlier run left."""
        for writer in self._writers.values():
            writer.start()

    def stop(self) -> None:
        """Seal what is open, write it if the store takes it, stop."""
        self._reception.close()
        for journal in self._journals.values():
            journal.close()
        for writer in self._writers.values():
            writer.stop()

    @property
    def alive(self) -> bool:
        """Whether every journal and writer still works."""
        journals, writers = self._journals.values(), self._writers.values()
        return all(journal.alive for journal in journals) and all(writer.alive for writer in writers)

    def waiting_since(self, now: datetime, table: str = "spans") -> datetime | None:
        """When the oldest acknowledged row of a table that waits for the store was taken; None when none waits."""
        age = self._journals[table].state().oldest_age_seconds
        return None if age is None else now - timedelta(seconds=age)

    def health(self) -> dict[str, Any]:
        """Counts since start, and what waits in the journal; names are stable, they are shown at `/metrics`."""
        counts = self._reception.counts
        report: dict[str, Any] = {
            "requests_total": counts.requests,
            **{f"accepted_{table}_total": counts.accepted[table] for table in _SCHEMAS},
            "refused_items_total": counts.refused_items.total(),
            "refused_requests_total": counts.refused_requests.total(),
            "refused_requests_by_reason": dict(counts.refused_requests),
            "refused_items_by_reason": dict(counts.refused_items),
        }
        for table, journal in self._journals.items():
            state, written = journal.state(), self._writers[table].counts
            report[f"journal_{table}"] = {
                "bytes": state.bytes,
                "segments": state.segments,
                "oldest_age_seconds": state.oldest_age_seconds,
            }
            report[f"writer_{table}"] = {
                "rows_total": written.rows,
                "segments_total": written.segments,
                "failed_inserts_total": written.failed_inserts,
                "quarantined_total": written.quarantined,
                "last_error": written.last_error,
            }
        return report
