"""Answers of targets with a given number of series, as vLLM and DCGM's exporter show them; values move every time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

_BOUNDS: Final = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0)
_HISTOGRAMS: Final = ("time_to_first_token_seconds", "inter_token_latency_seconds", "e2e_request_latency_seconds")
_COUNTERS: Final = ("prompt_tokens", "generation_tokens", "prefix_cache_queries", "prefix_cache_hits", "preemptions")
_GAUGES: Final = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
_FIELDS: Final = ("SM_CLOCK", "MEM_CLOCK", "GPU_TEMP", "POWER_USAGE", "GPU_UTIL", "FB_FREE", "FB_USED", "XID_ERRORS")


def engine(series: int, step: int) -> bytes:
    """A body of about `series` samples as vLLM shows them, most of them buckets, `step` scrapes after the start."""
    replicas = max(1, series // _samples_of_engine())
    return "\n".join([*_engine_lines(replicas, step), ""]).encode()


def engine_openmetrics(series: int, step: int) -> bytes:
    """The same in OpenMetrics."""
    renamed = [
        line.replace("_total ", " ") if line.startswith("#") and "_total " in line else line
        for line in engine(series, step).decode().splitlines()
    ]
    return "\n".join([*renamed, "# EOF", ""]).encode()


def accelerators(series: int, step: int) -> bytes:
    """A body of about `series` gauges as DCGM's exporter shows them, each with seven labels."""
    lines: list[str] = []
    for field in _FIELDS:
        lines += [f"# HELP DCGM_FI_DEV_{field} a field", f"# TYPE DCGM_FI_DEV_{field} gauge"]
        for gpu in range(series // len(_FIELDS)):
            labels = (
                f'gpu="{gpu}",UUID="GPU-{gpu:08x}-4a5b",device="nvidia{gpu % 8}",modelName="NVIDIA H100 80GB HBM3",'
                f'Hostname="node-{gpu // 8}",DCGM_FI_DRIVER_VERSION="570.86",container="vllm"'
            )
            lines.append(f"DCGM_FI_DEV_{field}{{{labels}}} {(gpu * 7 + step) % 1000}")
    return "\n".join([*lines, ""]).encode()


BODIES: Final[dict[str, Callable[[int, int], bytes]]] = {
    "vLLM, text": engine,
    "vLLM, OpenMetrics": engine_openmetrics,
    "DCGM, text": accelerators,
}


def _samples_of_engine() -> int:
    return len(_HISTOGRAMS) * (len(_BOUNDS) + 3) + len(_COUNTERS) + len(_GAUGES)


def _engine_lines(replicas: int, step: int) -> Iterator[str]:
    for name in _GAUGES:
        yield from (f"# HELP vllm:{name} a gauge", f"# TYPE vllm:{name} gauge")
        yield from (f"vllm:{name}{{{_labels(each)}}} {(each + step) % 17}.0" for each in range(replicas))
    for name in _COUNTERS:
        yield from (f"# HELP vllm:{name}_total a counter", f"# TYPE vllm:{name}_total counter")
        yield from (f"vllm:{name}_total{{{_labels(each)}}} {each * 1000 + step}.0" for each in range(replicas))
    for name in _HISTOGRAMS:
        yield from (f"# HELP vllm:{name} a histogram", f"# TYPE vllm:{name} histogram")
        for each in range(replicas):
            for number, bound in enumerate((*_BOUNDS, "+Inf")):
                yield f'vllm:{name}_bucket{{{_labels(each)},le="{bound}"}} {number * (step + each)}.0'
            yield f"vllm:{name}_count{{{_labels(each)}}} {len(_BOUNDS) * (step + each)}.0"
            yield f"vllm:{name}_sum{{{_labels(each)}}} {0.5 * (step + each)}"


def _labels(replica: int) -> str:
    return f'engine="{replica}",model_name="meta-llama/Llama-3.3-70B-Instruct"'
