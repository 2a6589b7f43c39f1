"""Whatever a scenario writes, it is answered with finite figures or refused with a reason."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from cli.tco_table import render
from economics.tco.answer import TcoAnswer
from economics.tco.case import ScenarioError
from tests.economics.tco.cases import answer

ANSWER: TypeAdapter[TcoAnswer] = TypeAdapter(TcoAnswer)
ANY = st.sampled_from([Decimal(text) for text in ("0", "1e-9", "0.001", "0.5", "1", "7", "1e6", "1e12")])
RANGES = st.tuples(ANY, ANY, ANY).map(lambda ends: dict(zip(("low", "likely", "high"), sorted(ends), strict=True)))
NUMBERS = st.one_of(ANY, RANGES)
PLAIN_FIELDS = (
    "api__usd_per_mtok_output",
    "demand__growth_per_year",
    "rented__egress_usd_per_gb",
    "api__service__good_share",
)
RANGED_FIELDS = (
    "demand__scale",
    "api__price_scale",
    "rented__usd_per_gpu_hour",
    "rented__output_tokens_per_second",
    "owned__purchase_usd",
    "owned__output_tokens_per_second",
    "owned__availability",
    "owned__kw",
    "power__usd_per_kwh",
    "power__pue",
    "finance__discount_rate",
    "network__bytes_per_output_token",
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(PLAIN_FIELDS), ANY, max_size=3),
    st.dictionaries(st.sampled_from(RANGED_FIELDS), NUMBERS, max_size=6),
    st.sampled_from(["api", "rented", "owned"]),
)
def test_an_answer_is_finite_or_refused(plain: dict[str, Any], ranged: dict[str, Any], baseline: str) -> None:
    try:
        found = answer(baseline=baseline, simulation__draws=100, **plain, **ranged)
    except (ScenarioError, ValidationError):
        return
    for each in found.comparisons:
        drawn = each.simulated
        assert drawn is None or all(math.isfinite(value) for value in (drawn.p10, drawn.median, drawn.p90))
        assert drawn is None or all(math.isfinite(swing.width) for swing in drawn.tornado)
    assert ANSWER.validate_json(ANSWER.dump_json(found)) == found
    assert list(render(found))


def test_a_fleet_that_nobody_has_is_refused() -> None:
    with pytest.raises(ScenarioError, match="more than 10000000 replicas"):
        answer(rented__output_tokens_per_second="0.00001")
