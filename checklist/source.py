"""Verdicts over a PostgreSQL source as a whole: reachable, able to decode, visible to our role, not held by anybody.

Pure functions of the server's row of the one query in `checklist.cdc`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from checklist.model import Evidence, Status
from checklist.wording import age_text
from settings import CdcSource

GRANT_REMEDY = "GRANT pg_monitor TO the role in checklist.cdc.url; it needs nothing more."


class SourceRule(StrEnum):
    """Ids of the rules over one source, as they stand in the documentation."""

    REACHABLE = "cdc.reachable"
    WAL_LEVEL = "cdc.wal_level"
    PRIVILEGE = "cdc.privilege"
    SLOT_EXISTS = "cdc.slot_exists"
    PINNED_BY_XACT = "cdc.pinned_by_xact"


@dataclass(frozen=True)
class Server:
    """The source server as one poll saw it.

    Attributes:
        version: as the server numbers it, for example 180004.
        keep_mb: max_slot_wal_keep_size; -1 is unlimited.
        now_lsn: end of its WAL, as a byte position.
        sees_all_sessions: whether our role may see other sessions (pg_monitor).
        may_replicate: whether our role could read and drop slots, which it should not.
        oldest_transaction_seconds: age of the oldest transaction that wrote, of any session or prepared.
        oldest_transaction_pid: its backend; None when it is a prepared one, then `oldest_prepared` is its id.
    """

    version: int
    wal_level: str
    keep_mb: int
    now_lsn: int
    sees_all_sessions: bool
    may_replicate: bool
    oldest_transaction_seconds: float | None
    oldest_transaction_pid: int | None
    oldest_prepared: str | None = None


def above(value: float, warn: float, fail: float) -> Status:
    """OK below `warn`, WARN from there, FAIL from `fail` on."""
    if value >= fail:
        return Status.FAIL
    return Status.WARN if value >= warn else Status.OK


def judge_server(server: Server, address: str, found: Collection[str], source: CdcSource) -> Iterator[Evidence]:
    """Every verdict on the server itself.

    Args:
        address: where it was reached, without the password.
        found: names of its logical slots.
    """
    yield source_row(
        source, SourceRule.REACHABLE, f"PostgreSQL {_version_text(server.version)} at {address}", Status.OK
    )
    yield judge_wal_level(server, source)
    yield judge_privilege(server, source)
    if server.wal_level == "logical":
        yield from judge_existence(found, source)
    if found:
        yield judge_oldest_transaction(server, source)


def judge_wal_level(server: Server, source: CdcSource) -> Evidence:
    """`logical` OK; anything else FAIL: nothing can be decoded."""
    if server.wal_level == "logical":
        return source_row(source, SourceRule.WAL_LEVEL, server.wal_level, Status.OK)
    remedy = "ALTER SYSTEM SET wal_level = logical, then restart the database; changes until then are not captured."
    return source_row(source, SourceRule.WAL_LEVEL, server.wal_level, Status.FAIL, remedy)


def judge_privilege(server: Server, source: CdcSource) -> Evidence:
    """UNKNOWN without pg_monitor: acknowledgements and long transactions are hidden. More than that is remarked on."""
    if not server.sees_all_sessions:
        value = "without pg_monitor: acknowledgements and long transactions of others are hidden"
        return source_row(source, SourceRule.PRIVILEGE, value, Status.UNKNOWN, GRANT_REMEDY)
    if server.may_replicate:
        value = "sees everything, and could also drop slots"
        remedy = "Use a role of its own that has only pg_monitor."
        return source_row(source, SourceRule.PRIVILEGE, value, Status.OK, remedy)
    return source_row(source, SourceRule.PRIVILEGE, "pg_monitor", Status.OK)


def judge_existence(found: Collection[str], source: CdcSource) -> Iterator[Evidence]:
    """Each expected slot that does not exist FAIL; without any logical slot FAIL: nothing captures changes."""
    for name in source.slots:
        if name not in found:
            remedy = f"Start the connector that creates slot {name!r}, or take it out of checklist.cdc.slots."
            yield source_row(
                source, SourceRule.SLOT_EXISTS, f"expected slot {name} does not exist", Status.FAIL, remedy
            )
    if not found and not source.slots:
        remedy = "Start the connector that creates the slot; until then no change is captured."
        yield source_row(source, SourceRule.SLOT_EXISTS, "no logical slot exists", Status.FAIL, remedy)


def judge_oldest_transaction(server: Server, source: CdcSource) -> Evidence:
    """Age of the oldest writing transaction, which holds back WAL for every slot: 15 min WARN, 1 h FAIL by default."""
    rule = SourceRule.PINNED_BY_XACT
    seconds = server.oldest_transaction_seconds
    if seconds is None:
        if server.sees_all_sessions:
            return source_row(source, rule, "no transaction is writing", Status.OK)
        return source_row(source, rule, None, Status.UNKNOWN, GRANT_REMEDY)
    if server.oldest_prepared is not None:
        who, cure = f"prepared transaction {server.oldest_prepared!r}", f"ROLLBACK PREPARED '{server.oldest_prepared}'"
    else:
        who, cure = f"pid {server.oldest_transaction_pid}", f"pg_terminate_backend({server.oldest_transaction_pid})"
    status = above(seconds, source.transaction_warn_seconds, source.transaction_fail_seconds)
    remedy = f"A long transaction ({who}) holds back WAL: {cure} after asking its owner."
    return source_row(source, rule, f"{who} writes since {age_text(seconds)}", status, remedy)


def source_row(
    source: CdcSource, rule: SourceRule, value: str | None, status: Status | None, remedy: str = ""
) -> Evidence:
    """One row about the source as a whole."""
    return Evidence(
        label=f"{source.name}: {_LABELS[rule]}",
        value=value,
        status=status,
        rule=rule.value,
        query=_QUERIES.get(rule, ""),
        remedy=remedy,
    )


def _version_text(number: int) -> str:
    return f"{number // 10_000}.{number % 10_000}"


_LABELS = {
    SourceRule.REACHABLE: "database",
    SourceRule.WAL_LEVEL: "wal_level",
    SourceRule.PRIVILEGE: "our role",
    SourceRule.SLOT_EXISTS: "slots",
    SourceRule.PINNED_BY_XACT: "oldest writing transaction",
}
_QUERIES = {
    SourceRule.WAL_LEVEL: "SHOW wal_level",
    SourceRule.SLOT_EXISTS: "SELECT slot_name, plugin, database, active FROM pg_replication_slots",
    SourceRule.PINNED_BY_XACT: "SELECT pid, usename, application_name, now() - xact_start, query FROM pg_stat_activity "
    "WHERE backend_xid IS NOT NULL ORDER BY xact_start",
}
