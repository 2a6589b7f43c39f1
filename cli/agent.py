"""`andon agent`: one process on each host that samples every GPU and sends its metrics over OTLP.

A thin shell around the SDK's `Watch`; needs neither stores nor an `andon.toml`, so that it runs where the GPUs are.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from dataclasses import asdict
from enum import Enum
from typing import Annotated, Any, NoReturn

import typer
from andon import attributes
from andon.accelerators import host_attributes
from andon.gpu import Sample
from andon.gpu.nvml import NvmlUnavailableError
from andon.gpu.sampling import session
from andon.gpu.watching import INTERVAL_SECONDS, Watch
from andon.settings import SHUTDOWN_SECONDS, SettingsError, is_disabled, resolve
from opentelemetry.sdk.resources import Resource

from cli.output import say

SERVICE_NAME = "andon-agent"
_ENDINGS = (signal.SIGTERM, signal.SIGINT)
_COLUMNS = ("GPU", "name", "W", "util", "memory GiB", "°C", "state", "energy kJ", "MIG", "pids")


def agent(
    endpoint: Annotated[
        str | None,
        typer.Option(help="base address of the collector [default: ANDON_ENDPOINT or http://127.0.0.1:4318]"),
    ] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="seconds between two exports")] = INTERVAL_SECONDS,
    once: Annotated[bool, typer.Option("--once", help="print the GPUs as they are now, and leave")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the GPUs as they are now as JSON, and leave")] = False,
) -> None:
    """Sample every GPU of this host and send power, energy, utilisation and memory as OpenTelemetry metrics."""
    samples = _samples()
    if once or as_json:
        say(json.dumps([_plain(sample) for sample in samples], indent=2) if as_json else table(samples))
        return
    if is_disabled(os.environ):
        say("ANDON_DISABLED is set: nothing is sent")
        return
    try:
        settings = resolve(os.environ, service=os.environ.get("OTEL_SERVICE_NAME", SERVICE_NAME), endpoint=endpoint)
    except SettingsError as error:
        _refuse(str(error))
    # Waited for, not handled: no code runs in the middle of other code, and no thread gets them instead.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
    watch = Watch(settings.metrics_url, settings.headers, _resource(dict(settings.resource)), interval)
    watch.start()
    say(f"{_described(samples)} → {settings.metrics_url} every {interval:g} s")
    signal.sigwait(_ENDINGS)
    watch.start_closing()
    watch.finish_closing(time.monotonic() + SHUTDOWN_SECONDS)


def table(samples: tuple[Sample, ...]) -> str:
    """Return the GPUs as lines of text; what is unknown is a dash."""
    rows = [_COLUMNS, *(_row(sample) for sample in samples)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    for sample in samples:
        for instance in sample.mig_instances:
            memory = _memory(instance.memory_used_bytes, instance.memory_total_bytes)
            lines.append(f"GPU {sample.index} MIG {instance.profile or '-'}: {memory} GiB, {instance.uuid}")
    return "\n".join([*lines, f"driver {samples[0].driver_version or '-'}"])


def _row(sample: Sample) -> tuple[str, ...]:
    return (
        str(sample.index),
        sample.name or "-",
        _scaled(sample.power_watts, 1),
        "-" if sample.utilization is None else f"{sample.utilization:.0%}",
        _memory(sample.memory_used_bytes, sample.memory_total_bytes),
        _scaled(sample.temperature_celsius, 1, 0),
        "-" if sample.status is None else sample.status.value,
        _scaled(sample.energy_joules, 1000),
        "-" if sample.mig_enabled is None else f"on, {len(sample.mig_instances)}" if sample.mig_enabled else "off",
        "-" if sample.pids is None else " ".join(map(str, sample.pids)) or "none",
    )


def _memory(used: int | None, total: int | None) -> str:
    return "-" if used is None and total is None else f"{_scaled(used, 2**30)} of {_scaled(total, 2**30)}"


def _scaled(value: float | None, unit: float, digits: int = 1) -> str:
    return "-" if value is None else f"{value / unit:.{digits}f}"


def _plain(sample: Sample) -> dict[str, Any]:
    return {
        name: value.value if isinstance(value, Enum) else value
        for name, value in asdict(sample).items()
        if name != "at_seconds"  # a clock that means nothing outside this process
    }


def _described(samples: tuple[Sample, ...]) -> str:
    models = Counter(sample.name or "unknown model" for sample in samples)
    named = ", ".join(model if count == 1 else f"{count} × {model}" for model, count in models.items())
    return f"{len(samples)} GPU{'' if len(samples) == 1 else 's'}: {named}"


def _resource(given: dict[str, str]) -> Resource:
    # The host's GPUs are told one by one by the metrics; the agent itself uses none.
    found: dict[str, Any] = dict(host_attributes(os.environ) or {})
    pool = os.environ.get("ANDON_ACCELERATOR_POOL")
    if pool:
        found[attributes.ACCELERATOR_POOL] = pool
    return Resource(found).merge(Resource.create(given))


def _samples() -> tuple[Sample, ...]:
    try:
        samples = session.samples()
    except NvmlUnavailableError as error:
        _refuse(str(error))
    if not samples:
        _refuse("NVML answers, but shows no GPU to this process; in a container, let the runtime pass the GPUs in")
    return samples


def _refuse(reason: str) -> NoReturn:
    sys.stderr.write(f"andon: {reason}\n")
    raise typer.Exit(2)
