"""A scenario, facts and a demand become one case.

What the scenario leaves out is filled from `facts.json`. Nothing is invented: an option whose inputs are not all known
has no cost and the answer says what is missing; a part of a cost that cannot be known is named as left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from economics import prices
from economics.tco.account import Account, plain
from economics.tco.api_price import MILLION, api_usd, own_card
from economics.tco.case import ApiPlan, Case, Point, RentedPlan, ScenarioError
from economics.tco.demand import Demand
from economics.tco.facts import FactBook, FactError
from economics.tco.origin import Origin
from economics.tco.owned_terms import take_owned
from economics.tco.ownership import HOURS_PER_YEAR
from economics.tco.scenario import Delivered, RentedTerms, Required, Scenario
from economics.tco.service import good_share
from economics.tco.spread import Spread

WEEK_HOURS = 168
_SERVICE_UNITS = {
    "context_tokens": "token",
    "time_to_first_token_seconds": "s",
    "time_per_output_token_seconds": "s",
    "good_share": "1",
}


def resolve(
    scenario: Scenario,
    demand: Demand,
    facts: FactBook,
    now: datetime,
    origins: Mapping[str, Origin] | None = None,
) -> Case:
    """The case of a scenario; `origins`: of fields that were not written by its author.

    Raises:
        ScenarioError: the scenario names what is not known.
    """
    account = Account(scenario, facts, now, origins)
    years = account.default("finance.years", scenario.finance.years, "years", "a")
    account.take("finance.discount_rate", scenario.finance.discount_rate, "discount_rate", "1")
    account.given("demand.scale", scenario.demand.scale, "1")
    account.plain("demand.growth_per_year", scenario.demand.growth_per_year, "1")
    _take_services(account)
    _take_traffic(account)
    api = _take_api(account)
    curve = _curve(demand, scenario, now) if demand.levels else ()
    rented = _take_rented(account)
    owned = take_owned(account)
    if not _is_a_demand(account, demand):
        api = rented = owned = None
    return Case(
        scenario,
        demand,
        curve,
        int(years),
        account.spreads,
        api,
        rented,
        owned,
        tuple(account.assumptions),
        tuple(account.missing),
    )


def _is_a_demand(account: Account, demand: Demand) -> bool:
    """Whether there is something to compare costs of; notes where it is little."""
    if not demand.levels:
        away = f" (of {demand.unknown_hours} Andon did not watch all)" if demand.unknown_hours else ""
        fix = "let Andon watch for an hour with traffic, or write demand.levels"
        account.miss("", f"a demand: no whole hour of it is known{away}", fix, blocks=True)
        return False
    if not demand.total("output_tokens"):
        fix = "run traffic, ask for more days (demand.days) or another demand.model, or write demand.levels"
        account.miss("", "a demand: no output token is known of", fix, blocks=True)
        return False
    if demand.source == "measured" and demand.hours < WEEK_HOURS:
        what = f"a week of measured hours: {demand.hours} stand for all hours to come"
        account.miss("", what, "let Andon watch for longer", blocks=False)
    if any(level.input_tokens and not level.output_tokens for level in demand.levels):
        for option in ("rented", "owned"):
            what = "input of hours without output, which the API's cost has, is not in the cost"
            account.miss(option, what, "measure longer hours, or leave such levels out", blocks=False)
    return True


def _curve(demand: Demand, scenario: Scenario, now: datetime) -> tuple[Point, ...]:
    """A year of hours like those of the demand; hours that ask for the same are one point."""
    year = HOURS_PER_YEAR / demand.hours
    hours: dict[tuple[int, int, Decimal | None], Decimal] = defaultdict(Decimal)
    for level in demand.levels:
        usd = api_usd(level, scenario.api, now) if scenario.api else None
        hours[level.output_tokens, level.input_tokens, usd] += level.hours
    return tuple(
        Point(count * year, Decimal(output), Decimal(prompts), usd) for (output, prompts, usd), count in hours.items()
    )


def _take_services(account: Account) -> None:
    """What is required and what is given, as far as it is stated."""
    scenario = account.scenario
    stated: dict[str, Required | Delivered] = {"service": scenario.service}
    for option in ("api", "rented", "owned"):
        side = getattr(scenario, option)
        if side is not None:
            stated[f"{option}.service"] = side.service
    for path, service in stated.items():
        for name in type(service).model_fields:
            value = getattr(service, name)
            if value not in (None, ()):
                text = ", ".join(value) if isinstance(value, tuple) else value
                account.plain(f"{path}.{name}", text, _SERVICE_UNITS.get(name, ""))


def _take_traffic(account: Account) -> None:
    """Bytes of tokens."""
    network = account.scenario.network
    if network.bytes_per_output_token is not None:
        account.given("network.bytes_per_output_token", network.bytes_per_output_token, "B/token")
    else:
        count, origin = account.facts.bytes_per_output_token[network.transport]
        account.given("network.bytes_per_output_token", Spread.sure(count), "B/token", origin)
    if network.bytes_per_input_token is not None:
        account.given("network.bytes_per_input_token", network.bytes_per_input_token, "B/token")


def _take_api(account: Account) -> ApiPlan | None:
    """The API's side."""
    api = account.scenario.api
    if api is None:
        account.miss("api", "an API to compare with", "set api.provider and api.model", blocks=True)
        return None
    if own_card(api) is None and not (api.provider and api.model):
        account.miss("api", "the API's price", _no_price(account), blocks=True)
        return None
    if own_card(api) is not None:
        account.plain("api.usd_per_mtok_input", api.usd_per_mtok_input, "USD/Mtok")
        account.plain("api.usd_per_mtok_output", api.usd_per_mtok_output, "USD/Mtok")
    else:
        card = prices.rate_card(api.provider or "", api.model or "", 0, account.now)
        if card is None:
            account.miss("api", "the API's price", _no_price(account), blocks=True)
            return None
        account.plain("api.provider", f"{api.provider} {api.model}", "")
        million = [each * MILLION for each in (card.input_token, card.input_token + card.cache_read_token)]
        text = "{} in, {} cached, {} out".format(*(plain(each) for each in (*million, card.output_token * MILLION)))
        note = "of the lowest tier"
        account.assume("api.price", text, "USD/Mtok", Origin(prices.VERSION, "", "high", note))
    account.given("api.price_scale", api.price_scale, "1")
    account.plain("api.price_change_per_year", api.price_change_per_year, "1")
    tariff = account.tariff("api", api.egress, api.egress_usd_per_gb, None, "prompts on their way to the API")
    if tariff is not None and "network.bytes_per_input_token" not in account.spreads:
        account.miss("api", "egress of prompts", "set network.bytes_per_input_token", blocks=False)
        tariff = None
    return ApiPlan(tariff, api.price_change_per_year, good_share(api.service), api)


def _take_rented(account: Account) -> RentedPlan | None:
    """The rented side."""
    rented = account.scenario.rented
    if rented is None:
        account.miss("rented", "rented accelerators to compare with", "set rented.accelerator and more", blocks=True)
        return None
    known = _price_of(account, rented)
    account.plain("rented.price_change_per_year", rented.price_change_per_year, "1")
    account.plain("rented.scaling", rented.scaling, "")
    account.plain("rented.gpus_per_replica", rented.gpus_per_replica, "GPU")
    account.plain("rented.commitment_gpu_hours_per_month", rented.commitment_gpu_hours_per_month, "GPU-h")
    account.plain("rented.storage_usd_per_month", rented.storage_usd_per_month, "USD")
    known &= account.speed("rented", rented.output_tokens_per_second)
    tariff = account.tariff("rented", rented.egress, rented.egress_usd_per_gb, rented.provider, "answers")
    if not known:
        return None
    return RentedPlan(tariff, rented.gpus_per_replica, good_share(rented.service), rented)


def _no_price(account: Account) -> str:
    """What to do about an API without a price."""
    api = account.scenario.api
    which = f" ({prices.VERSION} has none of {api.provider} {api.model})" if api and api.model else ""
    return f"set api.provider and api.model, or api.usd_per_mtok_input and api.usd_per_mtok_output{which}"


def _price_of(account: Account, rented: RentedTerms) -> bool:
    if rented.usd_per_gpu_hour is not None:
        account.given("rented.usd_per_gpu_hour", rented.usd_per_gpu_hour, "USD/GPU-h")
        return True
    if not rented.accelerator or not rented.provider:
        offers = (
            "choose rented.provider, or set rented.usd_per_gpu_hour: prices of one accelerator differ up to 4.6 times"
        )
        account.miss("rented", "the price of a rented accelerator", offers, blocks=True)
        return False
    try:
        offer = account.facts.rent(rented.accelerator, rented.provider, rented.kind)
    except FactError as error:
        raise ScenarioError("rented.provider", rented.provider, f"{error}; or set rented.usd_per_gpu_hour") from None
    origin = replace(offer.origin, note="; ".join(part for part in (offer.sku, offer.origin.note) if part))
    account.given("rented.usd_per_gpu_hour", Spread.sure(offer.usd_per_gpu_hour), "USD/GPU-h", origin)
    return True
