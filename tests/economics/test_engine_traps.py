"""What exporters do that would count things twice or not at all, one test for each. Worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from economics.catalogue import catalogue
from economics.engine_numbers import numbers
from economics.engines import read_engines
from store.telemetry import TelemetryStore
from tests.economics.points import Row, at, gauge, point, scraped, store_points
from tests.economics.test_growth import answers

RECORDED = (Path(__file__).parent / "data/vllm_0.32.0_metrics.prom").read_text()


def grown(metric: str, growth: float, **more: object) -> list[Row]:
    """A counter that grows by so much in 15 s."""
    return [point(at(s), metric, v, **more) for s, v in ((0, 1000.0), (15, 1000.0 + growth))]  # type: ignore[arg-type]


def held(metric: str, value: float, **more: object) -> list[Row]:
    """A level that holds for 15 s."""
    return [gauge(at(s), metric, value, **more) for s in (0, 15)]


def summed(metric: str, growth: float, **more: object) -> list[Row]:
    """A histogram whose sum grows by so much in 15 s, with one event."""
    return [
        point(at(s), metric, kind="histogram", count=n, total=v, **more)  # type: ignore[arg-type]
        for s, n, v in ((0, 5, 1000.0), (15, 6, 1000.0 + growth))
    ]


@pytest.mark.parametrize("names", ["as exposed", "underscored", "without _total", "through Ray"])
def test_a_recorded_engine_says_what_its_clients_were_told(telemetry: TelemetryStore, names: str) -> None:
    rows = scraped(RECORDED, at(10), start=at(-50))
    for row in rows:
        if names == "underscored" or names == "through Ray":
            row["metric"] = row["metric"].replace(":", "_")
        if names == "through Ray":
            row["metric"] = "ray_" + row["metric"]
        if names == "without _total" and row["kind"] == "sum":
            row["metric"] = row["metric"].removesuffix("_total")
    found = answers(telemetry, *rows, by="model")
    # The clients' usage: 7197 in, 5248 of them cached, 2624 out, 42 requests.
    assert found["tokens.input", "tiny"].value == 7197
    assert found["tokens.input.computed", "tiny"].value == 1949
    assert found["tokens.input.cache_read", "tiny"].value == 5248
    assert found["tokens.output", "tiny"].value == 2624
    assert found["requests.finished", "tiny"].parts["length"] == 42
    assert found["latency.ttft", "tiny"].events == 42
    assert found["latency.ttft", "tiny"].total == pytest.approx(3.696247)
    assert found["tokens.input.per_request", "tiny"].total == 7197
    # 0, 0, 0, 0, 7, 3, 5, 5, 22 up to 0.25 s: half of 42 is one past the first 20 of the last bucket.
    assert found["latency.ttft", "tiny"].p50 == pytest.approx(0.1 + 0.15 * 1 / 22)


def test_llama_cpp_counts_input_without_cached_tokens_and_is_made_inclusive(telemetry: TelemetryStore) -> None:
    rows = [*grown("llamacpp:prompt_tokens_total", 300), *grown("llamacpp:prompt_tokens_cached_total", 700)]
    found = answers(telemetry, *rows)
    assert found["tokens.input",].value == 1000
    assert found["tokens.input",].parts == {"cached": 700, "computed": 300}
    assert found["tokens.input",].missing_parts == ()
    assert found["tokens.input.cache_read",].value == 700
    assert found["tokens.input.computed",].value == 300


def test_an_old_llama_cpp_says_that_its_cached_tokens_are_missing(telemetry: TelemetryStore) -> None:
    found = answers(telemetry, *grown("llamacpp:prompt_tokens_total", 300))["tokens.input",]
    assert (found.value, found.missing_parts) == (300, ("cached",))


def test_the_longest_context_is_a_level_although_it_is_declared_a_counter(telemetry: TelemetryStore) -> None:
    found = answers(telemetry, *grown("llamacpp:n_tokens_max", 24))
    assert set(found) == {("context.max_seen",)}
    assert found["context.max_seen",].highest == 1024


def test_of_tensor_ranks_one_counts_and_data_ranks_are_added(telemetry: TelemetryStore) -> None:
    rows: list[Row] = []
    # Two data ranks of two tensor ranks each; the second's tensor ranks begin at 2.
    for dp, tp in ((0, 0), (0, 1), (1, 2), (1, 3)):
        labels = {"model_name": "m", "tp_rank": str(tp), "pp_rank": "0", "dp_rank": str(dp)}
        rows += grown("sglang:forward_execution_seconds_total", 10 + dp, labels={**labels, "category": "decode"})
        rows += held("sglang:num_running_reqs", 4.0 + dp, labels=labels)
    found = answers(telemetry, *rows)
    assert found["busy.seconds",].value == 10 + 11
    assert found["load.running",].value == pytest.approx(4 + 5)


def test_data_parallel_engines_of_vllm_are_added(telemetry: TelemetryStore) -> None:
    rows = [
        row
        for n in (0, 1)
        for row in grown("vllm:prompt_tokens_total", 10, labels={"engine": str(n), "model_name": "m"})
    ]
    assert answers(telemetry, *rows)["tokens.input",].value == 20


def test_requests_that_were_aborted_or_failed_are_no_successes(telemetry: TelemetryStore) -> None:
    rows = [
        row
        for reason, n in (("stop", 7), ("length", 3), ("abort", 2), ("error", 1))
        for row in grown("vllm:request_success_total", n, labels={"finished_reason": reason})
    ]
    found = answers(telemetry, *rows)
    assert found["requests.finished",].value == 13
    assert found["requests.succeeded",].value == 10
    assert found["requests.aborted",].value == 2
    assert found["requests.errors",].value == 1


def test_a_counter_and_a_histogram_of_one_name_are_told_apart_by_their_kind(telemetry: TelemetryStore) -> None:
    name, labels = "gen_ai.client.inference.usage.input_tokens", {"gen_ai.request.model": "m"}
    store_points(telemetry, *summed(name, 500, labels=labels, service="draft"))
    store_points(telemetry, *grown(name, 70, labels=labels, service="counts"))
    found = answers(telemetry, by="service")
    assert found["tokens.input", "draft"].value == 500
    assert found["tokens.input", "counts"].value == 70
    assert ("tokens.input.per_request", "draft") not in found


def test_of_two_client_metrics_of_one_service_the_newer_counts(telemetry: TelemetryStore) -> None:
    labels = {"gen_ai.request.model": "m"}
    rows = [
        *grown("gen_ai.client.inference.usage.input_tokens", 70, labels=labels),
        *summed("gen_ai.client.token.usage", 70, labels={**labels, "gen_ai.token.type": "input"}),
        *summed("gen_ai.client.token.usage", 9, labels={**labels, "gen_ai.token.type": "output"}),
    ]
    found = answers(telemetry, *rows)
    assert found["tokens.input",].value == 70
    assert [(each.signal, each.value) for each in found["tokens.input",].aside] == [("gen_ai.client.token.usage", 70)]
    assert found["tokens.output",].value == 9


def test_a_frontend_and_its_workers_are_two_views_of_the_same_tokens(telemetry: TelemetryStore) -> None:
    rows = [
        *grown("dynamo_frontend_output_tokens_total", 100, labels={"model": "m"}, service="frontend"),
        *grown("vllm:generation_tokens_total", 60, labels={"model_name": "m"}, service="worker-1"),
        *grown("vllm:generation_tokens_total", 41, labels={"model_name": "m"}, service="worker-2"),
        *grown("dynamo_frontend_output_tokens_total", 5, labels={"model": "other"}, service="frontend"),
    ]
    found = answers(telemetry, *rows, by="model")
    assert found["tokens.output", "m"].value == 101
    assert found["tokens.output", "m"].sources == ("vllm",)
    assert [(each.source, each.value) for each in found["tokens.output", "m"].aside] == [("dynamo", 100)]
    # A model of which only the frontend tells is told by the frontend.
    assert found["tokens.output", "other"].value == 5


def test_two_engines_that_serve_one_model_are_added(telemetry: TelemetryStore) -> None:
    rows = [
        *grown("vllm:generation_tokens_total", 60, labels={"model_name": "m"}),
        *grown("sglang:generation_tokens_total", 40, labels={"model_name": "m"}),
    ]
    assert answers(telemetry, *rows)["tokens.output",].value == 100


def test_vantages_are_never_added(telemetry: TelemetryStore) -> None:
    rows = [
        *grown("vllm:generation_tokens_total", 60, labels={"model_name": "m"}),
        *grown("litellm_output_tokens_metric_total", 58, labels={"model": "m"}),
    ]
    store_points(telemetry, *rows)
    found = numbers(read_engines(telemetry, catalogue(), at(-60), at(60)), catalogue())
    assert {(each.vantage, each.value) for each in found} == {("server", 60), ("gateway", 58)}


def test_one_accelerator_of_two_exporters_counts_once(telemetry: TelemetryStore) -> None:
    gpu = {"hw.id": "GPU-1", "hw.type": "gpu"}
    rows = [
        *grown("hw.energy", 4000, labels=gpu, service="andon-agent"),
        *grown("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 4_100_000, labels={"UUID": "GPU-1"}, service="dcgm"),
        *grown("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 1_000_000, labels={"UUID": "GPU-2"}, service="dcgm"),
        *held("hw.power", 300, labels=gpu, service="andon-agent"),
    ]
    found = answers(telemetry, *rows)["energy.accelerator_j",]
    assert found.value == pytest.approx(4000 + 1000)
    assert {(each.source, each.signal, round(each.value or 0)) for each in found.aside} == {
        ("dcgm-exporter", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 4100),
        ("otel.hw", "hw.power", 4500),
    }


def test_one_accelerator_of_two_reporters_of_one_kind_counts_once(telemetry: TelemetryStore) -> None:
    gpu = {"hw.id": "GPU-1", "hw.type": "gpu"}
    agent = [point(at(s), "hw.energy", 100.0 * s, labels=gpu, service="andon-agent") for s in (0, 10, 20, 30)]
    trainer = [point(at(s), "hw.energy", 100.0 * s, labels=gpu, service="train") for s in (0, 30)]
    found = answers(telemetry, *agent, *trainer)["energy.accelerator_j",]
    assert found.value == 3000
    assert [each.value for each in found.aside] == [3000]


def test_energy_of_a_host_is_not_added_to_that_of_its_accelerators(telemetry: TelemetryStore) -> None:
    rows = [
        *grown("hw.energy", 4000, labels={"hw.id": "GPU-1", "hw.type": "gpu"}),
        *grown("hw.energy", 900, labels={"hw.id": "fan", "hw.type": "fan"}),
        *grown("hw.host.energy", 7000, labels={"hw.id": "h"}, resource={"host.name": "h"}),
    ]
    found = answers(telemetry, *rows)
    assert found["energy.accelerator_j",].value == 4000
    assert found["energy.host_j",].value == 7000


def test_of_mig_instances_the_board_counts_once_and_each_is_busy_by_itself(telemetry: TelemetryStore) -> None:
    rows: list[Row] = []
    for instance, pod, busy in (("1", "a", 0.2), ("2", "b", 0.6)):
        labels = {"UUID": "GPU-1", "GPU_I_ID": instance, "GPU_I_PROFILE": "3g.40gb", "pod": pod}
        rows += grown("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 4_000_000, labels=labels)
        rows += held("DCGM_FI_DEV_POWER_USAGE", 300.0, labels=labels)
        rows += held("DCGM_FI_PROF_GR_ENGINE_ACTIVE", busy, labels=labels)
    found = answers(telemetry, *rows)
    assert found["energy.accelerator_j",].value == pytest.approx(4000)
    assert found["power.accelerator_w",].value == pytest.approx(300)
    assert found["util.busy_ratio",].parts == {"1": pytest.approx(0.2), "2": pytest.approx(0.6)}
    # GPU_UTIL is absent under MIG: the busy time of the instances stands in for it.
    assert found["util.accelerator_ratio",].value == pytest.approx(0.4)


def test_without_mig_the_utilisation_of_the_board_comes_first(telemetry: TelemetryStore) -> None:
    rows = [
        *held("DCGM_FI_DEV_GPU_UTIL", 90.0, labels={"UUID": "GPU-1"}),
        *held("DCGM_FI_PROF_GR_ENGINE_ACTIVE", 0.7, labels={"UUID": "GPU-1"}),
    ]
    found = answers(telemetry, *rows)
    assert found["util.accelerator_ratio",].value == pytest.approx(0.9)
    assert found["util.busy_ratio",].value == pytest.approx(0.7)


def test_memory_of_a_mig_instance_is_part_of_its_board(telemetry: TelemetryStore) -> None:
    rows = [
        *held("hw.gpu.memory.usage", 80.0, labels={"hw.id": "GPU-1", "hw.type": "gpu"}),
        *held("hw.gpu.memory.usage", 30.0, labels={"hw.id": "MIG-1", "hw.type": "gpu", "hw.parent": "GPU-1"}),
    ]
    assert answers(telemetry, *rows)["memory.used_bytes",].value == pytest.approx(80)


def test_an_accelerator_that_only_has_a_number_is_named_by_its_host(telemetry: TelemetryStore) -> None:
    rows = [
        row
        for host in ("i-1", "i-2")
        for row in held("neuroncore_utilization_ratio", 0.5, labels={"neuroncore": "0", "instance_id": host})
    ]
    found = answers(telemetry, *rows, by="accelerator")
    assert {name for _, name in found} == {"i-1/0", "i-2/0"}
