"""The 3:1 check: what the measured tokens would have cost at an API against what they cost here, egress included.

Tokens and costs come from the ledger through `context.facts.tco`, what telemetry cannot know from `checklist.tco`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from checklist.context import CheckContext, TcoFacts
from checklist.model import CheckResult, Evidence, Status
from settings import TcoSettings

BYTES_PER_GB = Decimal(10**9)
NO_LEDGER = "this process measures no costs"


@dataclass(frozen=True)
class CostRatio:
    """Costs of one window in USD, and their ratios.

    Attributes:
        factory_usd: the capacity pools, idle time included; without egress.
        saved_usd: baseline minus factory, before egress; negative when the factory costs more.
        ratio: R = baseline / (factory + egress).
        egress_per_saved: egress / saved; None when nothing is saved.
    """

    baseline_usd: Decimal
    factory_usd: Decimal
    egress_usd: Decimal
    saved_usd: Decimal
    ratio: Decimal
    egress_per_saved: Decimal | None


def egress_usd(output_tokens: int, bytes_per_output_token: Decimal, usd_per_gb: Decimal) -> Decimal:
    """Cost of carrying the output out, USD: tokens x bytes/token / 1e9 bytes/GB x USD/GB."""
    return output_tokens * bytes_per_output_token * usd_per_gb / BYTES_PER_GB


def cost_ratio(baseline_usd: Decimal, factory_usd: Decimal, egress: Decimal) -> CostRatio:
    """R = cost of the baseline / cost of the alternative, both for the same tokens of the same window.

    Raises:
        ZeroDivisionError: the factory and its egress cost nothing.
    """
    saved = baseline_usd - factory_usd
    total = factory_usd + egress
    if total == 0:
        raise ZeroDivisionError("the factory and its egress cost nothing: no ratio exists")
    return CostRatio(
        baseline_usd=baseline_usd,
        factory_usd=factory_usd,
        egress_usd=egress,
        saved_usd=saved,
        ratio=baseline_usd / total,
        egress_per_saved=egress / saved if saved > 0 else None,
    )


def judge_ratio(ratio: Decimal, target: Decimal) -> Status:
    """OK from `target` on; WARN while it saves anything (R >= 1); FAIL when it costs more than the baseline."""
    if ratio >= target:
        return Status.OK
    return Status.WARN if ratio >= 1 else Status.FAIL


def ratio_text(ratio: Decimal) -> str:
    """R with two decimals, cut off: 2.999 must not read as 3.00."""
    return f"{ratio.quantize(Decimal('0.01'), rounding=ROUND_DOWN)}"


class TcoCheck:
    """Is the claimed saving (3:1 by default) supported by what was measured?"""

    name = "tco"
    title = "Cost against the API"

    def run(self, context: CheckContext, now: datetime) -> CheckResult:
        settings = context.settings.checklist.tco
        facts = None
        if context.facts.tco is not None:
            facts = context.facts.tco(now - timedelta(seconds=settings.window_seconds), now)
        return assess(settings, facts, now)


def assess(settings: TcoSettings, facts: TcoFacts | None, now: datetime) -> CheckResult:
    """Judge one window; UNKNOWN while any input is missing, each named with the setting that fills it."""
    inputs = _inputs(settings, facts)
    missing = [row for row in inputs if row.status is Status.UNKNOWN]
    if missing or facts is None:
        summary = "cannot be judged; missing: " + ", ".join(row.label for row in missing)
        remedy = " ".join(dict.fromkeys(row.remedy for row in missing))
        return CheckResult(TcoCheck.name, TcoCheck.title, Status.UNKNOWN, summary, tuple(inputs), remedy, now)

    costs = cost_ratio(
        _present(facts.baseline_usd),
        _present(facts.capacity_usd),
        egress_usd(
            facts.output_tokens,
            _present(settings.egress_bytes_per_output_token),
            _present(settings.egress_usd_per_gb),
        ),
    )
    status = judge_ratio(costs.ratio, settings.target_ratio)
    evidence = (*inputs, *_outcome(costs, settings, status))
    summary = _summary(costs.ratio, settings.target_ratio, status)
    return CheckResult(TcoCheck.name, TcoCheck.title, status, summary, evidence, _REMEDIES[status], now)


def _inputs(settings: TcoSettings, facts: TcoFacts | None) -> list[Evidence]:
    baseline = f"{settings.baseline_provider or '?'} {settings.baseline_model or '?'}"
    measured = "measured"
    rows = [
        _setting("egress price", settings.egress_usd_per_gb, "USD/GB", "checklist.tco.egress_usd_per_gb"),
        _setting(
            "egress bytes per output token",
            settings.egress_bytes_per_output_token,
            "B/token",
            "checklist.tco.egress_bytes_per_output_token",
        ),
        _setting("baseline provider", settings.baseline_provider, "", "checklist.tco.baseline_provider"),
        _setting("baseline model", settings.baseline_model, "", "checklist.tco.baseline_model"),
    ]
    if facts is None:
        return [*rows, Evidence("measured tokens", None, Status.UNKNOWN, rule="tco.input", remedy=NO_LEDGER)]
    rows += [
        Evidence("window", f"{facts.window_from:%Y-%m-%d %H:%M:%S} to {facts.window_to:%H:%M:%S}", unit="UTC"),
        _tokens(facts),
        Evidence("cached input tokens", f"{facts.cache_read_tokens}", unit="token", basis=measured),
        _coverage(facts, settings),
        _cost(
            "capacity cost",
            facts.capacity_usd,
            "capacity pools, idle time included",
            "No capacity pool is configured: describe what you pay for in [[pools]] (name, accelerator, count, "
            "usd_per_hour).",
        ),
    ]
    if settings.baseline_provider is not None and settings.baseline_model is not None:
        rows.append(
            _cost(
                "baseline cost",
                facts.baseline_usd,
                f"the same tokens at the API price of {baseline}",
                f"There is no API price for {baseline}: correct checklist.tco.baseline_provider and "
                "checklist.tco.baseline_model.",
            )
        )
    if facts.capacity_usd == 0:
        free = "The pools cost nothing in this window: set usd_per_hour of [[pools]]."
        rows.append(Evidence("factory cost", None, Status.UNKNOWN, "USD", "tco.input", "capacity cost", remedy=free))
    return rows


def _setting(label: str, value: Decimal | str | None, unit: str, setting: str) -> Evidence:
    if value is None:
        return Evidence(label, None, Status.UNKNOWN, unit, "tco.input", setting, remedy=f"Set {setting}.")
    return Evidence(label, f"{value}", None, unit, basis=setting)


def _cost(label: str, value: Decimal | None, basis: str, remedy: str) -> Evidence:
    if value is None:
        return Evidence(label, None, Status.UNKNOWN, "USD", "tco.input", basis, remedy=remedy)
    return Evidence(label, _usd(value), None, "USD", basis=basis)


def _tokens(facts: TcoFacts) -> Evidence:
    value = f"{facts.input_tokens} in, {facts.output_tokens} out"
    if facts.input_tokens + facts.output_tokens > 0:
        return Evidence("measured tokens", value, None, "token", basis="measured")
    remedy = "No token was measured in the window: run traffic, or lengthen checklist.tco.window_seconds."
    return Evidence("measured tokens", value, Status.UNKNOWN, "token", "tco.input", "measured", remedy=remedy)


def _coverage(facts: TcoFacts, settings: TcoSettings) -> Evidence:
    basis = f"{facts.calls - facts.calls_without_usage} of {facts.calls} calls reported their tokens"
    if facts.calls == 0:
        return Evidence("token coverage", None, None, "%", basis=basis)
    share = Decimal(facts.calls - facts.calls_without_usage) / facts.calls
    value = f"{share * 100:.1f}"
    if share >= settings.min_coverage:
        return Evidence("token coverage", value, None, "%", basis=basis)
    remedy = (
        f"Only {value} % of the calls reported tokens (checklist.tco.min_coverage asks for "
        f"{settings.min_coverage * 100:.0f} %): record usage with andon.record_tokens."
    )
    return Evidence("token coverage", value, Status.UNKNOWN, "%", "tco.input", basis, remedy=remedy)


def _outcome(costs: CostRatio, settings: TcoSettings, status: Status) -> Sequence[Evidence]:
    if costs.egress_per_saved is None:
        relation = Evidence("egress : saved", None, basis="nothing is saved before egress")
    else:
        relation = Evidence("egress : saved", f"{costs.egress_per_saved:.4f}", basis="egress cost / saved cost")
    return (
        Evidence("saved cost", _usd(costs.saved_usd), None, "USD", basis="baseline - capacity"),
        Evidence(
            "egress cost",
            _usd(costs.egress_usd),
            None,
            "USD",
            basis="output tokens x bytes per output token x USD per GB / 1e9",
        ),
        relation,
        Evidence(
            "cost ratio R",
            ratio_text(costs.ratio),
            status,
            rule="tco.ratio",
            basis=f"baseline / (capacity + egress); claimed: {settings.target_ratio}",
            remedy=_REMEDIES[status],
        ),
    )


def _summary(ratio: Decimal, target: Decimal, status: Status) -> str:
    found = f"R = {ratio_text(ratio)}"
    if status is Status.OK:
        return f"{found}: {target}:1 is supported by the measured window"
    if status is Status.WARN:
        return f"{found}: it saves, but not {target}:1"
    return f"{found}: it costs more than the API would"


_REMEDIES = {
    Status.OK: "",
    Status.WARN: "Utilisation and tokens per second decide: fill the pools, release idle accelerators, or claim less.",
    Status.FAIL: "The pools cost more than they replace: release idle ones, move traffic onto them, or use the API.",
    Status.UNKNOWN: "",
}


def _usd(value: Decimal) -> str:
    return f"{value:.6f}" if abs(value) < 1 else f"{value:.2f}"


def _present(value: Decimal | None) -> Decimal:
    if value is None:
        raise ValueError("a missing input was not noticed before the ratio was computed")
    return value
