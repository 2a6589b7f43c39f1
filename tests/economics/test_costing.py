"""Costs in the engine: those of the price list, to the last digit, at the time of each call."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from economics.costing import Basis, Costs, total
from economics.fold import Fold
from economics.grains import DAYS, HOURS, MINUTES
from economics.merging import Merging
from economics.prices import input_bands, price_changes, rate_card
from economics.usage_rollup import UsageRollUp
from store.telemetry import TelemetryStore
from tests.economics.spans import span, store_spans
from tests.economics.test_prices import MODELS, api_usd, request

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# openai gpt-5.6-luna changes its price on 2026-07-30; deepseek-chat at 00:30 and 16:30 of every day.
DATED = ("openai", "gpt-5.6-luna")
START = datetime(2026, 7, 28, tzinfo=UTC)
END = START + 4 * DAY


def stored(store: TelemetryStore) -> Decimal:
    """Calls of every model and tier, one each 37 minutes; what they cost, worked out one by one."""
    spans, usd = [], Decimal(0)
    for number in range(150):
        end = START + number * timedelta(minutes=37, seconds=1)
        provider, model = [*MODELS, DATED][number % 6]
        n_in, n_out = (250_000 if number % 4 == 0 else 1_000 + number), 10 + number
        spans.append(
            span(end, n_in=n_in, n_out=n_out, cache_read_tokens=number, provider=provider, request_model=model)
        )
        cost = api_usd(request(provider, model, n_in, number, n_out), end)
        assert cost is not None
        usd += cost
    store_spans(store, *spans)
    return usd


def test_every_call_costs_what_it_cost_at_its_own_time_from_spans_and_from_roll_ups(telemetry: TelemetryStore) -> None:
    assert price_changes(*DATED, START, END) == [datetime(2026, 7, 30, tzinfo=UTC)]
    before, after = (rate_card(*DATED, 0, at) for at in (START, END))
    assert before != after
    usd = stored(telemetry)
    costs = Costs(telemetry, ())
    assert total(costs.read(START, END, ())[0]).usd == usd
    Fold(telemetry, UsageRollUp(input_bands()), timedelta(seconds=10)).run_once(END + HOUR)
    Merging(telemetry, MINUTES, HOURS).run_once(END)
    assert Merging(telemetry, HOURS, DAYS).run_once(END)
    assert total(costs.read(START, END, ())[0]).usd == usd
    for step in (HOUR, 6 * HOUR, DAY):
        for labels in ((), ("model",), ("project", "pipeline")):
            assert total(costs.read(START, END, labels, step)[0]).usd == usd


@pytest.mark.parametrize("model", ['a"b\\c', "nul\0inside", "\u202emodel", "🙂", "x" * 10_000, "new", "{a: 1}", ""])
def test_a_model_of_any_name_is_answered_for(telemetry: TelemetryStore, model: str) -> None:
    store_spans(telemetry, span(START, n_in=3, n_out=2, provider="openai", request_model=model))
    (row,) = Costs(telemetry, ()).read(START, START + HOUR, ("model",))[0]
    assert (row.labels, row.basis, row.facts.input_tokens) == ((model,), Basis.UNKNOWN, 3)
