"""What `andon.init` was told, made whole: arguments first, then `ANDON_*` and `OTEL_*`, then the defaults.

Pure: takes the arguments and a mapping of environment variables, returns a frozen `Settings`. Timeouts, headers,
compression and certificates from `OTEL_EXPORTER_OTLP_*` are read by the OpenTelemetry exporter itself.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from andon import attributes
from andon.notices import log

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:4318"
TRACES_PATH: Final = "/v1/traces"
LOGS_PATH: Final = "/v1/logs"
METRICS_PATH: Final = "/v1/metrics"

SHUTDOWN_SECONDS: Final = 3.0


class SettingsError(ValueError):
    """A setting that cannot work; the message names it, its value, and what is allowed."""


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Bounds of one background queue."""

    max_items: int
    max_batch: int
    delay_seconds: float
    max_bytes: int = sys.maxsize


SPAN_QUEUE: Final = QueueLimits(max_items=2048, max_batch=512, delay_seconds=1.0)
METRIC_INTERVAL_MS: Final = 60_000
OBSERVATION_BYTES: Final = 32 * 2**20
OBSERVATION_QUEUE: Final = QueueLimits(max_items=20_000, max_batch=512, delay_seconds=1.0, max_bytes=OBSERVATION_BYTES)
OBSERVED_ROWS_PER_SECOND: Final = 2000


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that `andon.init` needs to know."""

    traces_url: str
    logs_url: str
    metrics_url: str
    endpoint_given: bool
    headers: Mapping[str, str] | None
    resource: Mapping[str, str]
    spans: QueueLimits
    observations: QueueLimits
    metric_interval_seconds: float = METRIC_INTERVAL_MS / 1000
    observed_rows_per_second: int = OBSERVED_ROWS_PER_SECOND


def is_disabled(env: Mapping[str, str]) -> bool:
    """Whether `ANDON_DISABLED` or `OTEL_SDK_DISABLED` switches the SDK off."""
    return any(env.get(name, "").strip().lower() in {"true", "1"} for name in ("ANDON_DISABLED", "OTEL_SDK_DISABLED"))


def resolve(
    env: Mapping[str, str],
    *,
    service: str | None = None,
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    environment: str | None = None,
) -> Settings:
    """Return the settings in force.

    Args:
        env: environment variables.
        endpoint: base address of the collector, for example `http://127.0.0.1:4318`; beats `ANDON_ENDPOINT`, which
            beats `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` / `_LOGS_ENDPOINT` / `_METRICS_ENDPOINT` (whole URLs), which beat
            `OTEL_EXPORTER_OTLP_ENDPOINT`.

    Raises:
        SettingsError: an endpoint that is not an http(s) URL.
    """
    given = endpoint or env.get("ANDON_ENDPOINT")
    resource = {attributes.SERVICE_NAME: service, attributes.DEPLOYMENT_ENVIRONMENT: environment}
    return Settings(
        traces_url=_signal_url(given, env, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", TRACES_PATH),
        logs_url=_signal_url(given, env, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", LOGS_PATH),
        metrics_url=_signal_url(given, env, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", METRICS_PATH),
        endpoint_given=bool(given),
        headers=dict(headers) if headers else None,  # goes to worker processes: whatever mapping it was, a plain one
        resource={name: value for name, value in resource.items() if value},
        spans=_limits(env, "OTEL_BSP", SPAN_QUEUE),
        observations=replace(
            _limits(env, "OTEL_BLRP", OBSERVATION_QUEUE),
            max_bytes=_positive(env, "ANDON_OBSERVE_MAX_BYTES", OBSERVATION_BYTES),
        ),
        observed_rows_per_second=_whole(env, "ANDON_OBSERVE_ROWS_PER_SECOND", OBSERVED_ROWS_PER_SECOND),
        metric_interval_seconds=_positive(env, "OTEL_METRIC_EXPORT_INTERVAL", METRIC_INTERVAL_MS) / 1000,
    )


def _signal_url(given: str | None, env: Mapping[str, str], variable: str, path: str) -> str:
    if not given and env.get(variable):
        return _checked(env[variable], variable)
    base = given or env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or DEFAULT_ENDPOINT
    base = _checked(base, "endpoint").rstrip("/")
    for known in (TRACES_PATH, LOGS_PATH, METRICS_PATH):
        base = base.removesuffix(known)
    return base + path


def _checked(url: str, where: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise SettingsError(
            f"{where}={url!r} is not an address; write it as http://HOST:PORT or https://HOST:PORT, "
            f"for example {DEFAULT_ENDPOINT} (argument of andon.init, ANDON_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT)"
        )
    return url


def _limits(env: Mapping[str, str], prefix: str, default: QueueLimits) -> QueueLimits:
    max_items = _positive(env, f"{prefix}_MAX_QUEUE_SIZE", default.max_items)
    max_batch = _positive(env, f"{prefix}_MAX_EXPORT_BATCH_SIZE", default.max_batch)
    delay_ms = _positive(env, f"{prefix}_SCHEDULE_DELAY", round(default.delay_seconds * 1000))
    return QueueLimits(max_items=max_items, max_batch=min(max_batch, max_items), delay_seconds=delay_ms / 1000)


def _positive(env: Mapping[str, str], name: str, default: int) -> int:
    return _whole(env, name, default, least=1, allowed="a whole number above 0")


def _whole(
    env: Mapping[str, str], name: str, default: int, least: int = 0, allowed: str = "a whole number, 0 or above"
) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if text.isdecimal() and int(text) >= least:
        return int(text)
    log.warning("%s=%r is ignored, %d is used; allowed: %s", name, text, default, allowed)
    return default
