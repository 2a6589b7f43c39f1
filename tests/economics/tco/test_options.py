"""What options cost, by hand: see the case in `cases`."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.economics.tco.cases import answer, comparison, option

MONTH = Decimal(12)


def monthly(yearly: int | str) -> object:
    return pytest.approx(Decimal(yearly) / MONTH, rel=Decimal("1e-8"))


def test_every_option_by_hand() -> None:
    # 39.42 G tokens: $78 840 at the API; 10 950 hours rented, $21 900; two owned all year, $17 520; one owned all year
    # and one rented for 2190 hours, $13 140, less than the API would take for them ($15 768).
    found = answer()
    costs = {name: option(found, name).usd_per_month for name in ("api", "rented", "owned", "hybrid")}
    assert costs == {
        "api": monthly(78_840),
        "rented": monthly(21_900),
        "owned": monthly(17_520),
        "hybrid": monthly(13_140),
    }
    assert option(found, "hybrid").owned_replicas == 1
    # One makes 31.536 G of the 39.42 G.
    assert option(found, "hybrid").shares == {"owned": Decimal("0.8"), "rented": Decimal("0.2")}
    assert [comparison(found, name).cost_ratio for name in ("rented", "owned", "hybrid")] == [
        Decimal("3.6"),
        Decimal("4.5"),
        Decimal(6),
    ]
    assert comparison(found, "rented").saved_share == pytest.approx(
        Decimal(1) - 1 / Decimal("3.6"), abs=Decimal("1e-6")
    )


def test_an_owned_fleet_is_paid_for_while_it_idles() -> None:
    # Two accelerators, in use for 10 950 of 17 520 hours.
    owned = option(answer(), "owned")
    assert (owned.gpus, owned.owned_replicas, owned.utilisation) == (2, 2, Decimal("0.625"))
    assert option(answer(owned__spare_replicas=1), "owned").usd_per_month == monthly(26_280)


def test_rented_hours_are_billed_by_what_is_reserved_not_by_what_is_used() -> None:
    fixed = option(answer(rented__scaling="fixed"), "rented")
    assert (fixed.usd_per_month, fixed.utilisation) == (monthly(35_040), Decimal("0.625"))
    # 1460 hours a month are committed: as many as two accelerators have.
    committed = option(answer(rented__commitment_gpu_hours_per_month=1460), "rented")
    assert committed.usd_per_month == monthly(35_040)
    # A commitment below the 912.5 hours in use changes nothing.
    assert option(answer(rented__commitment_gpu_hours_per_month=900), "rented").usd_per_month == monthly(21_900)


def test_all_accelerators_of_a_replica_are_paid_for() -> None:
    # Two that serve together make 7.2 M an hour: one replica always, two accelerators each.
    found = answer(rented__gpus_per_replica=2, owned__gpus_per_replica=2)
    assert option(found, "rented").usd_per_month == monthly(35_040)
    assert (option(found, "owned").gpus, option(found, "owned").usd_per_month) == (2, monthly(17_520))


def test_only_good_tokens_count() -> None:
    # Half of the API's tokens are no use: twice as many are bought. 0.9 of a machine's: more machines are needed.
    found = answer(api__service__good_share="0.5", rented__service__good_share="0.9")
    assert option(found, "api").usd_per_month == monthly(157_680)
    # An hour of 3.6 M good tokens now takes two, one of 7.2 M three: 2 x 6570 + 3 x 2190.
    assert option(found, "rented").usd_per_month == monthly(39_420)


def test_egress_is_the_bytes_of_the_tokens_that_leave() -> None:
    # 39.42 G tokens a year of 217 B are 712.845 GB a month. AWS: 612.845 x $0.09 = $55.156
    found = answer(network__bytes_per_output_token=217, rented__egress_usd_per_gb=None, rented__egress="AWS")
    rented = option(found, "rented")
    assert rented.parts_per_month.egress_usd == pytest.approx(Decimal("55.15605"), rel=Decimal("1e-8"))
    assert rented.usd_per_month == pytest.approx(Decimal(1825) + Decimal("55.15605"), rel=Decimal("1e-8"))
    assert option(found, "owned").parts_per_month.egress_usd == 0


def test_a_hybrid_pays_the_egress_of_each_part_by_its_own_tariff() -> None:
    # A fifth of the tokens are rented and a GB of them costs $1: 142.569 GB a month.
    found = answer(network__bytes_per_output_token=217, rented__egress_usd_per_gb=1)
    assert option(found, "hybrid").parts_per_month.egress_usd == pytest.approx(Decimal("142.569"), rel=Decimal("1e-8"))


def test_prompts_that_go_to_an_api_leave_as_well() -> None:
    levels = [{"hours": 1, "output_tokens": 3_600_000, "input_tokens": 1_000_000_000}]
    found = answer(demand__levels=levels, network__bytes_per_input_token=4, api__egress_usd_per_gb="0.09")
    # 730 hours x 4 GB x $0.09
    assert option(found, "api").parts_per_month.egress_usd == pytest.approx(Decimal("262.8"), rel=Decimal("1e-8"))


def test_cached_input_has_its_own_price() -> None:
    levels = [{"hours": 1, "output_tokens": 1, "input_tokens": 1_000_000, "cached_input_tokens": 400_000}]
    prices = {"api__usd_per_mtok_input": 10, "api__usd_per_mtok_cached_input": 1, "api__usd_per_mtok_output": 0}
    # 0.6 M at $10 and 0.4 M at $1: $6.40 an hour
    assert option(answer(demand__levels=levels, **prices), "api").usd_per_month == monthly(Decimal("6.4") * 8760)


def test_a_price_tier_is_chosen_by_the_request_not_by_the_sum() -> None:
    # gemini-2.5-pro takes $1.25 a million up to 200 k tokens of a request, and $2.50 for all of a longer one.
    named = {
        "api__usd_per_mtok_input": None,
        "api__usd_per_mtok_output": None,
        "api__provider": "google",
        "api__model": "gemini-2.5-pro",
    }
    short = [{"hours": 1, "output_tokens": 0, "input_tokens": 1_000_000, "calls": 10}, {"hours": 1, "output_tokens": 1}]
    long = [{"hours": 1, "output_tokens": 0, "input_tokens": 1_000_000, "calls": 4}, {"hours": 1, "output_tokens": 1}]
    cheap, dear = (option(answer(demand__levels=levels, **named), "api").usd_per_month for levels in (short, long))
    assert cheap == pytest.approx(Decimal("1.25") * 365, rel=Decimal("1e-4"))
    assert dear == pytest.approx(Decimal("2.50") * 365, rel=Decimal("1e-4"))


def test_energy_counts_hours_in_use_and_idle_ones_by_their_share() -> None:
    power = {"owned__kw": 1, "power__usd_per_kwh": "0.1", "power__pue": "1.5"}
    # 10 950 of 17 520 hours at $0.15; a third of it in the other 6570.
    assert option(answer(**power), "owned").parts_per_month.energy_usd == monthly("1642.5")
    idle = option(answer(**power, owned__idle_power_share="0.5"), "owned")
    assert idle.parts_per_month.energy_usd == monthly(Decimal("1642.5") + Decimal("492.75"))


def test_an_owned_option_always_in_use_costs_its_rate() -> None:
    level = [{"hours": 1, "output_tokens": 3_600_000}]
    found = answer(
        demand__levels=level,
        owned__kw=1,
        power__usd_per_kwh="0.1",
        owned__availability="0.9",
        owned__maintenance_share="0.05",
        finance__discount_rate="0.1",
    )
    assert found.owned_rate is not None
    assert option(found, "owned").usd_per_month == pytest.approx(
        found.owned_rate.usd_per_gpu_hour * 730, rel=Decimal("1e-6")
    )


def test_growth_sizes_the_fleet_for_the_last_year_and_prices_move() -> None:
    found = answer(finance__years=2, demand__growth_per_year=1, api__price_change_per_year="-0.5")
    # Twice the tokens at half the price in the second year.
    assert option(found, "api").present_usd == 2 * 78_840
    assert option(found, "owned").owned_replicas == 4
    # Rented: 1 and 2 replicas, then 2 and 4.
    assert option(found, "rented").present_usd == 21_900 + 43_800


def test_costs_a_million_tokens_by_hand() -> None:
    levels = [{"hours": 1, "output_tokens": 3_600_000, "input_tokens": 14_400_000}]
    rented = option(answer(demand__levels=levels), "rented")
    # $2 an hour for 18 M tokens, 3.6 M of them output.
    assert rented.usd_per_mtok_blended == Decimal("0.111111")
    assert rented.usd_per_mtok_output == Decimal("0.555556")


def test_returns_by_hand() -> None:
    # $70 080 today; each of 4 years it saves $78 840.
    found = comparison(answer(), "owned").returns
    assert found is not None
    assert found.investment_usd == 70_080
    assert found.npv_usd == 4 * 78_840 - 70_080
    assert found.payback_months == pytest.approx(Decimal("10.666667"), abs=Decimal("1e-6"))
    assert found.benefit_cost_ratio == Decimal("4.5")
    assert found.roi == Decimal("3.5")
    assert comparison(answer(), "rented").returns is None


def test_what_is_sold_at_the_end_comes_back() -> None:
    found = comparison(answer(owned__residual_share="0.1"), "owned").returns
    assert found is not None
    assert found.npv_usd == 4 * 78_840 - 70_080 + 7_008


def test_break_even_points_by_hand() -> None:
    found = answer()
    # $1 an hour whether used or not, against $2 an hour in use.
    (line,) = (each for each in found.break_even_utilisation if "scenario" in each.against)
    assert line.utilisation == Decimal("0.5")
    # $1460 a month at $2 a million; two make 7.2 M x 730 hours.
    tokens = found.break_even_tokens
    assert tokens is not None
    assert (tokens.tokens_per_month, tokens.capacity_per_month) == (730_000_000, 5_256_000_000)
    assert tokens.wanted_per_month == 3_285_000_000


def test_a_faster_rented_accelerator_is_compared_by_its_tokens() -> None:
    # It makes twice the tokens for $2: as much as $1 for those of one's own, whose hour costs $1: break-even at 100 %.
    found = answer(rented__output_tokens_per_second=2000)
    (line,) = (each for each in found.break_even_utilisation if "scenario" in each.against)
    assert line.utilisation == 1
