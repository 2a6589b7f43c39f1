"""The settings of `andon demo`: what an `andon.toml` for the three pipelines would say.

Short windows and quick polls, so that minutes are enough to see everything happen; a production setting would take
hours where this takes seconds.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from pydantic import AnyHttpUrl, SecretStr

from demo.pipelines import ANSWERS, PIPELINES, PROVIDER, SUMMARIES
from settings import (
    AlertRule,
    AlertSettings,
    CdcSource,
    ChecklistSettings,
    DriftMonitor,
    DriftSettings,
    ObservabilitySettings,
    Pool,
    ServerSettings,
    Serves,
    Settings,
    TcoSettings,
    WebhookChannelSettings,
)

POSTGRES_VARIABLE = "ANDON_DEMO_POSTGRES_URL"
_SECRET_BYTES = 32

# Nothing is known before the first tokens; the default, three polls, would call somebody about that.
_CHECK_UNKNOWN = AlertRule(
    name="check-unknown", signal="checklist.state", op="==", value="UNKNOWN", for_seconds=60, severity="warning"
)


def new_secret() -> str:
    """A fresh Standard Webhooks secret."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def demo_settings(
    data_dir: Path,
    webhook_url: str,
    secret: str,
    *,
    port: int = 8300,
    otlp_http_port: int = 4318,
    otlp_grpc_port: int = 4317,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Return the settings of the demo.

    Args:
        webhook_url: address of a `WebhookReceiver` on loopback.
        secret: the secret it checks with, see `new_secret`.
        port: dashboard; 0 picks a free one.
        otlp_http_port, otlp_grpc_port: collector; 0 picks a free one.
        environ: `ANDON_DEMO_POSTGRES_URL` names a PostgreSQL whose replication slots are watched; without it the CDC
            check stays unknown and says what to do.
    """
    return Settings(
        data_dir=data_dir,
        window_seconds=60,
        server=ServerSettings(port=port, otlp_http_port=otlp_http_port, otlp_grpc_port=otlp_grpc_port),
        pools=(_pool(),),
        drift=DriftSettings(poll_seconds=2, monitors=_monitors()),
        checklist=ChecklistSettings(
            poll_seconds=3,
            cdc=_cdc_sources(environ.get(POSTGRES_VARIABLE, "")),
            tco=_tco(),
            observability=ObservabilitySettings(
                expected_pipelines=PIPELINES,
                silent_warn_seconds=15,
                silent_fail_seconds=25,
                # A short window is decided on several seconds late; at the default that would pass for stale.
                monitor_stale_windows=10,
            ),
        ),
        alerts=AlertSettings(
            poll_seconds=2,
            rules=(_CHECK_UNKNOWN,),
            channels=(
                WebhookChannelSettings(
                    name="demo-receiver",
                    url=AnyHttpUrl(webhook_url),
                    secret=SecretStr(secret),
                    allow_private=("127.0.0.0/8",),
                ),
            ),
        ),
    )


def _pool() -> Pool:
    # A round figure: small rented machines cost about this much per core and hour.
    return Pool(
        name="demo-pool",
        accelerator="cpu-core",
        count=1,
        usd_per_hour=Decimal("0.05"),
        serves=Serves(models=(ANSWERS, SUMMARIES), providers=(PROVIDER,)),
    )


def _monitors() -> tuple[DriftMonitor, ...]:
    """Three monitors of the support pipeline: baselines of 36 s, made as soon as there is so much."""
    watched = {
        "support-prompt-length": "feature.prompt_length",
        "support-output-tokens": "output_tokens",
        "support-first-token": "time_to_first_token_seconds",
    }
    return tuple(
        DriftMonitor(
            name=name,
            signal=signal,
            pipeline="support-rag",
            window_seconds=3,
            min_windows=12,
            min_rows=600,
            grace_seconds=3,
            auto_baseline=True,
        )
        for name, signal in watched.items()
    )


def _tco() -> TcoSettings:
    # The egress price is a hyperscaler's list price; the bytes are those of a streamed answer, one event per token.
    return TcoSettings(
        egress_usd_per_gb=Decimal("0.09"),
        egress_bytes_per_output_token=Decimal(217),
        baseline_provider="openai",
        baseline_model="gpt-5-nano",
        window_seconds=300,
    )


def _cdc_sources(url: str) -> tuple[CdcSource, ...]:
    return (CdcSource(name="demo-postgres", url=SecretStr(url)),) if url else ()
