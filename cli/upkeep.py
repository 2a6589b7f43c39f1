"""What is looked after once an hour: rows past their policies, replaced roll-ups, the history of alerts."""

from __future__ import annotations

from datetime import datetime, timedelta

from alerts.outbox import prune
from economics.horizon import guards
from economics.rollups import grains, lasting
from economics.versions import drop_old_slices, prune_versions
from settings import Settings
from store.control import ControlStore
from store.retention import Retention
from store.telemetry import TelemetryStore

UPKEEP_SECONDS = 3600.0


def retention_of(telemetry: TelemetryStore, control: ControlStore, settings: Settings) -> Retention:
    """Retention with everything that goes by its rhythm."""
    days = settings.retention.alerts

    def prune_alerts(now: datetime) -> int:
        if days is None:
            return 0
        with control.write() as session:
            return prune(session, now - timedelta(days=days))

    return Retention(
        telemetry,
        settings.retention,
        guards=guards(telemetry, lasting()),
        chores={
            "replaced_rollups": lambda now: sum(prune_versions(telemetry, grain, now) for grain in grains()),
            "old_slices": lambda now: drop_old_slices(telemetry, now),
            "alert_events": prune_alerts,
        },
    )
