"""What a check is and what it answers: the four states, their evidence, and the protocol of a check.

Checks build these values; the runner stores them, `checklist.status` reads them back for the page, the API and the
command line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from checklist.context import CheckContext


class Status(StrEnum):
    """State of a check. UNKNOWN means that nobody could look; it is never shown as green."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"

    @property
    def rank(self) -> int:
        """Order of concern: OK 0, WARN 1, UNKNOWN 2, FAIL 3. What nobody could see may be broken; a FAIL is."""
        return _RANKS[self]

    @property
    def exit_code(self) -> int:
        """Exit code of `andon checklist` when this is the worst state: OK 0, WARN 1, FAIL 2, UNKNOWN 3."""
        return _EXIT_CODES[self]


_RANKS = {Status.OK: 0, Status.WARN: 1, Status.UNKNOWN: 2, Status.FAIL: 3}
_EXIT_CODES = {Status.OK: 0, Status.WARN: 1, Status.FAIL: 2, Status.UNKNOWN: 3}


def worst(statuses: Iterable[Status | None]) -> Status:
    """The state of highest concern; None (not judged) does not count, and nothing judged at all is UNKNOWN."""
    judged = [status for status in statuses if status is not None]
    return max(judged, key=lambda status: status.rank) if judged else Status.UNKNOWN


@dataclass(frozen=True)
class Evidence:
    """One row of what a check saw.

    Attributes:
        label: what was looked at.
        value: what was found, as text; None is unknown.
        status: state of this row alone; None for a row that only informs.
        unit: unit of `value`, '' when it has none.
        rule: id of the rule that judged, for example `cdc.lag`; '' for a row that only informs.
        basis: where the value comes from (a setting, a measurement, a price list).
        query: what to run to see it with one's own eyes.
        remedy: what to do about this row; '' when there is nothing to do.
    """

    label: str
    value: str | None
    status: Status | None = None
    unit: str = ""
    rule: str = ""
    basis: str = ""
    query: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class CheckResult:
    """What a check answers at `observed_at` (UTC): one sentence, the rows behind it, and what to do now."""

    name: str
    title: str
    status: Status
    summary: str
    evidence: tuple[Evidence, ...]
    remedy: str
    observed_at: datetime


@runtime_checkable
class Check(Protocol):
    """One line of the checklist. Third parties register theirs in the entry point group `andon.checks`."""

    name: str
    title: str

    def run(self, context: CheckContext, now: datetime) -> CheckResult:
        """Look once. May raise: the runner turns an exception into UNKNOWN with its text."""
        ...


def conclude(name: str, title: str, evidence: tuple[Evidence, ...], all_well: str, now: datetime) -> CheckResult:
    """A result that is as bad as its worst row, and speaks with the words of its worst rows.

    Args:
        all_well: the summary when every judged row is OK.
    """
    status = worst(row.status for row in evidence)
    telling = [row for row in evidence if row.status is status and status is not Status.OK]
    if not telling:
        return CheckResult(name, title, status, all_well, evidence, "", now)
    first = telling[0]
    summary = f"{first.label}: {_with_unit(first)}"
    if len(telling) > 1:
        summary += f" (and {len(telling) - 1} more)"
    return CheckResult(name, title, status, summary, evidence, first.remedy, now)


def _with_unit(row: Evidence) -> str:
    value = "unknown" if row.value is None else row.value
    return f"{value} {row.unit}".rstrip()
