"""The quantities by hand-worked numbers, and the identities between them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from economics import quantities as q
from economics.quantities import Facts

# One hour at $2: 1 000 tok/s of output, that is 3.6 M output tokens; 7.2 M input tokens, a quarter of them cached.
HOUR = Facts(
    calls=100,
    input_tokens=7_200_000,
    cache_read_tokens=1_800_000,
    output_tokens=3_600_000,
    costed_input_tokens=7_200_000,
    costed_output_tokens=3_600_000,
    usd_capacity=Decimal(2),
)


def test_the_headline_is_throughput_per_dollar_of_run_rate() -> None:
    # 1 000 tok/s at $2/h: 500 tok/s per $/h, which is 1.8 M tokens per dollar, which is $0.5556 per million.
    assert q.tps(HOUR.output_tokens, 3600) == 1000
    assert q.usd_per_hour(HOUR, 3600) == 2
    assert q.tps_per_usd_h(HOUR, 3600) == 500
    assert q.tokens_per_usd(HOUR) == 1_800_000
    assert q.usd_per_mtok_output(HOUR) == pytest.approx(0.5555555)


def test_blended_cost_is_over_input_and_output() -> None:
    assert q.usd_per_mtok_blended(HOUR) == pytest.approx(2 / 10.8)


def test_tokens_of_work_leave_out_what_a_cache_gave() -> None:
    assert q.tokens_total(HOUR) == 10_800_000
    assert q.tokens_computed(HOUR) == 9_000_000
    assert q.cached_share(HOUR) == 0.25


def test_the_headline_does_not_fall_as_the_window_grows() -> None:
    ten = sum((HOUR for _ in range(10)), Facts())
    assert q.tps_per_usd_h(ten, 36_000) == q.tps_per_usd_h(HOUR, 3600)


def test_idle_time_that_is_billed_lowers_the_headline() -> None:
    idle = Facts(usd_capacity=Decimal(2))
    assert q.tps_per_usd_h(HOUR + idle, 7200) == 250


def test_a_ratio_is_of_sums_not_a_mean_of_ratios() -> None:
    cheap = Facts(output_tokens=9_000, costed_output_tokens=9_000, usd_api=Decimal(1))
    dear = Facts(output_tokens=1_000, costed_output_tokens=1_000, usd_api=Decimal(9))
    assert q.tokens_per_usd(cheap + dear) == 1_000  # 10 000 tokens for $10; the mean of 9 000 and 111 would be 4 556


def test_unknown_cost_gives_unknown_ratios_not_zero() -> None:
    unpriced = Facts(calls=1, input_tokens=10, output_tokens=5)
    assert q.tps_per_usd_h(unpriced, 60) is None
    assert q.tokens_per_usd(unpriced) is None
    assert q.usd_per_mtok_output(unpriced) is None
    assert q.usd_per_mtok_blended(unpriced) is None
    assert q.cost_coverage(unpriced) == 0


def test_only_tokens_of_known_cost_enter_the_ratio() -> None:
    unpriced = Facts(input_tokens=10_800_000)
    assert q.tokens_per_usd(HOUR + unpriced) == q.tokens_per_usd(HOUR)
    assert q.cost_coverage(HOUR + unpriced) == 0.5


def test_nothing_at_all_is_unknown() -> None:
    nothing = Facts()
    assert q.cost_coverage(nothing) is None
    assert q.cached_share(nothing) is None
    assert q.tps(0, 0) is None
    assert q.usd_per_hour(nothing, 0) is None


costs = st.decimals("0.000001", "100000", allow_nan=False, places=6)
counts = st.integers(1, 10**12)


@given(tokens=counts, usd=costs, seconds=st.integers(1, 10**7))
def test_the_identity_of_the_three_ways_to_say_it(tokens: int, usd: Decimal, seconds: int) -> None:
    facts = Facts(output_tokens=tokens, costed_output_tokens=tokens, usd_capacity=usd)
    per_usd_h, per_mtok, per_usd = (
        q.tps_per_usd_h(facts, seconds),
        q.usd_per_mtok_output(facts),
        q.tokens_per_usd(facts),
    )
    assert per_usd_h is not None
    assert per_mtok is not None
    assert per_usd is not None
    assert per_usd_h * 3600 * per_mtok == pytest.approx(1e6, rel=1e-12)
    assert per_usd == pytest.approx(per_usd_h * 3600, rel=1e-12)


@given(st.lists(st.tuples(counts, counts, costs), min_size=1, max_size=8), st.integers(0, 8))
def test_facts_add_up_over_any_split(rows: list[tuple[int, int, Decimal]], at: int) -> None:
    facts = [Facts(input_tokens=a, output_tokens=b, usd_api=usd) for a, b, usd in rows]
    whole = sum(facts, Facts())
    assert sum(facts[:at], Facts()) + sum(facts[at:], Facts()) == whole
    assert whole.usd == sum(usd for _, _, usd in rows)
