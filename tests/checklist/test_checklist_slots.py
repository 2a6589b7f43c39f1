"""Verdicts over one logical slot, each on rows written out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from checklist.model import Evidence, Status
from checklist.slots import (
    Slot,
    SlotHistory,
    judge_ack,
    judge_active,
    judge_budget,
    judge_catalog_xmin,
    judge_identity,
    judge_lag,
    judge_lost,
    judge_slot,
    lag_is_above,
)
from checklist.source import Server, judge_existence, judge_oldest_transaction, judge_privilege, judge_wal_level
from settings import CdcSource

MIB = 2**20
SOURCE = CdcSource(name="shop", url="postgresql://andon@db/shop")
HEALTHY = Slot(
    name="orders",
    plugin="pgoutput",
    database="shop",
    active=True,
    wal_status="reserved",
    safe_wal_bytes=192 * MIB,
    restart_lsn=1_000,
    confirmed_lsn=1_056,
    retained_bytes=56,
    unconfirmed_bytes=56,
    reply_age_seconds=0.1,
    inactive_seconds=None,
    invalidation_reason=None,
    conflicting=False,
    catalog_xmin_age=3,
    decoded_transactions=7,
)
SERVER = Server(
    version=180004,
    wal_level="logical",
    keep_mb=192,
    now_lsn=1_112,
    sees_all_sessions=True,
    may_replicate=False,
    oldest_transaction_seconds=None,
    oldest_transaction_pid=None,
)
CALM = SlotHistory(lag_seconds=0.0)


def slot(**changes: Any) -> Slot:
    return replace(HEALTHY, **changes)


def test_a_healthy_slot_is_ok_in_every_row() -> None:
    assert {row.status for row in judge_slot(HEALTHY, SERVER, CALM, SOURCE)} == {Status.OK}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"wal_status": "reserved"}, Status.OK),
        ({"wal_status": "extended"}, Status.WARN),
        ({"wal_status": "unreserved", "safe_wal_bytes": -5_876_680}, Status.FAIL),
        ({"wal_status": "lost", "safe_wal_bytes": None, "retained_bytes": None}, Status.FAIL),
        ({"invalidation_reason": "idle_timeout"}, Status.FAIL),
        ({"conflicting": True}, Status.FAIL),
        ({"wal_status": "something new"}, Status.UNKNOWN),
        ({"wal_status": ""}, Status.UNKNOWN),
    ],
)
def test_the_state_of_a_slots_wal_decides_at_once(changes: dict[str, Any], status: Status) -> None:
    assert judge_lost(slot(**changes), SOURCE).status is status


def test_a_lost_slot_is_judged_by_its_wal_although_it_still_shows_a_number() -> None:
    lost = slot(
        wal_status="lost", retained_bytes=None, unconfirmed_bytes=229_004_040, invalidation_reason="wal_removed",
        active=False,
    )  # fmt: skip
    rows = list(judge_slot(lost, SERVER, SlotHistory(inactive_seconds=1e6), SOURCE))
    assert [(row.rule, row.status) for row in rows] == [
        ("cdc.slot_lost", Status.FAIL),
        ("cdc.slot_identity", Status.OK),
    ]


def test_a_copy_that_the_primary_keeps_in_step_needs_no_consumer() -> None:
    copy = slot(active=False, synced=True)
    rows = judge_slot(copy, SERVER, SlotHistory(inactive_seconds=1e6), SOURCE)
    assert {row.status for row in rows} == {Status.OK, None}


@pytest.mark.parametrize(
    ("by_server", "by_polls", "status"),
    [
        (59.9, 0.0, Status.OK),
        (60.0, 0.0, Status.WARN),
        (299.9, None, Status.WARN),
        (300.0, None, Status.FAIL),
        (3.0, 300.0, Status.FAIL),  # the server was restarted and counts anew; the polls remember
        (None, 60.0, Status.WARN),  # before version 17 the polls alone know
    ],
)
def test_inactivity_is_the_longer_of_what_server_and_polls_know(
    by_server: float | None, by_polls: float | None, status: Status
) -> None:
    found = judge_active(slot(active=False, inactive_seconds=by_server), SlotHistory(by_polls), SOURCE)
    assert found.status is status


def test_an_active_slot_alone_proves_nothing_acknowledgements_do() -> None:
    def acknowledged(seconds: float | None, unconfirmed: int = 10_421_800) -> Status | None:
        return judge_ack(slot(reply_age_seconds=seconds, unconfirmed_bytes=unconfirmed), SERVER, SOURCE).status

    assert acknowledged(29.9) is Status.OK
    assert acknowledged(30.0) is Status.WARN
    assert acknowledged(60.0) is Status.FAIL
    assert acknowledged(60.0, unconfirmed=0) is Status.OK
    assert acknowledged(None) is Status.UNKNOWN


@pytest.mark.parametrize(
    ("warn_held", "fail_held", "status"),
    [
        (None, None, Status.OK),
        (119.9, None, Status.OK),
        (120.0, None, Status.WARN),
        (120.0, 119.9, Status.WARN),
        (240.0, 120.0, Status.FAIL),
    ],
)
def test_lag_counts_once_it_has_held(warn_held: float | None, fail_held: float | None, status: Status) -> None:
    history = SlotHistory(lag_seconds=1.0, warn_held_seconds=warn_held, fail_held_seconds=fail_held)
    assert judge_lag(HEALTHY, history, SOURCE).status is status


def test_lag_of_unknown_age_is_unknown_unless_it_is_too_little_to_matter() -> None:
    unknown = SlotHistory(lag_seconds=None)
    assert judge_lag(slot(unconfirmed_bytes=64 * 1024), unknown, SOURCE).status is Status.OK
    assert judge_lag(slot(unconfirmed_bytes=64 * 1024 + 1), unknown, SOURCE).status is Status.UNKNOWN
    assert judge_lag(slot(unconfirmed_bytes=None), unknown, SOURCE).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("unconfirmed", "seconds", "above"),
    [
        (256 * MIB - 1, 59.9, False),
        (256 * MIB, None, True),
        (65_537, 60.0, True),
        (65_536, 86_400.0, False),  # an idle server writes a little that nobody confirms for hours
        (0, 0.0, False),
    ],
)
def test_lag_is_above_by_bytes_or_by_age_beyond_a_floor(unconfirmed: int, seconds: float | None, above: bool) -> None:
    assert lag_is_above(unconfirmed, seconds, 256 * MIB, 60.0, 65_536) is above


@pytest.mark.parametrize(
    ("safe_mib", "keep_mb", "seconds_to_full", "status"),
    [
        (192, 192, None, Status.OK),
        (203, 192, None, Status.OK),  # the server rounds up to whole segments
        (96, 192, None, Status.OK),  # exactly half
        (95, 192, None, Status.WARN),
        (39, 192, None, Status.WARN),  # 20.3 %
        (38, 192, None, Status.FAIL),  # 19.8 %
        (-6, 192, None, Status.FAIL),
        (192, 192, 4 * 3600 - 1, Status.FAIL),
        (192, 192, 4 * 3600, Status.OK),
        (None, -1, None, Status.WARN),
        (None, 192, None, Status.UNKNOWN),
    ],
)
def test_the_wal_budget(safe_mib: int | None, keep_mb: int, seconds_to_full: float | None, status: Status) -> None:
    found = judge_budget(
        slot(safe_wal_bytes=None if safe_mib is None else safe_mib * MIB),
        replace(SERVER, keep_mb=keep_mb),
        SlotHistory(seconds_to_full=seconds_to_full),
        SOURCE,
    )
    assert found.status is status


@pytest.mark.parametrize(
    ("age", "status"),
    [
        (None, Status.OK),
        (49_999_999, Status.OK),
        (50_000_000, Status.WARN),
        (150_000_000, Status.FAIL),
    ],
)
def test_the_age_of_catalog_xmin(age: int | None, status: Status) -> None:
    assert judge_catalog_xmin(slot(catalog_xmin_age=age), SOURCE).status is status


def test_identity_fails_when_lost_and_warns_when_changed() -> None:
    assert judge_identity(HEALTHY, SlotHistory(identity_lost="recreated"), SOURCE).status is Status.FAIL
    assert judge_identity(HEALTHY, SlotHistory(identity_changed="other plugin"), SOURCE).status is Status.WARN


@pytest.mark.parametrize(
    ("seconds", "status"), [(None, Status.OK), (899.9, Status.OK), (900.0, Status.WARN), (3600.0, Status.FAIL)]
)
def test_a_long_transaction_pins_wal(seconds: float | None, status: Status) -> None:
    server = replace(SERVER, oldest_transaction_seconds=seconds, oldest_transaction_pid=4711)
    assert judge_oldest_transaction(server, SOURCE).status is status


def test_a_forgotten_prepared_transaction_is_named_with_its_cure() -> None:
    server = replace(SERVER, oldest_transaction_seconds=7200.0, oldest_prepared="migration-9")
    assert "ROLLBACK PREPARED 'migration-9'" in judge_oldest_transaction(server, SOURCE).remedy


def test_long_transactions_are_unknown_to_a_role_that_cannot_see_them() -> None:
    assert judge_oldest_transaction(replace(SERVER, sees_all_sessions=False), SOURCE).status is Status.UNKNOWN


@pytest.mark.parametrize("level", ["minimal", "replica"])
def test_without_logical_decoding_nothing_is_captured(level: str) -> None:
    assert judge_wal_level(replace(SERVER, wal_level=level), SOURCE).status is Status.FAIL


def test_every_missing_expected_slot_fails_by_name() -> None:
    expecting = SOURCE.model_copy(update={"slots": ("orders", "users")})
    found: list[Evidence] = list(judge_existence(["orders"], expecting))
    assert [(row.status, row.value) for row in found] == [(Status.FAIL, "expected slot users does not exist")]


def test_pg_monitor_is_enough_and_less_is_unknown() -> None:
    assert judge_privilege(SERVER, SOURCE).status is Status.OK
    assert judge_privilege(replace(SERVER, sees_all_sessions=False), SOURCE).status is Status.UNKNOWN
    generous = judge_privilege(replace(SERVER, may_replicate=True), SOURCE)
    assert (generous.status, generous.remedy) == (Status.OK, "Use a role of its own that has only pg_monitor.")


def test_what_is_not_ok_comes_with_a_remedy() -> None:
    sick = slot(wal_status="extended", active=False, catalog_xmin_age=10**9, safe_wal_bytes=0)
    history = SlotHistory(1e6, 1e6, False, 1e6, 1e6, 1.0, "recreated")
    rows = [row for row in judge_slot(sick, SERVER, history, SOURCE) if row.status is not Status.OK]
    assert len(rows) == 6
    assert all(row.remedy and row.query for row in rows)
