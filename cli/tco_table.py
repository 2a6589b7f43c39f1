"""The answer of the hybrid cost calculator as lines on a terminal. What is unknown is `-`, never 0."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from economics.tco.answer import Comparison, DemandAnswer, OptionAnswer, TcoAnswer

MOST_SWINGS = 5
_BAR = 40


def render(found: TcoAnswer, assumptions: bool = True) -> Iterator[str]:
    """The whole answer."""
    yield found.name or "hybrid cost calculator"
    yield f"basis      {found.basis}"
    yield f"prices     {found.price_version}; facts of {found.facts_taken}; {found.years} years"
    yield from _demand(found.demand)
    yield ""
    yield from _options(found)
    for comparison in found.comparisons:
        yield from _comparison(comparison)
    yield from _break_even(found)
    yield from _gaps(found)
    if assumptions:
        yield ""
        yield "rests on"
        rows = [
            (f"  {each.name}", f"{each.value} {each.unit if each.unit != '1' else ''}".strip(), _origin(each))
            for each in found.assumptions
        ]
        yield from aligned(rows)


def aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Columns of equal width; nothing of no rows."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))] if rows else []
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _origin(each: object) -> str:
    parts = [getattr(each, "source", ""), getattr(each, "as_of", ""), getattr(each, "note", "")]
    text = ", ".join(part for part in parts if part)
    return f"{text} (older than 90 days)" if getattr(each, "stale", False) else text


def _demand(demand: DemandAnswer) -> Iterator[str]:
    model = f" of {demand.model}" if demand.model else ""
    if demand.window_start is not None and demand.window_end is not None:
        window = f", {demand.window_start:%Y-%m-%d %H:%M} to {demand.window_end:%Y-%m-%d %H:%M} UTC"
    else:
        window = ""
    yield f"demand     {demand.source}{model}: {plain(demand.hours)} whole hours{window}"
    if demand.unknown_hours:
        yield f"           Andon did not watch all of {demand.unknown_hours} more hours: they are left out"
    output, prompts = (count(each) for each in (demand.output_tokens_per_month, demand.input_tokens_per_month))
    yield f"           {output} output and {prompts} input tokens a month"
    if demand.calls_without_usage:
        yield f"           {plain(demand.calls_without_usage)} of {plain(demand.calls)} calls report no tokens"
    if demand.other_models:
        others = ", ".join(f"{name} ({count(Decimal(tokens))})" for name, tokens in demand.other_models.items())
        yield f"           not part of it, output tokens of other models: {others}; choose one with demand.model"
    if demand.histogram:
        peak, base = count(Decimal(demand.peak_tokens)), count(Decimal(demand.base_tokens))
        yield f"           busiest hour {peak} output tokens, mean {count(demand.mean_tokens)}, base load {base}"
        most = max(each.hours for each in demand.histogram)
        yield from aligned(
            [
                (
                    f"           up to {count(Decimal(each.upto_tokens))}/h",
                    f"{each.hours:.0f} h",
                    "#" * round(_BAR * each.hours / most),
                )
                for each in demand.histogram
            ]
        )


def _options(found: TcoAnswer) -> Iterator[str]:
    ratios = {each.option: each for each in found.comparisons}
    costs = ("option", "USD/month", "USD/Mtok", "USD/Mtok-out", "USD now", "egress", "GPUs", "in use")
    head = (*costs, "R", "P10-P90", "verdict")
    rows = (_option(option, ratios.get(option.name), found.baseline) for option in found.options)
    yield from aligned([head, *rows])
    for option in found.options:
        if option.name == "hybrid":
            shares = ", ".join(f"{100 * share:.1f} % {who}" for who, share in option.shares.items())
            yield f"hybrid: owned replicas: {option.owned_replicas}; tokens: {shares}"
        if option.left_out:
            yield f"{option.name}: {'; '.join(option.left_out)}"


def _option(option: OptionAnswer, against: Comparison | None, baseline: str) -> tuple[str, ...]:
    ratio, spread, verdict = "-", "-", "not compared"
    if option.name == baseline:
        ratio, verdict = "1", "baseline" if option.compared else "not compared"
    elif against is not None and against.simulated is not None and against.cost_ratio is not None:
        ratio = f"{against.cost_ratio:.2f}"
        spread = f"{against.simulated.p10:.2f}-{against.simulated.p90:.2f}"
        verdict = f"{plain(against.claimed_ratio)}:1 {against.verdict}"
    return (
        option.name,
        dollars(option.usd_per_month),
        _figure(option.usd_per_mtok_blended),
        _figure(option.usd_per_mtok_output),
        dollars(option.present_usd),
        _percent(option.egress_share),
        f"{option.gpus}" if option.gpus else "-",
        "-" if option.utilisation is None else f"{100 * option.utilisation:.0f} %",
        ratio,
        spread,
        verdict,
    )


def _comparison(against: Comparison) -> Iterator[str]:
    yield ""
    yield f"{against.option} against {against.baseline}: {against.text}"
    found = against.returns
    if found is not None:
        yield f"  invested {dollars(found.investment_usd)}, NPV {dollars(found.npv_usd)}, IRR {_percent(found.irr)}"
        yield (
            f"  payback {_months(found.payback_months)}, discounted {_months(found.discounted_payback_months)}; "
            f"benefit-cost ratio {_figure(found.benefit_cost_ratio)}, ROI {_percent(found.roi)}"
        )
    simulated = against.simulated
    if simulated is None:
        return
    yield (
        f"  R: median {simulated.median:.2f}, P(R >= 1) {simulated.probability_above_one:.3f}, "
        f"{simulated.draws} draws ({simulated.distribution}), seed {simulated.seed}"
    )
    moving = [swing for swing in simulated.tornado if swing.width > 0][:MOST_SWINGS]
    yield from aligned(
        [
            (
                f"  {swing.name}",
                f"{swing.low:.4g} to {swing.high:.4g}",
                f"R {swing.ratio_at_low:.2f} to {swing.ratio_at_high:.2f}",
            )
            for swing in moving
        ]
    )


def _break_even(found: TcoAnswer) -> Iterator[str]:
    if found.owned_rate is not None:
        rate = found.owned_rate
        yield ""
        yield (
            f"owned: {_figure(rate.usd_per_gpu_hour)} USD/GPU-h when always in use "
            f"({_figure(rate.fixed_usd_per_hour)} fixed, {_figure(rate.variable_usd_per_hour)} energy)"
        )
    if found.break_even_utilisation:
        yield "owning is cheaper than renting from this share of the hours in use on"
        yield from aligned(
            [
                (
                    f"  {_percent(each.utilisation)}",
                    f"{each.usd_per_gpu_hour:.2f} USD/GPU-h",
                    f"{each.against} {each.as_of}".strip(),
                )
                for each in found.break_even_utilisation
            ]
        )
    tokens = found.break_even_tokens
    if tokens is not None:
        paid = (
            "never" if tokens.tokens_per_month is None else f"from {count(tokens.tokens_per_month)} tokens a month on"
        )
        yield (
            f"the owned fleet is cheaper than the API {paid}; it can make "
            f"{count(tokens.capacity_per_month)}, wanted are {count(tokens.wanted_per_month)}"
        )


def _gaps(found: TcoAnswer) -> Iterator[str]:
    if found.refusals:
        yield ""
        yield "refused: options are compared only when they give the same service"
        yield from (f"  {each.option}: {each.reason} -> {each.fix}" for each in found.refusals)
    if found.missing:
        yield ""
        yield "missing"
        for each in found.missing:
            where = f"{each.option}: " if each.option else ""
            yield f"  {where}{each.what} -> {each.fix}"


def dollars(value: Decimal) -> str:
    """Whole dollars with thousands apart; cents below a thousand."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}"


def count(tokens: Decimal) -> str:
    """Tokens as people read them."""
    for power, letter in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if tokens >= 10**power:
            return f"{tokens / 10**power:.3g} {letter}"
    return f"{tokens:.0f}"


def plain(value: Decimal) -> str:
    """A number without exponent or needless digits."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def _figure(value: Decimal | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: Decimal | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _months(value: Decimal | None) -> str:
    return "never" if value is None else f"{value:.1f} months"
