"""What polls of a source add up to: age of lag, time without a consumer, and whether a slot is still the one it was.

A pure step from the memory and one poll to the next memory and each slot's history; `checklist.cdc` keeps the memory
in the control store, so that a restart forgets nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from checklist.slots import Slot, SlotHistory, lag_is_above
from checklist.wal_clock import Sample, lag_seconds, sampled, seconds_until_written
from settings import CdcSource

# Slots that a subscription makes for the first copy of a table, and drops by itself.
TRANSIENT = re.compile(r"pg_\d+_sync_\d+_\d+")


@dataclass(frozen=True)
class SlotMemory:
    """What is remembered of one slot; times are epoch seconds, LSNs byte positions.

    Attributes:
        restart_since: when `restart_lsn` was first seen where it is.
        inactive_since: when polls first saw it without a consumer; None while it has one.
        warn_since, fail_since: when lag passed each threshold; None while it is below.
        missing_since: when a poll first missed it; None while it exists.
        identity_lost, identity_changed: findings that stay until they are accepted.
    """

    plugin: str
    database: str
    active: bool
    confirmed_lsn: int | None
    restart_lsn: int | None
    restart_since: float
    decoded_transactions: int | None
    counted_since: str
    inactive_since: float | None = None
    warn_since: float | None = None
    fail_since: float | None = None
    missing_since: float | None = None
    identity_lost: str | None = None
    identity_changed: str | None = None


@dataclass(frozen=True)
class SourceMemory:
    """What is remembered of one source: WAL positions over time, and its slots by name."""

    samples: tuple[Sample, ...] = ()
    slots: Mapping[str, SlotMemory] | None = None


@dataclass(frozen=True)
class GoneSlot:
    """A slot that earlier polls saw and this one does not; `polls` is 1 the first time, then 2."""

    name: str
    polls: int


@dataclass(frozen=True)
class Step:
    """The outcome of one poll: what to remember, what each slot's row lacks, and which slots are gone."""

    memory: SourceMemory
    histories: Mapping[str, SlotHistory]
    gone: tuple[GoneSlot, ...]


MEMORY_JSON: TypeAdapter[SourceMemory] = TypeAdapter(SourceMemory)


def load(stored: Mapping[str, Any]) -> SourceMemory:
    """The memory as it was stored; empty when there is none."""
    return MEMORY_JSON.validate_python(stored) if stored else SourceMemory()


def dump(memory: SourceMemory) -> dict[str, Any]:
    """The memory as JSON."""
    dumped: dict[str, Any] = MEMORY_JSON.dump_python(memory, mode="json")
    return dumped


def forget_slot(memory: SourceMemory, name: str) -> SourceMemory:
    """The memory without one slot: what it is from now on counts as right."""
    return replace(memory, slots={other: kept for other, kept in (memory.slots or {}).items() if other != name})


def step(memory: SourceMemory, slots: Sequence[Slot], now_lsn: int, source: CdcSource, now: datetime) -> Step:
    """Take one poll into the memory.

    Args:
        slots: every logical slot the poll saw, those to ignore already left out.
        now_lsn: end of the server's WAL.
    """
    at = now.timestamp()
    samples = sampled(memory.samples, Sample(at, now_lsn))
    known = memory.slots or {}
    kept: dict[str, SlotMemory] = {}
    histories: dict[str, SlotHistory] = {}
    for slot in slots:
        kept[slot.name], histories[slot.name] = _step_slot(known.get(slot.name), slot, samples, source, at)
    gone = []
    for name, before in known.items():
        if name in kept or name in source.ignored_slots or TRANSIENT.fullmatch(name):
            continue
        gone.append(GoneSlot(name, 1 if before.missing_since is None else 2))
        kept[name] = before if before.missing_since is not None else replace(before, missing_since=at)
    return Step(SourceMemory(samples, kept), histories, tuple(gone))


def _step_slot(
    before: SlotMemory | None, slot: Slot, samples: Sequence[Sample], source: CdcSource, at: float
) -> tuple[SlotMemory, SlotHistory]:
    age, at_least = lag_seconds(samples, slot.confirmed_lsn, at)
    unconfirmed = slot.unconfirmed_bytes or 0
    floor = source.lag_floor_bytes
    warns = lag_is_above(unconfirmed, age, source.lag_warn_bytes, source.lag_warn_seconds, floor)
    fails = lag_is_above(unconfirmed, age, source.lag_fail_bytes, source.lag_fail_seconds, floor)
    # A slot never seen before has no past to hold in: what it shows at first sight is taken as it is.
    first = at - source.lag_hold_seconds if before is None else at
    moved = before is None or before.restart_lsn != slot.restart_lsn
    lost, changed = _identity(before, slot, source)
    after = SlotMemory(
        plugin=slot.plugin,
        database=slot.database,
        active=slot.active,
        confirmed_lsn=slot.confirmed_lsn,
        restart_lsn=slot.restart_lsn,
        restart_since=at if before is None or moved else before.restart_since,
        decoded_transactions=slot.decoded_transactions,
        counted_since=slot.counted_since,
        inactive_since=None if slot.active else _since(before.inactive_since if before else None, at),
        warn_since=_since(before.warn_since if before else None, first) if warns else None,
        fail_since=_since(before.fail_since if before else None, first) if fails else None,
        identity_lost=lost,
        identity_changed=changed,
    )
    history = SlotHistory(
        inactive_seconds=_elapsed(after.inactive_since, at),
        lag_seconds=age,
        lag_is_at_least=at_least,
        warn_held_seconds=_elapsed(after.warn_since, at),
        fail_held_seconds=_elapsed(after.fail_since, at),
        seconds_to_full=seconds_until_written(samples, slot.safe_wal_bytes, after.restart_since, at),
        identity_lost=lost,
        identity_changed=changed,
    )
    return after, history


def _identity(before: SlotMemory | None, slot: Slot, source: CdcSource) -> tuple[str | None, str | None]:
    if before is None:
        return None, None
    lost, changed = before.identity_lost, before.identity_changed
    if before.missing_since is not None:
        lost = "it was gone for a while and exists again: it was dropped and created anew"
    elif _counts_fell(before, slot):
        lost = "its counters began anew: it was dropped and created again"
    elif _jumped_while_idle(before, slot, source):
        lost = "it moved without a consumer: it was created again or advanced by hand"
    if (before.plugin, before.database) != (slot.plugin, slot.database):
        changed = f"{before.plugin} on {before.database} became {slot.plugin} on {slot.database}"
    return lost, changed


def _counts_fell(before: SlotMemory, slot: Slot) -> bool:
    if before.decoded_transactions is None or slot.decoded_transactions is None:
        return False
    return before.counted_since == slot.counted_since and slot.decoded_transactions < before.decoded_transactions


def _jumped_while_idle(before: SlotMemory, slot: Slot, source: CdcSource) -> bool:
    if before.active or slot.active or source.consumers == "batched":
        return False
    if before.confirmed_lsn is None or slot.confirmed_lsn is None or slot.confirmed_lsn <= before.confirmed_lsn:
        return False
    return not _decoded_something(before, slot)


def _decoded_something(before: SlotMemory, slot: Slot) -> bool:
    # A consumer that came and went between two polls leaves its count behind.
    if before.decoded_transactions is None or slot.decoded_transactions is None:
        return False
    return before.counted_since == slot.counted_since and slot.decoded_transactions > before.decoded_transactions


def _since(before: float | None, at: float) -> float:
    return before if before is not None else at


def _elapsed(since: float | None, at: float) -> float | None:
    return None if since is None else max(0.0, at - since)
