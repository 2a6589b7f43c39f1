"""The owned side of a case: purchase, power and upkeep, from the scenario or from facts."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from economics.tco.account import Account
from economics.tco.case import OwnedPlan, ScenarioError
from economics.tco.facts import FactError
from economics.tco.origin import Origin
from economics.tco.scenario import OwnedTerms
from economics.tco.service import good_share
from economics.tco.spread import Spread


def take_owned(account: Account) -> OwnedPlan | None:
    """The owned side."""
    owned = account.scenario.owned
    if owned is None:
        account.miss("owned", "accelerators of one's own", "set owned.accelerator and more", blocks=True)
        return None
    given = owned.usd_per_gpu_hour is not None
    if owned.usd_per_gpu_hour is not None:
        account.given("owned.usd_per_gpu_hour", owned.usd_per_gpu_hour, "USD/GPU-h")
        account.miss(
            "owned", "payback, NPV and IRR", "set owned.purchase_usd, not owned.usd_per_gpu_hour", blocks=False
        )
    known, provisioned = (True, Decimal(0)) if given else _formula_of(account, owned)
    account.plain("owned.gpus_per_replica", owned.gpus_per_replica, "GPU")
    account.plain("owned.spare_replicas", owned.spare_replicas, "replica")
    speed = owned.output_tokens_per_second
    if speed is not None or not _as_rented(account, owned):
        known &= account.speed("owned", speed)
    tariff = account.tariff("owned", owned.egress, owned.egress_usd_per_gb, None, "answers")
    if not known:
        return None
    return OwnedPlan(tariff, owned.gpus_per_replica, good_share(owned.service), owned, provisioned, given)


def _as_rented(account: Account, owned: OwnedTerms) -> bool:
    """Whether the owned accelerator is the rented one, whose speed then holds for both."""
    rented = account.scenario.rented
    if rented is None or rented.output_tokens_per_second is None or not owned.accelerator:
        return False
    return account.facts.same_accelerator(rented.accelerator or "", owned.accelerator)


def _formula_of(account: Account, owned: OwnedTerms) -> tuple[bool, Decimal]:
    if not _purchase_of(account, owned):
        return False, Decimal(0)
    account.take("owned.system_markup", owned.system_markup, "system_markup", "1")
    account.take("owned.maintenance_share", owned.maintenance_share, "maintenance_share", "1")
    account.take("owned.availability", owned.availability, "availability", "1")
    account.take("owned.residual_share", owned.residual_share, "residual_share", "1")
    account.given("owned.idle_power_share", owned.idle_power_share, "1")
    _power(account)
    for name, spread, unit in (
        ("hosting_usd_per_kw_month", owned.hosting_usd_per_kw_month, "USD/kW-month"),
        ("staff_usd_per_year", owned.staff_usd_per_year, "USD/GPU-year"),
        ("software_usd_per_year", owned.software_usd_per_year, "USD/GPU-year"),
    ):
        if spread is None:
            what = name.split("_", 1)[0]
            account.miss(
                "owned", f"{what} is not in the cost", f"set owned.{name} (0 when it costs nothing)", blocks=False
            )
        account.given(f"owned.{name}", spread or Spread.sure(0), unit)
    return _draw_of(account, owned)


def _purchase_of(account: Account, owned: OwnedTerms) -> bool:
    if owned.purchase_usd is not None:
        account.given("owned.purchase_usd", owned.purchase_usd, "USD")
        return True
    found, why = None, ""
    try:
        found = account.facts.accelerator(owned.accelerator) if owned.accelerator else None
    except FactError as error:
        why = f"; {error}"
    if found is None or found.purchase_usd is None or found.purchase_origin is None:
        account.miss("owned", "the price of an accelerator", f"set owned.purchase_usd{why}", blocks=True)
        return False
    account.given("owned.purchase_usd", found.purchase_usd, "USD", found.purchase_origin)
    return True


def _draw_of(account: Account, owned: OwnedTerms) -> tuple[bool, Decimal]:
    provisioned = owned.kw_provisioned
    try:
        found = account.facts.accelerator(owned.accelerator) if owned.accelerator else None
    except FactError:
        found = None
    if provisioned is None and found is not None and found.provisioned_kw and found.provisioned_origin:
        provisioned = found.provisioned_kw
        account.assume("owned.kw_provisioned", provisioned, "kW", found.provisioned_origin)
    elif provisioned is not None:
        account.plain("owned.kw_provisioned", provisioned, "kW")
    if owned.kw is not None:
        account.given("owned.kw", owned.kw, "kW")
    elif provisioned is None:
        account.miss("owned", "the power of an accelerator", "set owned.kw, measured", blocks=True)
        return False, Decimal(0)
    else:
        note = "provisioned power, which holds the facility's share, over the PUE: an upper bound; measure owned.kw"
        pue = account.spreads["power.pue"].likely
        account.given("owned.kw", Spread.sure(provisioned / pue), "kW", Origin("owned.kw_provisioned", "", "low", note))
    if provisioned is None and owned.hosting_usd_per_kw_month is not None:
        account.miss("owned", "the provisioned power that hosting is paid by", "set owned.kw_provisioned", blocks=True)
        return False, Decimal(0)
    return True, provisioned or Decimal(0)


def _power(account: Account) -> None:
    power = account.scenario.power
    try:
        price, facility = account.facts.power_of(power.region), account.facts.power_of(power.facility)
    except FactError as error:
        raise ScenarioError("power.region, power.facility", f"{power.region}, {power.facility}", str(error)) from None
    if power.usd_per_kwh is not None:
        account.given("power.usd_per_kwh", power.usd_per_kwh, "USD/kWh")
    elif price.usd_per_kwh is None:
        raise ScenarioError("power.region", power.region, "it has no price of electricity; set power.usd_per_kwh")
    else:
        origin = replace(price.origin, note=price.region)
        account.given("power.usd_per_kwh", Spread.sure(price.usd_per_kwh), "USD/kWh", origin)
    if power.pue is not None:
        account.given("power.pue", power.pue, "1")
    elif facility.pue is None:
        raise ScenarioError("power.facility", power.facility, "it has no power usage effectiveness; set power.pue")
    else:
        account.given("power.pue", facility.pue, "1", replace(facility.origin, note=facility.region))
