"""Which checks there are: those that installed packages register in the entry point group `andon.checks`."""

from __future__ import annotations

from datetime import datetime
from importlib.metadata import EntryPoint, entry_points

from checklist.context import CheckContext
from checklist.model import Check, CheckResult

GROUP = "andon.checks"


class CheckUnavailableError(RuntimeError):
    """A registered check cannot be loaded."""


class _Unavailable:
    """Stands on the checklist for a check that cannot be loaded, so that its absence is seen."""

    def __init__(self, entry: EntryPoint, reason: str) -> None:
        self.name = entry.name
        self.title = entry.name
        self._reason = f"the check {entry.name!r} ({entry.value}) cannot be loaded: {reason}"

    def run(self, context: CheckContext, now: datetime) -> CheckResult:
        raise CheckUnavailableError(self._reason)


def registered_checks() -> tuple[Check, ...]:
    """One instance of every registered check, by name; one that cannot be loaded answers UNKNOWN with the reason."""
    return tuple(_load(entry) for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name))


def _load(entry: EntryPoint) -> Check:
    try:
        check = entry.load()()
    except Exception as error:  # noqa: BLE001  a stranger's module may raise anything while it is imported
        return _Unavailable(entry, f"{type(error).__name__}: {error}")
    if not isinstance(check, Check):
        return _Unavailable(entry, "it has no name, title and run(context, now)")
    return check
