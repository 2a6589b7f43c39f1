"""Draws: seeded, repeatable, as wide as the inputs; and the tornado."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from economics.tco.simulate import Simulated, draw, simulate
from economics.tco.spread import Spread
from economics.tco.verdict import Verdict
from tests.economics.tco.cases import answer, case, comparison

RENT = {"low": 1, "likely": 2, "high": 4}


def simulated(name: str = "rented", **changes: Any) -> Simulated:
    return simulate(case(**changes), [name], 1)[name]


def test_the_same_seed_gives_the_same_answer() -> None:
    first, again = (answer(rented__usd_per_gpu_hour=RENT, simulation__seed=7) for _ in range(2))
    assert first == again
    other = answer(rented__usd_per_gpu_hour=RENT, simulation__seed=8)
    assert comparison(first, "rented").simulated != comparison(other, "rented").simulated


def test_one_uncertain_input_more_changes_the_draws_of_no_other() -> None:
    one = draw(case(rented__usd_per_gpu_hour=RENT))
    two = draw(case(rented__usd_per_gpu_hour=RENT, owned__purchase_usd={"low": 1, "likely": 2, "high": 3}))
    assert np.array_equal(one["rented.usd_per_gpu_hour"], two["rented.usd_per_gpu_hour"])


def test_a_pert_draw_has_its_mean_and_stays_between_its_ends() -> None:
    # (1 + 4 x 2 + 4) / 6 = 13 / 6; triangular: (1 + 2 + 4) / 3
    spread = Spread.model_validate(RENT)
    pert = spread.draw(np.random.default_rng(1), 200_000, "pert")
    triangular = spread.draw(np.random.default_rng(1), 200_000, "triangular")
    assert pert.mean() == pytest.approx(13 / 6, abs=0.01)
    assert triangular.mean() == pytest.approx(7 / 3, abs=0.01)
    assert min(pert.min(), triangular.min()) >= 1
    assert max(pert.max(), triangular.max()) <= 4


def test_without_uncertainty_the_draws_are_the_ratio() -> None:
    found = simulated()
    assert found.certain
    assert found.tornado == ()
    assert (found.p10, found.median, found.p90) == pytest.approx((3.6, 3.6, 3.6))
    assert (found.probability_above_one, found.probability_of_claim) == (1, 1)


def test_the_ratio_follows_the_draws_by_hand() -> None:
    # R = 78 840 / (10 950 x rent) = 7.2 / rent; rent is triangular from 1 over 2 to 4. Its distribution function is
    # (x - 1)^2 / 3 up to 2 and 1 - (4 - x)^2 / 6 from there: R >= 3 is rent <= 2.4, 1 - 2.56 / 6 = 0.5733; half of it
    # lies below 4 - sqrt(3) = 2.268, where R is 3.175.
    found = simulated(rented__usd_per_gpu_hour=RENT, simulation__distribution="triangular", simulation__draws=20_000)
    assert found.probability_of_claim == pytest.approx(0.5733, abs=0.015)
    assert found.median == pytest.approx(3.175, abs=0.05)
    # R <= P10 is rent >= 4 - sqrt(0.6) = 3.225; R <= P90 is rent >= 1 + sqrt(0.3) = 1.548.
    assert found.p10 == pytest.approx(7.2 / 3.2254, abs=0.05)
    assert found.p90 == pytest.approx(7.2 / 1.5477, abs=0.08)
    assert found.probability_above_one == 1


def test_the_verdict_is_of_the_draws_and_not_of_the_likeliest() -> None:
    # At the likeliest price R is 3.6, yet most draws cost more.
    dear = answer(rented__usd_per_gpu_hour={"low": "1.9", "likely": 2, "high": 20})
    found = comparison(dear, "rented")
    assert found.cost_ratio == Decimal("3.6")
    assert found.verdict is Verdict.POSSIBLE
    assert found.text.startswith("3:1 as a cost ratio against api: possible (P(R >= 3) = 0.")
    claimed = comparison(answer(simulation__claimed_ratio="3.7"), "rented")
    assert claimed.verdict is Verdict.NOT_SUPPORTED
    assert comparison(answer(), "rented").verdict is Verdict.SUPPORTED


def test_the_tornado_moves_one_input_at_a_time_widest_first() -> None:
    found = simulated(
        rented__usd_per_gpu_hour=RENT,
        api__price_scale={"low": "0.9", "likely": 1, "high": "1.1"},
        simulation__distribution="triangular",
        simulation__draws=20_000,
    )
    assert [swing.name for swing in found.tornado] == ["rented.usd_per_gpu_hour", "api.price_scale"]
    rent, scale = found.tornado
    # P10 and P90 of the rent: 1 + sqrt(0.3) and 4 - sqrt(0.6).
    assert (rent.low, rent.high) == pytest.approx((1.5477, 3.2254), abs=0.03)
    assert (rent.ratio_at_low, rent.ratio_at_high) == pytest.approx((7.2 / rent.low, 7.2 / rent.high))
    assert (scale.ratio_at_low, scale.ratio_at_high) == pytest.approx((3.6 * scale.low, 3.6 * scale.high))


def test_a_fleet_grows_with_what_a_draw_needs() -> None:
    # Half the speed: twice the accelerators, half the ratio.
    found = simulated("owned", owned__output_tokens_per_second={"low": 499, "likely": 500, "high": 501})
    assert found.median == pytest.approx(4.5 / 2, rel=0.5)
    assert simulated("owned", owned__output_tokens_per_second=500).median == pytest.approx(4.5 / 2)


@given(st.integers(0, 2**63 - 1))
def test_quantiles_are_in_order_whatever_the_seed(seed: int) -> None:
    found = simulated(rented__usd_per_gpu_hour=RENT, simulation__seed=seed, simulation__draws=100)
    assert found.p10 <= found.median <= found.p90
    assert 0 <= found.probability_of_claim <= found.probability_above_one <= 1


@pytest.mark.parametrize(
    "given_spread", [{"low": 2, "likely": 1, "high": 3}, {"low": 1, "likely": 4, "high": 3}, {"low": 1, "high": 2}, "x"]
)
def test_a_range_out_of_order_is_refused(given_spread: object) -> None:
    with pytest.raises(ValidationError):
        case(rented__usd_per_gpu_hour=given_spread)


def test_hours_that_are_drawn_together_hardly_move_the_ratio() -> None:
    # 720 hours, no two alike, are 64 columns: every ratio stays within a hundredth of the exact one.
    levels = [{"hours": 1, "output_tokens": 1_000_000 + 37_000 * (hour * 257 % 720)} for hour in range(720)]
    found = answer(demand__levels=levels)
    for each in found.comparisons:
        assert each.simulated is not None
        assert each.cost_ratio is not None
        assert each.simulated.median == pytest.approx(float(each.cost_ratio), rel=0.01)
