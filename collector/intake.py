"""The collector as one thing: journals, writers and receivers, opened from the settings and closed in order."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime
from typing import Any

from collector.admission import Admission
from collector.announced import Announced
from collector.cardinality import Cardinality
from collector.clock import SYSTEM_CLOCK, Clock
from collector.columns import LOG_SCHEMA, OBSERVATION_SCHEMA, POINT_SCHEMA, SPAN_SCHEMA
from collector.decoding import POINTS, SERIES
from collector.grpc_receiver import GrpcReceiver
from collector.identities import parted
from collector.journal import Journal
from collector.receiver import Receiver
from collector.reception import Reception
from collector.rows import stored_schema
from collector.scrape.scraping import Scraping
from collector.writer import Writer
from settings import Settings, is_loopback
from store.control import ControlStore
from store.telemetry import TelemetryStore

log = logging.getLogger(__name__)

STOP_SECONDS = 20.0  # how long a stopping server still writes to the store; the journal keeps the rest
HANG_SECONDS = 10.0  # and how long an insert that it has begun may take beyond that

_SCHEMAS = {
    "spans": SPAN_SCHEMA,
    "observations": OBSERVATION_SCHEMA,
    POINTS: POINT_SCHEMA,
    "logs": LOG_SCHEMA,
}


class Intake:
    """Takes OTLP, keeps it safe, and writes it to the store. `stop()` loses nothing: what is not in the store stays
    in the journal for the next start.

    Args:
        control: where the keys of senders stand; None for a collector that knows none.
    """

    def __init__(
        self,
        settings: Settings,
        store: TelemetryStore,
        control: ControlStore | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        limits = self._limits = settings.collector
        self._store = store
        self._cardinality = Cardinality(limits)
        self._announced = Announced()
        self._with_series: dict[str, Any] = {"beside": SERIES, "parted": parted, "on_lost": self._announced.forget}
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
                clock=clock,
            )
            self._journals[table] = journal
            self._writers[table] = Writer(
                journal,
                store,
                table,
                on_return=self._store_returned,
                **(self._with_series if table == POINTS else {}),
            )
        self._reception = Reception(
            self._journals,
            max_body_bytes=limits.max_body_bytes,
            max_in_flight_bytes=limits.max_in_flight_bytes,
            admission=Admission(limits, control),
            cardinality=self._cardinality,
            announced=self._announced,
        )
        self.receiver = Receiver(self._reception, loopback_only=is_loopback(settings.collector_host))
        self.grpc_receiver = GrpcReceiver(self._reception)
        self._scraping = Scraping(limits.scrape, self._journals[POINTS], self._announced, self._cardinality)

    def start(self) -> None:
        """Begin to write, with what an earlier run left."""
        threading.Thread(target=self._learn_values, name="learn-values", daemon=True).start()
        for writer in self._writers.values():
            writer.start()
        self._scraping.start()

    def stop(self) -> None:
        """Seal what is open, write it if the store takes it, stop."""
        self._reception.close()
        self._scraping.stop()
        for journal in self._journals.values():
            journal.close()
        for writer in self._writers.values():
            writer.stop(STOP_SECONDS)
        hopeless = time.monotonic() + STOP_SECONDS + HANG_SECONDS
        for writer in self._writers.values():
            writer.join(max(0.0, hopeless - time.monotonic()))

    def _store_returned(self) -> None:
        for writer in self._writers.values():
            writer.store_returned()

    @property
    def alive(self) -> bool:
        """Whether every decoder, journal and writer still works."""
        journals, writers = self._journals.values(), self._writers.values()
        working = all(journal.alive for journal in journals) and all(writer.alive for writer in writers)
        return working and self._reception.alive and self._scraping.alive

    def waiting_seconds(self) -> float | None:
        """How long ago the oldest acknowledged row was taken that is not in the store yet; None when there is none."""
        ages = (journal.state().oldest_age_seconds for journal in self._journals.values())
        return max((age for age in ages if age is not None), default=None)

    def health(self) -> dict[str, Any]:
        """Counts since start, and what waits in the journal; `dashboard.metrics` names each number for `/metrics`."""
        counts, budget = self._reception.counts, self._reception.budget
        return {
            "requests_total": counts.requests,
            "duplicate_requests_total": counts.duplicate_requests,
            "forgotten_requests_total": sum(journal.seen.forgotten_early for journal in self._journals.values()),
            "accepted": {table: counts.accepted[table] for table in _SCHEMAS},
            "refused_items": dict(counts.refused_items),
            "refused_requests": dict(counts.refused_requests),
            "decoded": {
                "requests_total": counts.decoded_requests,
                "bytes_total": counts.decoded_bytes,
                "items_total": counts.decoded_items,
                "seconds_total": counts.decode_seconds,
            },
            "in_flight": {"bytes": budget.held, "limit_bytes": budget.most},
            "journal": {table: self._journal_health(table) for table in _SCHEMAS},
            "writer": {table: self._writers[table].health() for table in _SCHEMAS},
            "series": self._announced.health(),
            "columns": self._cardinality.report(),
            "scrape": self._scraping.health(),
        }

    def _journal_health(self, table: str) -> dict[str, Any]:
        state = self._journals[table].state()
        return {
            "bytes": state.bytes,
            "limit_bytes": self._limits.journal_max_bytes,
            "segments": state.segments,
            "oldest_age_seconds": state.oldest_age_seconds,
            "quarantined_segments": state.quarantined,
            "quarantined_bytes": state.quarantined_bytes,
            "faults_total": self._journals[table].faults,
        }

    def _learn_values(self) -> None:
        try:
            self._cardinality.seed(self._store, datetime.now(UTC))
        except Exception:
            # The guard then begins the day anew: a looser limit, not a loss.
            log.warning("the values of today's columns could not be read from the store", exc_info=True)
