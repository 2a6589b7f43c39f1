"""The collector as one thing: journals, writers and receivers, opened from the settings and closed in order."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from collector.cardinality import Cardinality
from collector.columns import LOG_SCHEMA, METRIC_SCHEMA, OBSERVATION_SCHEMA, SPAN_SCHEMA
from collector.grpc_receiver import GrpcReceiver
from collector.journal import Journal
from collector.receiver import Receiver
from collector.reception import Reception
from collector.writer import Writer
from settings import Settings
from store.telemetry import TelemetryStore

log = logging.getLogger(__name__)

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
        limits = self._limits = settings.collector
        self._store = store
        self._cardinality = Cardinality(limits)
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
            cardinality=self._cardinality,
        )
        self.receiver = Receiver(self._reception)
        self.grpc_receiver = GrpcReceiver(self._reception)

    def start(self) -> None:
        """Begin to write, with what an earlier run left."""
        threading.Thread(target=self._learn_values, name="learn-values", daemon=True).start()
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

    def waiting_since(self, now: datetime) -> datetime | None:
        """When the oldest acknowledged span that is not in the store yet was taken; None when there is none."""
        age = self._journals["spans"].state().oldest_age_seconds
        return None if age is None else now - timedelta(seconds=age)

    def health(self) -> dict[str, Any]:
        """Counts since start, and what waits in the journal; `dashboard.metrics` names each number for `/metrics`."""
        counts, budget, decoded = self._reception.counts, self._reception.budget, self._reception.decoded
        return {
            "requests_total": counts.requests,
            "accepted": {table: counts.accepted[table] for table in _SCHEMAS},
            "refused_items": dict(counts.refused_items),
            "refused_requests": dict(counts.refused_requests),
            "decoded": {
                "requests_total": decoded.requests,
                "bytes_total": decoded.bytes,
                "items_total": decoded.items,
                "seconds_total": decoded.seconds,
            },
            "in_flight": {"bytes": budget.held, "limit_bytes": budget.most},
            "journal": {table: self._journal_health(table) for table in _SCHEMAS},
            "writer": {table: self._writers[table].health() for table in _SCHEMAS},
            "columns": self._cardinality.report(),
        }

    def _journal_health(self, table: str) -> dict[str, Any]:
        state = self._journals[table].state()
        return {
            "bytes": state.bytes,
            "limit_bytes": self._limits.journal_max_bytes,
            "segments": state.segments,
            "oldest_age_seconds": state.oldest_age_seconds,
        }

    def _learn_values(self) -> None:
        try:
            self._cardinality.seed(self._store, datetime.now(UTC))
        except Exception:
            # The guard then begins the day anew: a looser limit, not a loss.
            log.warning("the values of today's columns could not be read from the store", exc_info=True)
