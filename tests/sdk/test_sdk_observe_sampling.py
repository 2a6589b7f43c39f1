"""Sampling of observations: within the budget everything is kept, above it an unbiased part whose weights add up."""

from __future__ import annotations

import logging
import math
import os
import random
from collections import Counter
from typing import Any

import andon
import pytest
from andon.notices import Loss, losses
from andon.runtime import runtime
from andon.sampling import BURST_ROWS, RowBudget, Share
from hypothesis import given
from hypothesis import strategies as st

AT = "andon.observation."
EVER = 10**9


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def budget(clock: Clock, rows_per_second: int, burst: int = 100, seed: int = 7) -> RowBudget:
    return RowBudget(rows_per_second, burst, now=clock, source=random.Random(seed))


def test_a_rate_of_zero_keeps_everything(clock: Clock) -> None:
    assert budget(clock, 0).share("m", 10**9, EVER) == Share(10**9, 1.0)


def test_a_burst_is_kept_in_full_and_the_bucket_fills_again(clock: Clock) -> None:
    rows = budget(clock, rows_per_second=10, burst=100)
    assert rows.share("m", 100, EVER) == Share(100, 1.0)
    clock.seconds = 5.0  # 50 rows flow in
    assert rows.share("m", 50, EVER) == Share(50, 1.0)
    assert rows.share("m", 50, EVER).kept < 50


def test_a_batch_above_the_budget_is_kept_as_so_many_single_rows_would_be(clock: Clock) -> None:
    rows = budget(clock, rows_per_second=100, burst=100)
    # 200 in the bucket: 100 freely, then from the reserve of 100 at a falling share: 100 (1 - e^-1) = 63.2 of 100.
    assert rows.share("m", 200, EVER).kept in {163, 164}


def test_the_share_of_single_rows_follows_the_rate_smoothly(clock: Clock) -> None:
    rows = budget(clock, rows_per_second=100, burst=100)
    kept = []
    for second in range(1, 61):
        kept.append(0)
        for row in range(400):  # 400 rows a second, of which 100 can be kept
            clock.seconds = second + row / 400
            kept[-1] += rows.share("m", 1, EVER).kept
    settled = kept[10:]
    assert 90 < sum(settled) / len(settled) < 110
    assert min(settled) > 60
    assert max(settled) < 140


@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 300), st.floats(0, 2)), min_size=1, max_size=60),
)
def test_weights_add_up_to_what_was_observed_in_each_stratum(seed: int, calls: list[tuple[str, int, float]]) -> None:
    clock = Clock()
    rows = budget(clock, rows_per_second=20, burst=50, seed=seed)
    observed: Counter[str] = Counter()
    told: Counter[str] = Counter()
    at_last_kept: dict[str, int] = {}
    for stratum, count, pause in calls:
        clock.seconds += pause
        share = rows.share(stratum, count, at_most=200)
        observed[stratum] += count
        assert 0 <= share.kept <= min(count, 200)
        told[stratum] += round(share.kept * share.weight)
        if share.kept:
            at_last_kept[stratum] = observed[stratum]
    # What was left out since is carried to the next kept row.
    assert {stratum: told[stratum] for stratum in at_last_kept} == at_last_kept


def test_every_row_of_a_batch_is_as_likely_as_any_other(clock: Clock) -> None:
    rows = budget(clock, 10)
    chosen = Counter(row for _ in range(4000) for row in rows.choose(10, 3))
    # 4000 draws of 3 of 10: 1200 each, standard deviation 29.
    assert all(abs(chosen[row] - 1200) < 150 for row in range(10))
    assert all(list(drawn) == sorted(set(drawn)) for drawn in (rows.choose(10, 9) for _ in range(100)))


def test_weighted_counts_of_a_mixed_stream_are_unbiased(clock: Clock) -> None:
    """Batches of ones and single zeros, far above the budget: the weighted share of ones is what was observed."""
    rows = budget(clock, rows_per_second=50, burst=50)
    ones = everything = 0.0
    for _ in range(4000):
        clock.seconds += 0.2
        for stratum, count in (("ones", 60), ("zeros", 1), ("zeros", 1)):
            share = rows.share(stratum, count, EVER)
            everything += share.kept * share.weight
            ones += share.kept * share.weight * (stratum == "ones")
    assert math.isclose(ones / everything, 60 / 62, rel_tol=0.01)


def test_the_hosts_seed_changes_nothing() -> None:
    drawn = []
    for _ in range(2):
        random.seed(0)
        drawn.append(RowBudget(1).choose(10**6, 20))
    assert drawn[0] != drawn[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_forked_while_the_budget_is_in_use_goes_on_with_choices_of_its_own(run_program: Any) -> None:
    done = run_program(
        """
import os, threading
from andon.sampling import RowBudget
budget = RowBudget(rows_per_second=1)
held, go = threading.Event(), threading.Event()
def hold():
    with budget._lock:
        held.set()
        go.wait(30)
threading.Thread(target=hold).start()
held.wait(30)
read, write = os.pipe()
child = os.fork()
if child == 0:
    os.write(write, repr((budget.share("m", 5, 10), list(budget.choose(10**9, 2)))).encode())
    os._exit(0)
go.set()
os.waitpid(child, 0)
said = os.read(read, 1000).decode()
assert said.startswith("(Share(kept=5, weight=1.0)"), said
assert str(list(budget.choose(10**9, 2))) not in said
"""
    )
    assert done.stderr == ""


def test_what_is_pending_is_bounded(clock: Clock) -> None:
    rows = budget(clock, rows_per_second=1, burst=1)
    for stratum in range(3000):
        rows.share(stratum, 1, at_most=0)
    assert rows.share(2999, 1, EVER).weight == 1.0  # a stratum too many: what it left out is carried by nobody's name
    assert rows.share(5, 1, EVER) in (Share(1, 2.0), Share(0, 0.0))


def test_that_sampling_is_active_is_said_once_a_minute(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    rows = budget(clock, rows_per_second=1, burst=10)
    with caplog.at_level(logging.WARNING, "andon"):
        for clock.seconds in (0.0, 1.0, 59.0, 60.0):
            rows.share("m", 1000, EVER)
    assert len(caplog.messages) == 2
    assert "sampling is active" in caplog.messages[0]
    assert "ANDON_OBSERVE_ROWS_PER_SECOND=1;" in caplog.messages[0]
    assert "of 3000 rows were kept" in caplog.messages[1]


def test_kept_rows_of_a_batch_carry_what_they_stand_for(
    recorded: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "row_budget", budget(clock, rows_per_second=1, burst=100))
    andon.observe(model="m", features={"n": list(range(1000))}, score=tuple(float(n) for n in range(1000)))
    rows = recorded.rows
    assert 100 <= len(rows) <= 102
    assert math.isclose(sum(row[AT + "weight"] for row in rows), 1000)
    assert all(row[AT + "feature.n"] == row[AT + "score"] for row in rows)
    assert len({row[AT + "feature.n"] for row in rows}) == len(rows)


def test_single_rows_carry_those_that_were_left_out_before(
    recorded: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "row_budget", budget(clock, rows_per_second=10, burst=10))
    for n in range(400):
        clock.seconds += 0.02
        andon.observe(model="m", score=float(n))
    rows = recorded.rows
    assert 60 < len(rows) < 140
    last = int(rows[-1][AT + "score"])
    assert sum(row.get(AT + "weight", 1.0) for row in rows) == last + 1


def test_a_batch_beyond_the_queue_is_sampled_down_to_it_even_without_a_rate(recorded: Any) -> None:
    andon.observe(features={"a": range(5000)})  # the queue of these tests holds 1000 rows
    rows = recorded.rows
    assert len(rows) == 1000
    assert {row[AT + "weight"] for row in rows} == {5.0}


def test_a_batch_beyond_the_bytes_of_the_queue_is_sampled_down_to_them(recorded: Any) -> None:
    texts = [f"{n:05d}" * 1000 for n in range(500)]  # 5 kB each; the queue of these tests holds 1 MiB
    andon.observe(features={"a": texts})
    rows = recorded.rows
    assert 150 < len(rows) < 210
    assert math.isclose(sum(row[AT + "weight"] for row in rows), 500)


def test_a_row_that_never_fits_is_counted_and_said(
    recorded: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(losses, "_last_line", {})
    before = losses.total(Loss.REJECTED)
    andon.observe(features={"a": "x" * 2**21})
    andon.observe(features={"a": ["x" * 2**21]})
    assert recorded.rows == []
    assert losses.total(Loss.REJECTED) == before + 2
    assert "a row of this call is larger than ANDON_OBSERVE_MAX_BYTES=1048576; no row is sent" in caplog.text


def test_the_default_burst_is_what_the_queue_holds() -> None:
    from andon.settings import OBSERVATION_QUEUE

    assert OBSERVATION_QUEUE.max_items == BURST_ROWS
