"""What polls add up to: the WAL clock, the time without a consumer, and the identity of a slot."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from test_checklist_slots import HEALTHY

from checklist.slot_memory import MEMORY_JSON, SourceMemory, Step, dump, forget_slot, load, step
from checklist.slots import Slot
from checklist.wal_clock import Sample, lag_seconds, sampled, seconds_until_written
from settings import CdcSource

MIB = 2**20
START = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
SOURCE = CdcSource(name="shop", url="postgresql://andon@db/shop")
IDLE = replace(HEALTHY, active=False, confirmed_lsn=1_000, restart_lsn=1_000, counted_since="boot")


class Polls:
    """Polls one source again and again, carrying the memory through its JSON form."""

    def __init__(self, source: CdcSource = SOURCE) -> None:
        self.source = source
        self.memory = SourceMemory()

    def poll(self, seconds: float, *slots: Slot, now_lsn: int = 10_000) -> Step:
        outcome = step(self.memory, slots, now_lsn, self.source, START + timedelta(seconds=seconds))
        self.memory = load(dump(outcome.memory))
        return outcome

    def identity(self, seconds: float, slot: Slot) -> str | None:
        return self.poll(seconds, slot).histories[slot.name].identity_lost


def moved(slot: Slot, **changes: Any) -> Slot:
    return replace(slot, **changes)


# --- the WAL clock


def test_lag_is_the_age_of_the_first_position_beyond_what_is_confirmed() -> None:
    samples = (Sample(0, 100), Sample(5, 200), Sample(10, 300))
    assert lag_seconds(samples, 300, now=12) == (0.0, False)
    assert lag_seconds(samples, 250, now=12) == (2.0, False)
    assert lag_seconds(samples, 150, now=12) == (7.0, False)
    assert lag_seconds(samples, 50, now=12) == (12.0, True)


def test_lag_has_no_age_at_the_first_look_or_without_a_confirmed_position() -> None:
    assert lag_seconds((Sample(12, 300),), 100, now=12) == (None, False)
    assert lag_seconds((Sample(0, 300),), None, now=12) == (None, False)
    assert lag_seconds((), 100, now=12) == (None, False)


def test_a_position_that_stands_still_keeps_the_time_it_was_first_reached() -> None:
    samples: tuple[Sample, ...] = ()
    for at, lsn in ((0, 100), (15, 100), (30, 200), (45, 200), (60, 200)):
        samples = sampled(samples, Sample(at, lsn))
    assert samples == (Sample(0, 100), Sample(30, 200))
    assert lag_seconds(samples, 100, now=60) == (30.0, False)


def test_a_position_that_goes_back_belongs_to_another_history() -> None:
    assert sampled((Sample(0, 500), Sample(15, 900)), Sample(30, 400)) == (Sample(30, 400),)


def test_a_day_of_polls_is_kept_in_few_samples() -> None:
    samples: tuple[Sample, ...] = ()
    for poll in range(24 * 240):
        samples = sampled(samples, Sample(15.0 * poll, poll))
    # 61 of the last 15 minutes (both ends), 63 to 64 of the 345 minutes before, one in five minutes.
    assert 120 <= len(samples) <= 135
    assert samples[-1].at - samples[0].at <= 6 * 3600


@given(st.lists(st.tuples(st.floats(0.1, 400), st.integers(0, 1000)), min_size=2, max_size=200), st.integers(0, 10**5))
def test_thinning_makes_old_lag_look_at_most_five_minutes_older_and_never_younger(
    moves: list[tuple[float, int]], confirmed: int
) -> None:
    at, lsn = 0.0, 0
    kept: tuple[Sample, ...] = ()
    every: list[Sample] = []
    for pause, written in moves:
        at, lsn = at + pause, lsn + written
        kept = sampled(kept, Sample(at, lsn))
        every.append(Sample(at, lsn))
    truth, _ = lag_seconds(every, confirmed, at)
    found, at_least = lag_seconds(kept, confirmed, at)
    if truth is not None and found is not None and not at_least:
        assert truth - 1e-6 <= found <= truth + 300.0 + 1e-6


def test_time_to_full_is_what_is_left_at_the_rate_of_the_last_quarter_of_an_hour() -> None:
    # 900 MiB in 900 s: 1 MiB/s; 3600 MiB are left: one hour.
    samples = (Sample(0, 0), Sample(900, 900 * MIB))
    assert seconds_until_written(samples, 3600 * MIB, still_since=0, now=900) == 3600.0


def test_time_to_full_is_not_asked_of_a_slot_that_moves_on() -> None:
    samples = (Sample(0, 0), Sample(900, 900 * MIB))
    assert seconds_until_written(samples, 3600 * MIB, still_since=601, now=900) is None
    assert seconds_until_written(samples, None, still_since=0, now=900) is None
    assert seconds_until_written((Sample(0, 5),), 3600, still_since=0, now=900) is None


# --- holding and inactivity


def test_time_without_a_consumer_adds_up_over_polls_and_ends_with_one() -> None:
    polls = Polls()
    polls.poll(0, IDLE)
    assert polls.poll(45, IDLE).histories["orders"].inactive_seconds == 45.0
    polls.poll(60, moved(IDLE, active=True))
    assert polls.poll(75, IDLE).histories["orders"].inactive_seconds == 0.0


def test_lag_at_first_sight_counts_as_held_and_new_lag_does_not() -> None:
    big = moved(HEALTHY, unconfirmed_bytes=2 * 2**30)
    first = Polls().poll(0, big).histories["orders"]
    assert (first.warn_held_seconds, first.fail_held_seconds) == (120.0, 120.0)
    polls = Polls()
    polls.poll(0, HEALTHY)
    assert polls.poll(15, big).histories["orders"].fail_held_seconds == 0.0
    assert polls.poll(135, big).histories["orders"].fail_held_seconds == 120.0
    assert polls.poll(150, HEALTHY).histories["orders"].fail_held_seconds is None


# --- identity


def test_a_slot_that_stands_still_or_is_consumed_keeps_its_identity() -> None:
    polls = Polls()
    assert polls.identity(0, IDLE) is None
    assert polls.identity(15, IDLE) is None
    assert polls.identity(30, moved(IDLE, active=True, confirmed_lsn=5_000)) is None
    assert polls.identity(45, moved(IDLE, confirmed_lsn=6_000)) is None


def test_a_slot_that_moves_without_a_consumer_lost_its_identity() -> None:
    polls = Polls()
    polls.poll(0, IDLE)
    assert "moved without a consumer" in (polls.identity(15, moved(IDLE, confirmed_lsn=2_000)) or "")


def test_a_slot_that_decoded_meanwhile_had_a_consumer_between_two_polls() -> None:
    polls = Polls()
    polls.poll(0, IDLE)
    assert polls.identity(15, moved(IDLE, confirmed_lsn=2_000, decoded_transactions=8)) is None


def test_batched_consumers_may_come_and_go_unseen() -> None:
    polls = Polls(SOURCE.model_copy(update={"consumers": "batched"}))
    polls.poll(0, IDLE)
    assert polls.identity(15, moved(IDLE, confirmed_lsn=2_000)) is None


def test_counters_that_begin_anew_betray_a_new_slot_even_while_it_is_consumed() -> None:
    polls = Polls()
    consumed = moved(IDLE, active=True)
    polls.poll(0, consumed)
    assert "counters began anew" in (polls.identity(15, moved(consumed, decoded_transactions=1)) or "")


def test_counters_that_begin_anew_with_the_server_betray_nothing() -> None:
    polls = Polls()
    consumed = moved(IDLE, active=True)
    polls.poll(0, consumed)
    assert polls.identity(15, moved(consumed, decoded_transactions=1, counted_since="later boot")) is None


def test_a_slot_that_was_gone_is_another_one_when_it_is_back() -> None:
    polls = Polls()
    polls.poll(0, IDLE)
    assert [gone.polls for gone in polls.poll(15).gone] == [1]
    assert [gone.polls for gone in polls.poll(30).gone] == [2]
    assert "gone for a while" in (polls.identity(45, IDLE) or "")
    assert "gone for a while" in (polls.identity(60, IDLE) or "")


def test_an_accepted_slot_begins_anew() -> None:
    polls = Polls()
    polls.poll(0, IDLE)
    polls.poll(15, moved(IDLE, confirmed_lsn=2_000))
    polls.memory = forget_slot(polls.memory, "orders")
    assert polls.identity(30, moved(IDLE, confirmed_lsn=2_000)) is None


def test_another_plugin_under_the_same_name_is_a_change() -> None:
    polls = Polls()
    polls.poll(0, IDLE)
    history = polls.poll(15, moved(IDLE, plugin="wal2json")).histories["orders"]
    assert history.identity_changed == "pgoutput on shop became wal2json on shop"


def test_slots_of_a_first_table_copy_go_without_alarm() -> None:
    polls = Polls()
    polls.poll(0, moved(IDLE, name="pg_16394_sync_16385_7443205541063131"))
    assert polls.poll(15).gone == ()


def test_an_ignored_slot_goes_without_alarm() -> None:
    polls = Polls()
    polls.poll(0, IDLE)
    polls.source = SOURCE.model_copy(update={"ignored_slots": ("orders",)})
    assert polls.poll(15).gone == ()


def test_the_memory_survives_its_json_form() -> None:
    polls = Polls()
    polls.poll(0, IDLE)
    polls.poll(15, moved(IDLE, confirmed_lsn=2_000), now_lsn=20_000)
    assert MEMORY_JSON.validate_json(MEMORY_JSON.dump_json(polls.memory)) == polls.memory
