"""The catalogue of signals: complete against what exporters are known to expose, and free of contradictions."""

from __future__ import annotations

import copy
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from economics.catalogue import CatalogueError, Form, Kind, Take, catalogue, parse
from economics.spellings import spellings

EXPORTED = [tuple(row) for row in json.loads((Path(__file__).parent / "data/exported_metrics.json").read_text())]


def quantities_of(name: str, kind: Kind) -> set[str]:
    return {signal.quantity.id for signal in catalogue().named([name]) if name in signal.names and signal.kind is kind}


def test_every_metric_that_exporters_are_known_to_expose_is_mapped_or_left_out_with_a_reason() -> None:
    found = catalogue()
    mapped = {(signal.source.id, signal.metric) for signal in found.signals}
    assert len(EXPORTED) > 200
    assert [row[:2] for row in EXPORTED if row[:2] not in mapped and row[:2] not in found.left_out] == []
    assert all(len(reason) > 20 for reason in found.left_out.values())
    assert mapped.isdisjoint(found.left_out)


@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("vllm:prompt_tokens_total", "tokens.input"),
        ("vllm:prompt_tokens", "tokens.input"),
        ("vllm_prompt_tokens_total", "tokens.input"),
        ("ray_vllm_prompt_tokens_total", "tokens.input"),
        ("ray_vllm:prompt_tokens_total", "tokens.input"),
        ("sglang_generation_tokens_total", "tokens.output"),
        ("hw.energy", "energy.accelerator_j"),
        ("hw_energy_joules_total", "energy.accelerator_j"),
        ("gen_ai_client_inference_usage_output_tokens_total", "tokens.output"),
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "energy.accelerator_j"),
        ("nv_energy_consumption", "energy.accelerator_j"),
    ],
)
def test_a_counter_is_known_by_every_spelling_of_its_name(name: str, quantity: str) -> None:
    assert quantities_of(name, Kind.COUNTER) == {quantity}


def test_spellings_follow_scrapers_collectors_and_exporters() -> None:
    assert spellings("vllm:n_total", True, "{token}") == ("vllm:n_total", "vllm_n_total", "vllm:n", "vllm_n")
    assert spellings("vllm:t_seconds", False, "s") == ("vllm:t_seconds", "vllm_t_seconds", "vllm:t", "vllm_t")
    assert "hw_power_watts" in spellings("hw.power", False, "W")


def test_the_kind_of_data_decides_not_the_name() -> None:
    name = "gen_ai.client.inference.usage.input_tokens"
    assert {(s.kind, s.take) for s in catalogue().named([name])} == {
        (Kind.COUNTER, Take.GROWTH),
        (Kind.HISTOGRAM, Take.SUM),
    }
    # A histogram in spite of _total, and a maximum that is declared as a counter.
    assert quantities_of("vllm:iteration_tokens_total", Kind.COUNTER) == set()
    (longest,) = catalogue().named(["llamacpp:n_tokens_max"])
    assert (longest.kind, longest.take, longest.quantity.form) == (Kind.COUNTER, Take.LEVEL, Form.LEVEL)


def test_a_distribution_of_tokens_is_never_a_total_of_tokens() -> None:
    for signal in catalogue().signals:
        if signal.take is Take.DISTRIBUTION:
            assert signal.quantity.id not in {"tokens.input", "tokens.output"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "vllmm"}, "vllmm"),
        ({"quantity": "tokens.inputs"}, "tokens.inputs"),
        ({"take": "level"}, "does not give tokens.input"),
        ({"take": "sum"}, "only of histogram"),
        ({"scale": 0}, "must be above 0"),
        ({"also": ["vllm:generation_tokens_total"]}, "claimed by"),
    ],
)
def test_data_that_contradicts_itself_is_refused_with_what_is_wrong(change: dict[str, Any], said: str) -> None:
    data = copy.deepcopy(json.loads(files("economics").joinpath("signals.json").read_text(encoding="utf-8")))
    assert data["signals"][0]["metric"] == "vllm:prompt_tokens_total"
    data["signals"][0].update(change)
    with pytest.raises(CatalogueError, match=said):
        parse(data)
