"""What is looked after once an hour: rows past their policies, replaced roll-ups, the history of alerts."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from alerts.outbox import prune
from economics.horizon import FoldedDays
from economics.versions import prune_versions
from settings import Settings
from store.control import ControlStore
from store.retention import Retention
from store.telemetry import TelemetryStore

UPKEEP_SECONDS = 3600.0


def retention_of(
    telemetry: TelemetryStore,
    control: ControlStore,
    settings: Settings,
    folding: AbstractContextManager[object] | None = None,
) -> Retention:
    """Retention with everything that goes by its rhythm.

    Args:
        folding: what the fold holds while it works; None where no fold runs.
    """
    days = settings.retention.alerts

    def prune_alerts(now: datetime) -> int:
        if days is None:
            return 0
        with control.write() as session:
            return prune(session, now - timedelta(days=days))

    return Retention(
        telemetry,
        settings.retention,
        guards={"spans": FoldedDays(telemetry, folding)},
        chores={
            "replaced_rollups": lambda now: prune_versions(telemetry, now),
            "alert_events": prune_alerts,
        },
    )
