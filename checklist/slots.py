"""Verdicts over logical replication slots of PostgreSQL: pure functions of what one poll and the memory saw.

Rows come from `checklist.cdc`, memory from `checklist.slot_memory`. The traps that the rules avoid were found on real
servers: `active` proves nothing, retained WAL is not lag, a lost slot still shows a number, and a slot that was
recreated loses changes without any error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from checklist.model import Evidence, Status
from checklist.source import GRANT_REMEDY, Server, above
from checklist.wording import age_text, bytes_text
from settings import CdcSource

MIB = 2**20


class Rule(StrEnum):
    """Ids of the rules over one slot, as they stand in the documentation."""

    SLOT_LOST = "cdc.slot_lost"
    SLOT_IDENTITY = "cdc.slot_identity"
    SLOT_ACTIVE = "cdc.slot_active"
    CONSUMER_ACK = "cdc.consumer_ack"
    LAG = "cdc.lag"
    WAL_BUDGET = "cdc.wal_budget"
    CATALOG_XMIN = "cdc.catalog_xmin"


@dataclass(frozen=True)
class Slot:
    """One logical slot as one poll saw it; LSNs as byte positions, None where the server gives NULL.

    Attributes:
        retained_bytes: WAL held back on disk for the slot; None once it is lost.
        unconfirmed_bytes: WAL that the consumer has not confirmed.
        reply_age_seconds: time since the consumer's last status message.
        inactive_seconds: time without a consumer as the server counts it (17 and later).
        decoded_transactions: counted by the server since the slot was created (14 and later).
        counted_since: names the period of that count: it begins anew with the server and with a reset of statistics.
        synced: a standby's copy that the primary keeps in step (17 and later).
    """

    name: str
    plugin: str
    database: str
    active: bool
    wal_status: str
    safe_wal_bytes: int | None
    restart_lsn: int | None
    confirmed_lsn: int | None
    retained_bytes: int | None
    unconfirmed_bytes: int | None
    reply_age_seconds: float | None
    inactive_seconds: float | None
    invalidation_reason: str | None
    conflicting: bool
    catalog_xmin_age: int | None
    decoded_transactions: int | None
    counted_since: str = ""
    synced: bool = False


@dataclass(frozen=True)
class SlotHistory:
    """What earlier polls add to a slot's row; see `checklist.slot_memory`.

    Attributes:
        inactive_seconds: time since polls first saw the slot without a consumer; None while it has one.
        lag_seconds: age of the first WAL position beyond what is confirmed; None when no earlier poll can tell.
        lag_is_at_least: the true lag may be longer than `lag_seconds`: no poll is old enough.
        warn_held_seconds, fail_held_seconds: how long lag has been above each threshold; None while below.
        seconds_to_full: time until the WAL budget is used up at the present rate; None unless the slot stands still.
        identity_lost: why the slot is not the one it was; None when it is.
        identity_changed: what else about it changed; None when nothing did.
    """

    inactive_seconds: float | None = None
    lag_seconds: float | None = None
    lag_is_at_least: bool = False
    warn_held_seconds: float | None = None
    fail_held_seconds: float | None = None
    seconds_to_full: float | None = None
    identity_lost: str | None = None
    identity_changed: str | None = None


def judge_slot(slot: Slot, server: Server, history: SlotHistory, source: CdcSource) -> Iterator[Evidence]:
    """Every verdict on one slot. A lost slot mutes activity, acknowledgement, lag and budget: they say nothing then."""
    yield judge_lost(slot, source)
    yield judge_identity(slot, history, source)
    if is_lost(slot):
        return
    if slot.synced:
        yield _row(slot, source, Rule.SLOT_ACTIVE, "kept in step from the primary", None)
        return
    yield judge_active(slot, history, source)
    if slot.active:
        yield judge_ack(slot, server, source)
    yield judge_lag(slot, history, source)
    yield judge_budget(slot, server, history, source)
    yield judge_catalog_xmin(slot, source)


def is_lost(slot: Slot) -> bool:
    """Whether the slot can never be read again."""
    return slot.wal_status == "lost" or bool(slot.invalidation_reason) or slot.conflicting


def judge_lost(slot: Slot, source: CdcSource) -> Evidence:
    """`reserved` OK, `extended` WARN, `unreserved`, `lost` or any invalidation FAIL, at once."""
    if is_lost(slot):
        reason = slot.invalidation_reason or ("conflicting" if slot.conflicting else "")
        value = f"{slot.wal_status} ({reason})" if reason else slot.wal_status
        remedy = (
            "The WAL is gone: changes since then are lost. Stop the connector, drop the slot, create a new one and "
            "take a new snapshot (incremental); then raise max_slot_wal_keep_size."
        )
        return _row(slot, source, Rule.SLOT_LOST, value, Status.FAIL, remedy=remedy)
    if slot.wal_status == "reserved":
        return _row(slot, source, Rule.SLOT_LOST, slot.wal_status, Status.OK)
    if slot.wal_status == "extended":
        remedy = "The slot holds more WAL than max_wal_size: bring its consumer back before max_slot_wal_keep_size."
        return _row(slot, source, Rule.SLOT_LOST, slot.wal_status, Status.WARN, remedy=remedy)
    if slot.wal_status == "unreserved":
        remedy = (
            "The consumer has until the next checkpoint: restart it now and raise max_slot_wal_keep_size (a reload is "
            "enough)."
        )
        return _row(slot, source, Rule.SLOT_LOST, slot.wal_status, Status.FAIL, remedy=remedy)
    return _row(slot, source, Rule.SLOT_LOST, slot.wal_status or None, Status.UNKNOWN)


def judge_identity(slot: Slot, history: SlotHistory, source: CdcSource) -> Evidence:
    """A slot that was recreated, or moved without a consumer, FAIL until accepted; another plugin or database WARN."""
    if history.identity_lost is not None:
        return _row(
            slot,
            source,
            Rule.SLOT_IDENTITY,
            history.identity_lost,
            Status.FAIL,
            remedy="Changes in between may be lost without any error: compare row counts, take a new snapshot. Then "
            f"`andon checklist --accept-slot {source.name}/{slot.name}`.",
        )
    if history.identity_changed is not None:
        remedy = f"If it is meant: `andon checklist --accept-slot {source.name}/{slot.name}`."
        return _row(slot, source, Rule.SLOT_IDENTITY, history.identity_changed, Status.WARN, remedy=remedy)
    return _row(slot, source, Rule.SLOT_IDENTITY, "the same slot", Status.OK)


def judge_active(slot: Slot, history: SlotHistory, source: CdcSource) -> Evidence:
    """Without a consumer for `inactive_warn_seconds` WARN, for `inactive_fail_seconds` FAIL."""
    if slot.active:
        return _row(slot, source, Rule.SLOT_ACTIVE, "a consumer is connected", Status.OK)
    # The server forgets its own count at a restart, our memory when it is new: the longer one is true.
    seconds = max(slot.inactive_seconds or 0.0, history.inactive_seconds or 0.0)
    remedy = f"Restart the connector. If it is retired: SELECT pg_drop_replication_slot('{slot.name}')."
    status = above(seconds, source.inactive_warn_seconds, source.inactive_fail_seconds)
    return _row(slot, source, Rule.SLOT_ACTIVE, f"no consumer for {age_text(seconds)}", status, remedy=remedy)


def judge_ack(slot: Slot, server: Server, source: CdcSource) -> Evidence:
    """Time since the last acknowledgement, while there is something to acknowledge: 30 s WARN, 60 s FAIL by default."""
    if slot.reply_age_seconds is None:
        value = "no acknowledgement seen" if server.sees_all_sessions else "hidden from this role"
        remedy = "" if server.sees_all_sessions else GRANT_REMEDY
        return _row(slot, source, Rule.CONSUMER_ACK, value, Status.UNKNOWN, remedy=remedy)
    value = f"last acknowledgement {age_text(slot.reply_age_seconds)} ago"
    if not slot.unconfirmed_bytes:
        return _row(slot, source, Rule.CONSUMER_ACK, f"{value}, nothing to confirm", Status.OK)
    remedy = "The consumer is connected but does not acknowledge: look for a blocked sink, a full queue, a long pause."
    status = above(slot.reply_age_seconds, source.ack_warn_seconds, source.ack_fail_seconds)
    return _row(slot, source, Rule.CONSUMER_ACK, value, status, remedy=remedy)


def judge_lag(slot: Slot, history: SlotHistory, source: CdcSource) -> Evidence:
    """Unconfirmed WAL in bytes and in seconds; a threshold counts once it has held for `lag_hold_seconds`."""
    if slot.unconfirmed_bytes is None:
        return _row(slot, source, Rule.LAG, None, Status.UNKNOWN)
    seconds = "unknown age" if history.lag_seconds is None else age_text(history.lag_seconds)
    value = f"{bytes_text(slot.unconfirmed_bytes)}, {'at least ' if history.lag_is_at_least else ''}{seconds}"
    remedy = "Look at the connector's queue, its sink and the size of transactions; pause bulk jobs. A consumer that "
    remedy += "only confirms its own events needs a heartbeat table."
    if history.fail_held_seconds is not None and history.fail_held_seconds >= source.lag_hold_seconds:
        return _row(slot, source, Rule.LAG, value, Status.FAIL, remedy=remedy)
    if history.warn_held_seconds is not None and history.warn_held_seconds >= source.lag_hold_seconds:
        return _row(slot, source, Rule.LAG, value, Status.WARN, remedy=remedy)
    if history.lag_seconds is None and slot.unconfirmed_bytes > source.lag_floor_bytes:
        return _row(
            slot, source, Rule.LAG, value, Status.UNKNOWN, remedy="The age of lag is known from the next look on."
        )
    return _row(slot, source, Rule.LAG, value, Status.OK)


def lag_is_above(unconfirmed: int, seconds: float | None, limit_bytes: int, limit_seconds: float, floor: int) -> bool:
    """Whether lag passes a threshold now; below `floor` bytes its age does not count."""
    return unconfirmed >= limit_bytes or (unconfirmed > floor and seconds is not None and seconds >= limit_seconds)


def judge_budget(slot: Slot, server: Server, history: SlotHistory, source: CdcSource) -> Evidence:
    """Share of max_slot_wal_keep_size left: below half WARN, below a fifth or soon used up FAIL; unlimited WARN."""
    retained = "" if slot.retained_bytes is None else f", {bytes_text(slot.retained_bytes)} retained"
    if server.keep_mb < 0:
        remedy = (
            "A slot without a limit can fill the disk and stop the database: set max_slot_wal_keep_size, for example "
            "to 25 % of the volume (a reload is enough)."
        )
        return _row(slot, source, Rule.WAL_BUDGET, f"unlimited{retained}", Status.WARN, remedy=remedy)
    if slot.safe_wal_bytes is None or server.keep_mb == 0:
        return _row(slot, source, Rule.WAL_BUDGET, None, Status.UNKNOWN)
    left = min(1.0, slot.safe_wal_bytes / (server.keep_mb * MIB))
    value = f"{max(0.0, left) * 100:.0f} % of {bytes_text(server.keep_mb * MIB)} left{retained}"
    soon = history.seconds_to_full is not None and history.seconds_to_full < source.budget_fail_seconds
    if soon:
        value += f", used up in {age_text(history.seconds_to_full or 0.0)}"
    remedy = "Restart the consumer or drop the slot that holds most; raise max_slot_wal_keep_size if the disk allows."
    if left < source.budget_fail_fraction or soon:
        return _row(slot, source, Rule.WAL_BUDGET, value, Status.FAIL, remedy=remedy)
    if left < source.budget_warn_fraction:
        return _row(slot, source, Rule.WAL_BUDGET, value, Status.WARN, remedy=remedy)
    return _row(slot, source, Rule.WAL_BUDGET, value, Status.OK)


def judge_catalog_xmin(slot: Slot, source: CdcSource) -> Evidence:
    """Transactions since the slot's catalog_xmin: 50 M WARN, 150 M FAIL by default."""
    if slot.catalog_xmin_age is None:
        return _row(slot, source, Rule.CATALOG_XMIN, "holds none", Status.OK)
    value = f"{slot.catalog_xmin_age:,} transactions old"
    status = above(slot.catalog_xmin_age, source.catalog_xmin_warn, source.catalog_xmin_fail)
    remedy = "Catalog bloat and wraparound threaten: let the consumer advance, or drop the slot."
    return _row(slot, source, Rule.CATALOG_XMIN, value, status, remedy=remedy)


_QUERIES = {
    Rule.CONSUMER_ACK: "SELECT pid, application_name, state, clock_timestamp() - reply_time AS reply_age "
    "FROM pg_stat_replication",
    Rule.WAL_BUDGET: "SELECT slot_name, wal_status, safe_wal_size, current_setting('max_slot_wal_keep_size') "
    "FROM pg_replication_slots WHERE slot_name = {slot}",
    Rule.LAG: "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn) FROM pg_replication_slots "
    "WHERE slot_name = {slot}",
}
_SLOT_QUERY = "SELECT * FROM pg_replication_slots WHERE slot_name = {slot}"


def _row(
    slot: Slot, source: CdcSource, rule: Rule, value: str | None, status: Status | None, remedy: str = ""
) -> Evidence:
    return Evidence(
        label=f"{source.name} / {slot.name}: {_LABELS[rule]}",
        value=value,
        status=status,
        rule=rule.value,
        query=_QUERIES.get(rule, _SLOT_QUERY).format(slot=f"'{slot.name}'"),
        remedy=remedy if status is not Status.OK else "",
    )


_LABELS = {
    Rule.SLOT_LOST: "WAL of the slot",
    Rule.SLOT_IDENTITY: "identity",
    Rule.SLOT_ACTIVE: "consumer",
    Rule.CONSUMER_ACK: "acknowledgement",
    Rule.LAG: "lag",
    Rule.WAL_BUDGET: "WAL budget",
    Rule.CATALOG_XMIN: "catalog_xmin",
}
