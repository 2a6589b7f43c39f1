"""The collector as one thing: journals, writers and receivers, opened from the settings and closed in order."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from collector.admission import Admission
from collector.columns import LOG_SCHEMA, METRIC_SCHEMA, OBSERVATION_SCHEMA, SPAN_SCHEMA
from collector.grpc_receiver import GrpcReceiver
from collector.journal import Journal
from collector.receiver import Receiver
from collector.reception import Reception
from collector.rows import stored_schema
from collector.writer import Writer
from settings import Settings, is_loopback
from store.control import ControlStore
from store.telemetry import TelemetryStore

STOP_SECONDS = 20.0  # how long a stopping server still writes to the store; the journal keeps the rest

_SCHEMAS = {
    "spans": SPAN_SCHEMA,
    "observations": OBSERVATION_SCHEMA,
    "metric_points": METRIC_SCHEMA,
    "logs": LOG_SCHEMA,
}


class Intake:
    """Takes OTLP, keeps it safe, and writes it to the store. `stop()` loses nothing: what is not in the store stays
    in the journal for the next start.

    Args:
        control: where the keys of senders stand; None for a collector that knows none.
    """

    def __init__(self, settings: Settings, store: TelemetryStore, control: ControlStore | None = None) -> None:
        limits = settings.collector
        self._journals: dict[str, Journal] = {}
        self._writers: dict[str, Writer] = {}
        for table, schema in _SCHEMAS.items():
            journal = Journal(
                settings.journal_dir / table,
                stored_schema(schema),
                seal_seconds=limits.seal_seconds,
                seal_bytes=limits.seal_bytes,
                max_bytes=limits.journal_max_bytes,
                on_sealed=lambda table=table: self._writers[table].wake(),  # type: ignore[misc]
            )
            self._journals[table] = journal
            self._writers[table] = Writer(journal, store, table, on_return=self._store_returned)
        self._reception = Reception(
            self._journals,
            max_body_bytes=limits.max_body_bytes,
            max_in_flight_bytes=limits.max_in_flight_bytes,
            admission=Admission(limits, control),
        )
        self.receiver = Receiver(self._reception, loopback_only=is_loopback(settings.collector_host))
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
            writer.stop(STOP_SECONDS)
        for writer in self._writers.values():
            writer.join()

    def _store_returned(self) -> None:
        for writer in self._writers.values():
            writer.store_returned()

    @property
    def alive(self) -> bool:
        """Whether every journal and writer still works."""
        journals, writers = self._journals.values(), self._writers.values()
        return all(journal.alive for journal in journals) and all(writer.alive for writer in writers)

    def waiting_since(self, now: datetime) -> datetime | None:
        """When the oldest acknowledged span that is not in the store yet was taken; None when there is none."""
        age = self._journals["spans"].state().oldest_age_seconds
        return None if age is None else now - timedelta(seconds=age)

    def health(self) -> dict[str, Any]:
        """Counts since start, and what waits in the journal; names are stable, they are shown at `/metrics`."""
        counts = self._reception.counts
        report: dict[str, Any] = {
            "requests_total": counts.requests,
            "duplicate_requests_total": counts.duplicate_requests,
            "forgotten_requests_total": sum(journal.seen.forgotten_early for journal in self._journals.values()),
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
                "quarantined_segments": state.quarantined,
            }
            report[f"writer_{table}"] = {
                "rows_total": written.rows,
                "segments_total": written.segments,
                "failed_inserts_total": written.failed_inserts,
                "quarantined_total": written.quarantined,
                "set_aside_total": written.set_aside,
                "last_error": written.last_error,
            }
        return report
