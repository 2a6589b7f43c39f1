"""Run every check once, each in its own thread with a deadline, and store what they answer.

`andon serve` calls `run_once` each `checklist.poll_seconds`; `andon checklist` calls it once when no server runs.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from time import monotonic

import sqlalchemy as sa

from checklist.context import CheckContext, Facts
from checklist.memory import StoredMemory
from checklist.model import Check, CheckResult, Status
from checklist.records import ChangeRecord, ResultRecord
from checklist.registry import registered_checks
from settings import Settings
from store.control import ControlStore
from store.telemetry import TelemetryStore


class ChecklistRunner:
    """Runs the checks and stores their results; one runner per process, its `run_once` is called by one thread."""

    def __init__(
        self,
        settings: Settings,
        telemetry: TelemetryStore,
        control: ControlStore,
        facts: Facts | None = None,
        checks: Sequence[Check] | None = None,
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._control = control
        self._facts = facts or Facts()
        self._checks = tuple(checks) if checks is not None else registered_checks()
        self._looks: dict[str, _Look] = {}

    def run_once(self, now: datetime) -> tuple[CheckResult, ...]:
        """Run every check at `now` (UTC), store and return the results in the order of the checks.

        A check that raises, or that has not answered within `checklist.deadline_seconds`, is UNKNOWN; while it
        still hangs it is not started again.
        """
        for check in self._checks:
            if check.name not in self._looks:
                self._looks[check.name] = _Look(check, self._context(check), now)
        give_up = monotonic() + self._settings.checklist.deadline_seconds
        results = []
        for check in self._checks:
            look = self._looks[check.name]
            if look.finished(max(0.0, give_up - monotonic())):
                del self._looks[check.name]
                results.append(look.result(now))
            else:
                results.append(_unknown(check, f"no answer yet; asked at {look.started:%H:%M:%S} UTC", now))
        store_results(self._control, results)
        return tuple(results)

    def _context(self, check: Check) -> CheckContext:
        memory = StoredMemory(self._control, check.name)
        return CheckContext(self._settings, self._telemetry, self._control, memory, self._facts)


class _Look:
    """One run of one check in a daemon thread: a check that never returns cannot keep the process from ending."""

    def __init__(self, check: Check, context: CheckContext, now: datetime) -> None:
        self.started = now
        self._check = check
        self._result: CheckResult | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run, args=(context, now), name=f"checklist-{check.name}", daemon=True
        )
        self._thread.start()

    def finished(self, wait_seconds: float) -> bool:
        self._thread.join(wait_seconds)
        return not self._thread.is_alive()

    def result(self, now: datetime) -> CheckResult:
        """The answer; a late one keeps the time at which it looked."""
        if self._result is not None:
            return self._result
        return _unknown(self._check, _one_line(self._error), now)

    def _run(self, context: CheckContext, now: datetime) -> None:
        try:
            self._result = self._check.run(context, now)
        except BaseException as error:  # noqa: BLE001  whatever a check raises becomes its UNKNOWN
            self._error = error


def store_results(control: ControlStore, results: Sequence[CheckResult]) -> None:
    """Keep the latest results, the time each state began, and every change of state, in one transaction.

    Results of checks that are no longer registered are dropped.
    """
    with control.write() as session:
        stored = {record.name: record for record in session.scalars(sa.select(ResultRecord))}
        for result in results:
            before = stored.pop(result.name, None)
            changed = before is None or before.status != result.status
            if changed:
                session.add(
                    ChangeRecord(
                        name=result.name,
                        previous=before.status if before is not None else None,
                        status=result.status.value,
                        summary=result.summary,
                        changed_at=result.observed_at,
                    )
                )
            session.merge(
                ResultRecord(
                    name=result.name,
                    title=result.title,
                    status=result.status.value,
                    summary=result.summary,
                    evidence=[asdict(row) for row in result.evidence],
                    remedy=result.remedy,
                    observed_at=result.observed_at,
                    since=result.observed_at if changed or before is None else before.since,
                )
            )
        for record in stored.values():
            session.delete(record)


def _unknown(check: Check, reason: str, now: datetime) -> CheckResult:
    return CheckResult(check.name, check.title, Status.UNKNOWN, reason, (), "", now)


def _one_line(error: BaseException | None) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:500]
