"""The CDC check: one read-only query to each PostgreSQL source, and the verdicts over what it returns.

Sources come from `checklist.cdc`; verdicts from `checklist.source` and `checklist.slots`. The role needs pg_monitor:
the check holds no right to read, advance or drop a slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

import psycopg

from checklist.cdc_query import UnusableUrlError, ask, redacted
from checklist.context import CheckContext, Memory
from checklist.model import CheckResult, Evidence, Status, conclude
from checklist.slot_memory import GoneSlot, Step, dump, forget_slot, load, step
from checklist.slots import Rule, Slot, judge_slot
from checklist.source import GRANT_REMEDY, Server, SourceRule, judge_server, source_row
from settings import CdcSource

CONFIGURE = (
    "Name the databases whose changes are captured: [[checklist.cdc]] with name and url in andon.toml. "
    "A role that has pg_monitor is enough: `CREATE ROLE andon LOGIN PASSWORD '...'; GRANT pg_monitor TO andon;`"
)


@dataclass(frozen=True)
class Answer:
    """What one source answered, or why it did not."""

    source: CdcSource
    address: str = ""
    server: Server | None = None
    slots: tuple[Slot, ...] = ()
    trouble: Evidence | None = None


class CdcCheck:
    """Are changes of the source databases captured, consumed and safe?"""

    name = "cdc"
    title = "Change data capture"

    def run(self, context: CheckContext, now: datetime) -> CheckResult:
        sources = context.settings.checklist.cdc
        if not sources:
            nothing = Evidence("sources", "none configured", Status.UNKNOWN, basis="checklist.cdc", remedy=CONFIGURE)
            return conclude(self.name, self.title, (nothing,), "", now)
        with ThreadPoolExecutor(len(sources), thread_name_prefix="checklist-cdc") as pool:
            answers = list(pool.map(_ask, sources))
        evidence: list[Evidence] = []
        for answer in answers:
            evidence += _judge(answer, context.memory, now)
        slots = sum(len(answer.slots) for answer in answers)
        all_well = f"{slots} {'slot is' if slots == 1 else 'slots are'} consumed and safe on {_names(sources)}"
        return conclude(self.name, self.title, tuple(evidence), all_well, now)


def accept_slot(memory: Memory, source: str, slot: str, now: datetime) -> bool:
    """Take a slot as it is from now on; whether it was known at all.

    Args:
        memory: the memory of the check called `cdc`.
    """
    known = load(memory.read(source))
    if slot not in (known.slots or {}):
        return False
    memory.write(source, dump(forget_slot(known, slot)), now)
    return True


def _ask(source: CdcSource) -> Answer:
    try:
        address, server, slots = ask(source)
    except UnusableUrlError as error:
        return Answer(source, trouble=source_row(source, SourceRule.REACHABLE, str(error), Status.UNKNOWN, CONFIGURE))
    except psycopg.errors.InsufficientPrivilege as error:
        value = redacted(error, source)
        return Answer(source, trouble=source_row(source, SourceRule.PRIVILEGE, value, Status.UNKNOWN, GRANT_REMEDY))
    except psycopg.OperationalError as error:
        remedy = "Is the database up, and may Andon reach it (network, pg_hba, password, connections left)?"
        value = f"cannot be asked: {redacted(error, source)}"
        return Answer(source, trouble=source_row(source, SourceRule.REACHABLE, value, Status.FAIL, remedy))
    except psycopg.Error as error:
        value = f"did not understand the question: {redacted(error, source)}"
        remedy = "PostgreSQL 13 or later is needed."
        return Answer(source, trouble=source_row(source, SourceRule.REACHABLE, value, Status.UNKNOWN, remedy))
    judged = tuple(slot for slot in slots if slot.name not in source.ignored_slots)
    return Answer(source, address, server, judged)


def _judge(answer: Answer, memory: Memory, now: datetime) -> Sequence[Evidence]:
    if answer.trouble is not None or answer.server is None:
        # An unreachable database mutes every other verdict, and leaves the memory as it was.
        return [answer.trouble] if answer.trouble is not None else []
    source, server = answer.source, answer.server
    outcome: Step = step(load(memory.read(source.name)), answer.slots, server.now_lsn, source, now)
    memory.write(source.name, dump(outcome.memory), now)
    rows = list(judge_server(server, answer.address, [slot.name for slot in answer.slots], source))
    for slot in answer.slots:
        rows += judge_slot(slot, server, outcome.histories[slot.name], source)
    rows += [_gone(gone, source) for gone in outcome.gone]
    return rows


def _gone(gone: GoneSlot, source: CdcSource) -> Evidence:
    return Evidence(
        label=f"{source.name} / {gone.name}: identity",
        value="the slot has disappeared",
        status=Status.WARN if gone.polls < 2 else Status.FAIL,
        rule=Rule.SLOT_IDENTITY.value,
        query="SELECT slot_name, plugin, database, active FROM pg_replication_slots",
        remedy="Whoever reads it next misses every change since it was dropped: take a new snapshot. If it is retired: "
        f"`andon checklist --accept-slot {source.name}/{gone.name}`.",
    )


def _names(sources: Sequence[CdcSource]) -> str:
    return ", ".join(source.name for source in sources)
