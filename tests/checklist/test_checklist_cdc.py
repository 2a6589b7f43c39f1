"""The CDC check against a real PostgreSQL with real consumers of its logical slots."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from datetime import timedelta

import psycopg
import pytest
from captured_source import MONITOR_PASSWORD, NOW, Source, row

from checklist.cdc import CdcCheck, accept_slot
from checklist.cdc_query import cut_off
from checklist.context import CheckContext
from checklist.memory import StoredMemory
from checklist.model import CheckResult, Status
from settings import CdcSource, ChecklistSettings
from tests.postgres import LOGICAL, running_postgres

pytestmark = pytest.mark.postgres


def until(look: Callable[[], CheckResult], ready: Callable[[CheckResult], bool], seconds: float = 20) -> CheckResult:
    """Look again until the real server is where the test needs it."""
    deadline = time.monotonic() + seconds
    while not ready(result := look()):
        assert time.monotonic() < deadline, [(r.rule, r.status, r.value) for r in result.evidence]
        time.sleep(0.1)
    return result


def acknowledged(result: CheckResult) -> bool:
    return any(r.rule == "cdc.consumer_ack" and r.status is Status.OK for r in result.evidence)


def streaming(source: Source) -> CheckResult:
    source.create_slot()
    source.consume()
    return until(source.look, acknowledged)


def test_a_streaming_consumer_is_healthy(source: Source) -> None:
    streaming(source)
    source.write(0.1)
    result = until(source.look, lambda found: found.status is Status.OK)
    assert result.summary == "1 slot is consumed and safe on shop"
    assert {r.rule for r in result.evidence} == {
        "cdc.reachable", "cdc.wal_level", "cdc.privilege", "cdc.pinned_by_xact", "cdc.slot_lost", "cdc.slot_identity",
        "cdc.slot_active", "cdc.consumer_ack", "cdc.lag", "cdc.wal_budget", "cdc.catalog_xmin",
    }  # fmt: skip
    assert row(result, "cdc.privilege").value == "pg_monitor"


def test_a_stopped_consumer_warns_after_a_minute_and_fails_after_five(source: Source) -> None:
    streaming(source)
    source.consumers[0].stop()
    until(source.look, lambda found: "no consumer" in (row(found, "cdc.slot_active").value or ""))
    assert row(source.look(NOW + timedelta(seconds=59)), "cdc.slot_active").status is Status.OK
    assert row(source.look(NOW + timedelta(seconds=60)), "cdc.slot_active").status is Status.WARN
    failed = source.look(NOW + timedelta(seconds=300))
    assert failed.status is Status.FAIL
    assert row(failed, "cdc.slot_active").value == "no consumer for 5 min"
    assert "Restart the connector" in failed.remedy


def test_a_frozen_consumer_is_found_although_its_slot_stays_active(source: Source) -> None:
    streaming(source)
    source.consumers[0].pause()
    source.write(0.5)

    def look() -> CheckResult:
        return source.look(ack_warn_seconds=0.5, ack_fail_seconds=1.5)

    result = until(look, lambda found: row(found, "cdc.consumer_ack").status is Status.FAIL)
    assert row(result, "cdc.slot_active").status is Status.OK
    assert "does not acknowledge" in row(result, "cdc.consumer_ack").remedy


def test_lag_in_seconds_fails_once_it_has_held(source: Source) -> None:
    streaming(source)
    source.consumers[0].pause()
    source.write(0.5)

    def lag(seconds: float) -> Status | None:
        found = row(source.look(NOW + timedelta(seconds=seconds), ack_fail_seconds=600), "cdc.lag")
        return found.status

    assert lag(15) is Status.OK  # 0 s old: the position was first seen now
    assert lag(80) is Status.OK  # 65 s: above 60 s, held 0 of 120 s
    assert lag(200) is Status.WARN  # held 120 s
    assert lag(320) is Status.WARN  # 305 s: above 300 s, held 0 of 120 s
    assert lag(440) is Status.FAIL  # held 120 s
    source.consumers[0].resume()
    until(
        lambda: source.look(NOW + timedelta(seconds=450)),
        lambda found: row(found, "cdc.lag").status is Status.OK,
    )


def test_lag_in_bytes_counts_at_the_first_look(source: Source) -> None:
    source.create_slot()
    source.write(3)
    result = source.look(lag_warn_bytes=10**6, lag_fail_bytes=2 * 10**6)
    assert row(result, "cdc.lag").status is Status.FAIL


def test_a_slot_whose_wal_was_removed_is_lost_and_mutes_what_it_cannot_say(source: Source) -> None:
    source.create_slot()
    source.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '4MB'")
    source.execute("SELECT pg_reload_conf()")
    source.write(8)
    source.execute("CHECKPOINT")
    result = until(source.look, lambda found: "lost" in (row(found, "cdc.slot_lost").value or ""))
    assert result.status is Status.FAIL
    assert row(result, "cdc.slot_lost").value == "lost (wal_removed)"
    assert "new snapshot" in row(result, "cdc.slot_lost").remedy
    assert not {"cdc.slot_active", "cdc.consumer_ack", "cdc.lag", "cdc.wal_budget"} & {r.rule for r in result.evidence}


def test_wal_beyond_the_budget_fails_before_it_is_lost(source: Source) -> None:
    source.create_slot()
    source.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '20MB'")
    source.execute("SELECT pg_reload_conf()")
    source.write(17)
    until(source.look, lambda found: row(found, "cdc.wal_budget").status is Status.FAIL)


def test_a_server_without_a_wal_limit_warns(source: Source) -> None:
    streaming(source)
    source.execute("ALTER SYSTEM SET max_slot_wal_keep_size = -1")
    source.execute("SELECT pg_reload_conf()")
    result = until(source.look, lambda found: row(found, "cdc.wal_budget").status is Status.WARN)
    assert "max_slot_wal_keep_size" in result.remedy


def test_a_slot_recreated_between_two_looks_is_not_the_same_slot(source: Source) -> None:
    source.create_slot()
    source.look()
    source.write(0.5)
    source.execute("SELECT pg_drop_replication_slot('orders_slot')")
    source.create_slot()
    result = source.look(NOW + timedelta(seconds=15))
    identity = row(result, "cdc.slot_identity")
    assert (result.status, identity.status) == (Status.FAIL, Status.FAIL)
    assert "without a consumer" in (identity.value or "")


def test_a_slot_recreated_under_a_running_consumer_betrays_itself_by_its_counters(source: Source) -> None:
    streaming(source)
    for _ in range(3):
        source.write(0.01)
    counted = "SELECT total_txns FROM pg_stat_replication_slots"
    until(source.look, lambda _: source.execute(counted)[0]["total_txns"] >= 3)
    source.consumers[0].stop()
    drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT active"
    until(source.look, lambda _: bool(source.execute(drop)))
    source.create_slot()
    source.consume()
    # The looks above saw it without a consumer and gone at most once; from here on it streams again.
    result = until(lambda: source.look(NOW + timedelta(seconds=15)), acknowledged)
    identity = row(result, "cdc.slot_identity")
    assert identity.status is Status.FAIL
    assert "counters began anew" in (identity.value or "")


def test_a_changed_slot_stays_red_until_somebody_accepts_it(source: Source) -> None:
    source.create_slot()
    source.look()
    source.execute("SELECT pg_drop_replication_slot('orders_slot')")
    source.look(NOW + timedelta(seconds=15))
    source.create_slot()
    for later in (30, 3600):
        found = row(source.look(NOW + timedelta(seconds=later)), "cdc.slot_identity")
        assert found.status is Status.FAIL
    assert "--accept-slot shop/orders_slot" in found.remedy
    memory = source.make_context("cdc").memory
    assert accept_slot(memory, "shop", "orders_slot", NOW)
    assert row(source.look(NOW + timedelta(seconds=3615)), "cdc.slot_identity").status is Status.OK


def test_a_slot_that_disappears_warns_and_at_the_second_look_fails(source: Source) -> None:
    source.create_slot()
    source.create_slot("other_slot")
    source.look()
    source.execute("SELECT pg_drop_replication_slot('orders_slot')")

    def gone(seconds: float) -> Status | None:
        rows = source.look(NOW + timedelta(seconds=seconds)).evidence
        return next(r.status for r in rows if r.value == "the slot has disappeared")

    assert gone(15) is Status.WARN
    assert gone(30) is Status.FAIL
    assert gone(7200) is Status.FAIL


def test_a_consumer_that_came_and_went_between_looks_is_no_alarm(source: Source) -> None:
    source.create_slot()
    source.look()
    source.write(0.1)
    source.consume()
    decoded = "SELECT total_txns FROM pg_stat_replication_slots"
    until(lambda: source.look(url=source.url()), lambda _: source.execute(decoded)[0]["total_txns"] >= 1)
    source.consumers[0].stop()
    until(source.look, lambda found: "no consumer" in (row(found, "cdc.slot_active").value or ""))
    assert row(source.look(), "cdc.slot_identity").status is Status.OK


def test_an_expected_slot_that_does_not_exist_fails(source: Source) -> None:
    result = source.look(slots=("orders_slot",))
    assert result.status is Status.FAIL
    assert row(result, "cdc.slot_exists").value == "expected slot orders_slot does not exist"


def test_a_source_without_any_logical_slot_fails(source: Source) -> None:
    result = source.look()
    assert (result.status, row(result, "cdc.slot_exists").value) == (Status.FAIL, "no logical slot exists")


def test_an_ignored_slot_is_not_judged(source: Source) -> None:
    source.create_slot("scratch")
    result = source.look(ignored_slots=("scratch",))
    assert not [r for r in result.evidence if "scratch" in r.label]


def test_a_long_writing_transaction_is_named_with_its_pid(source: Source) -> None:
    streaming(source)
    with psycopg.connect(source.server.url(source.database)) as holder:
        holder.execute("INSERT INTO orders VALUES ('held')")
        result = source.look(transaction_warn_seconds=1e-6, transaction_fail_seconds=1e-6)
        pinned = row(result, "cdc.pinned_by_xact")
        assert pinned.status is Status.FAIL
        assert f"pg_terminate_backend({holder.info.backend_pid})" in pinned.remedy
        holder.rollback()
    assert row(source.look(), "cdc.pinned_by_xact").value == "no transaction is writing"


def test_a_role_without_pg_monitor_is_told_what_it_cannot_see(source: Source) -> None:
    streaming(source)
    result = source.look(url=source.url("andon_nobody"))
    assert result.status is Status.UNKNOWN
    assert row(result, "cdc.consumer_ack").value == "hidden from this role"
    assert "GRANT pg_monitor" in result.remedy


def test_a_role_that_could_drop_slots_is_told_that_less_is_enough(source: Source) -> None:
    streaming(source)
    found = row(source.look(url=source.server.url(source.database)), "cdc.privilege")
    assert found.status is Status.OK
    assert "only pg_monitor" in found.remedy


def test_the_monitoring_role_can_neither_read_nor_drop_a_slot(source: Source) -> None:
    source.create_slot()
    for forbidden in (
        "pg_drop_replication_slot('orders_slot')",
        "pg_logical_slot_peek_changes('orders_slot', NULL, 1)",
    ):
        with psycopg.connect(source.url()) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(f"SELECT {forbidden}")


@pytest.mark.parametrize("password", ["wrong p@ss'word", "wrong%20"])
def test_a_refused_login_fails_and_shows_no_password(source: Source, password: str) -> None:
    result = source.look(url=source.url(password=password))
    assert result.status is Status.FAIL
    assert "password authentication failed" in result.summary
    assert password not in repr(result)


def test_a_url_that_cannot_be_read_is_unknown_and_not_repeated(source: Source) -> None:
    for url in ("mysql://root:hunter2@db/shop", "host=db password=hunter2", "postgresql://u:hunter2@[::1/x"):
        result = source.look(url=url)
        assert result.status is Status.UNKNOWN
        assert "is not a PostgreSQL URL" in result.summary
        assert "hunter2" not in repr(result)


def test_the_spelling_of_sqlalchemy_is_understood(source: Source) -> None:
    streaming(source)
    assert source.look(url=source.url().replace("postgresql://", "postgresql+psycopg://")).status is Status.OK


def test_a_healthy_result_shows_no_password(source: Source) -> None:
    assert MONITOR_PASSWORD not in repr(streaming(source))


def test_no_source_configured_is_unknown_with_how_to_configure(make_context: Callable[..., CheckContext]) -> None:
    result = CdcCheck().run(make_context("cdc"), NOW)
    assert result.status is Status.UNKNOWN
    assert "[[checklist.cdc]]" in result.remedy
    assert "GRANT pg_monitor" in result.remedy


def test_one_unreachable_source_does_not_hide_another(source: Source) -> None:
    streaming(source)
    sources = (
        CdcSource(name="down", url="postgresql://u:secret@127.0.0.1:1/x"),
        CdcSource(name="shop", url=source.url()),
    )
    result = CdcCheck().run(source.make_context("cdc", ChecklistSettings(cdc=sources)), NOW)
    assert result.status is Status.FAIL
    assert result.summary.startswith("down: database: cannot be asked")
    assert [r.status for r in result.evidence if r.label.startswith("shop")].count(Status.OK) == 11


def test_an_unreachable_database_mutes_all_else_and_forgets_nothing(make_context: Callable[..., CheckContext]) -> None:
    with running_postgres() as server:
        server.execute("SELECT pg_create_logical_replication_slot('a', 'pgoutput')")
        settings = ChecklistSettings(cdc=(CdcSource(name="shop", url=server.url()),))
        CdcCheck().run(make_context("cdc", settings), NOW)
        server.stop()
        down = CdcCheck().run(make_context("cdc", settings), NOW + timedelta(seconds=15))
        assert [(r.rule, r.status) for r in down.evidence] == [("cdc.reachable", Status.FAIL)]
        server.start(**LOGICAL)
        up = CdcCheck().run(make_context("cdc", settings), NOW + timedelta(seconds=300))
        assert row(up, "cdc.slot_active").value == "no consumer for 5 min"


def test_a_database_that_does_not_decode_fails_with_the_setting_to_change(
    make_context: Callable[..., CheckContext],
) -> None:
    with running_postgres(settings={"wal_level": "replica"}) as server:
        settings = ChecklistSettings(cdc=(CdcSource(name="shop", url=server.url()),))
        result = CdcCheck().run(make_context("cdc", settings), NOW)
    assert result.status is Status.FAIL
    assert row(result, "cdc.wal_level").value == "replica"
    assert "ALTER SYSTEM SET wal_level = logical" in result.remedy


def test_an_older_server_is_asked_with_the_same_query(make_context: Callable[..., CheckContext]) -> None:
    with running_postgres(16) as server:
        server.execute("SELECT pg_create_logical_replication_slot('a', 'pgoutput')")
        settings = ChecklistSettings(cdc=(CdcSource(name="shop", url=server.url()),))
        first = CdcCheck().run(make_context("cdc", settings), NOW)
        later = CdcCheck().run(make_context("cdc", settings), NOW + timedelta(seconds=300))
    assert (row(first, "cdc.reachable").value or "").startswith("PostgreSQL 16.")
    # No inactive_since before version 17: the age comes from the memory alone.
    assert row(later, "cdc.slot_active").value == "no consumer for 5 min"
    assert row(later, "cdc.slot_active").status is Status.FAIL


def test_a_server_that_hangs_is_given_up(make_context: Callable[..., CheckContext]) -> None:
    with running_postgres() as server:
        os.kill(server.pid, signal.SIGSTOP)
        try:
            source = CdcSource(name="shop", url=server.url(), connect_timeout_seconds=2)
            result = CdcCheck().run(make_context("cdc", ChecklistSettings(cdc=(source,))), NOW)
        finally:
            os.kill(server.pid, signal.SIGCONT)
    assert result.status is Status.FAIL
    assert "timeout" in result.summary


def test_memory_survives_a_restart_of_the_checker(source: Source) -> None:
    source.create_slot()
    source.look()
    again = StoredMemory(source.make_context("cdc").control, "cdc").read("shop")
    assert list(again["slots"]) == ["orders_slot"]


def test_a_query_that_is_never_answered_is_cut_off(source: Source) -> None:
    with psycopg.connect(source.url()) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        try:
            with cut_off(connection, 0.2), pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        finally:
            os.kill(backend, signal.SIGCONT)
