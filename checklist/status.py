"""The checklist as it stands: what the runner stored, with ages, and UNKNOWN where nobody has looked for too long.

The page, the JSON API, the alerts and `andon checklist` read it here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter

from checklist.model import Check, CheckResult, Evidence, Status, worst
from checklist.records import ChangeRecord, ResultRecord
from checklist.registry import registered_checks
from checklist.wording import age_text
from settings import Settings
from store.control import ControlStore

STALE_POLLS = 3


@dataclass(frozen=True)
class ChecklistItem:
    """One check as it stands.

    Attributes:
        status: UNKNOWN when the last look is older than three polls, else what that look found.
        since: when the check's state became what it is, UTC; None when nobody has looked yet.
        observed_at: when somebody last looked, UTC; None when nobody has.
        age_seconds: time since then.
        stale: whether the last look is too old to be believed; `evidence` is then that of the last look.
    """

    name: str
    title: str
    status: Status
    summary: str
    evidence: tuple[Evidence, ...]
    remedy: str
    observed_at: datetime | None
    since: datetime | None
    age_seconds: float | None
    stale: bool


@dataclass(frozen=True)
class Checklist:
    """Every check as it stands at `at`, and the worst state among them; with no check at all it is UNKNOWN."""

    at: datetime
    status: Status
    exit_code: int
    checks: tuple[ChecklistItem, ...]


@dataclass(frozen=True)
class StatusChange:
    """A check's state changed at `changed_at` (UTC); `previous` is None for its first look."""

    name: str
    previous: Status | None
    status: Status
    summary: str
    changed_at: datetime


def read_checklist(
    control: ControlStore, settings: Settings, now: datetime, checks: Sequence[Check] | None = None
) -> Checklist:
    """The checklist at `now` (UTC), one item for each of `checks` (default: every registered one), in their order."""
    with control.read() as session:
        stored = {record.name: record for record in session.scalars(sa.select(ResultRecord))}
    stale_seconds = STALE_POLLS * settings.checklist.poll_seconds + settings.checklist.deadline_seconds
    items = []
    for check in checks if checks is not None else registered_checks():
        record = stored.get(check.name)
        items.append(_never_looked(check) if record is None else _as_it_stands(record, now, stale_seconds))
    return _summed_up(tuple(items), now)


def from_results(results: Sequence[CheckResult], control: ControlStore, now: datetime) -> Checklist:
    """The checklist of one look that has just been stored, without judging its age."""
    with control.read() as session:
        since = {record.name: record.since for record in session.scalars(sa.select(ResultRecord))}
    items = (_looked(result, since.get(result.name, result.observed_at), now) for result in results)
    return _summed_up(tuple(items), now)


def recent_changes(control: ControlStore, limit: int = 50) -> tuple[StatusChange, ...]:
    """The latest changes of state, newest first."""
    statement = sa.select(ChangeRecord).order_by(ChangeRecord.changed_at.desc(), ChangeRecord.id.desc()).limit(limit)
    with control.read() as session:
        return tuple(
            StatusChange(
                record.name,
                Status(record.previous) if record.previous is not None else None,
                Status(record.status),
                record.summary,
                record.changed_at,
            )
            for record in session.scalars(statement)
        )


def _as_it_stands(record: ResultRecord, now: datetime, stale_seconds: float) -> ChecklistItem:
    result = CheckResult(
        record.name,
        record.title,
        Status(record.status),
        record.summary,
        tuple(_evidence(row) for row in record.evidence),
        record.remedy,
        record.observed_at,
    )
    item = _looked(result, record.since, now)
    if item.age_seconds is None or item.age_seconds <= stale_seconds:
        return item
    return ChecklistItem(
        name=item.name,
        title=item.title,
        status=Status.UNKNOWN,
        summary=f"last look {age_text(item.age_seconds)} ago: {item.status.value.upper()}, {item.summary}",
        evidence=item.evidence,
        remedy="Nobody looks any more: is `andon serve` running, and does its log name an error of the checklist?",
        observed_at=item.observed_at,
        since=item.observed_at,
        age_seconds=item.age_seconds,
        stale=True,
    )


def _looked(result: CheckResult, since: datetime, now: datetime) -> ChecklistItem:
    return ChecklistItem(
        name=result.name,
        title=result.title,
        status=result.status,
        summary=result.summary,
        evidence=result.evidence,
        remedy=result.remedy,
        observed_at=result.observed_at,
        since=since,
        age_seconds=max(0.0, (now - result.observed_at).total_seconds()),
        stale=False,
    )


def _never_looked(check: Check) -> ChecklistItem:
    return ChecklistItem(
        check.name, check.title, Status.UNKNOWN, "nobody has looked yet", (), "", None, None, None, False
    )


def _summed_up(items: tuple[ChecklistItem, ...], now: datetime) -> Checklist:
    status = worst(item.status for item in items)
    return Checklist(now, status, status.exit_code, items)


def _evidence(row: dict[str, object]) -> Evidence:
    return _EVIDENCE.validate_python(row)


_EVIDENCE: TypeAdapter[Evidence] = TypeAdapter(Evidence)
