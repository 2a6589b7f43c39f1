"""`andon.init` and `andon.shutdown`: the beginning and the end of recording in a process.

Resolves what was given and the environment to settings, and starts or stops the runtime with them.
"""

import os
from collections.abc import Mapping

from andon import carrying
from andon.guard import never_raises
from andon.notices import log
from andon.runtime import Mask, runtime
from andon.settings import SHUTDOWN_SECONDS, SettingsError, is_disabled, resolve


@never_raises
def init(
    service: str | None = None,
    endpoint: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    environment: str | None = None,
    capture_content: Mask | None = None,
) -> None:
    """Start recording; call it once, early. A second call is harmless.

    Arguments beat the environment (`OTEL_*`, `ANDON_ENDPOINT`), which beats the defaults. Where the program already has
    an OpenTelemetry tracer provider, spans are made with it; our export is added to it only if an endpoint is given.

    Args:
        service: name of the service (`service.name`).
        endpoint: base address of the collector, `http://127.0.0.1:4318` by default.
        headers: sent with each export, for example `{"authorization": "Bearer ..."}`.
        environment: `deployment.environment.name`, for example `production`.
        capture_content: a function that masks a text, and by being there asks for prompts and answers to be sent: the
            arguments of decorated calls and the texts they return, each as the function gives it. None: never sent.
    """
    if runtime.disabled or is_disabled(os.environ):
        runtime.switch_off()
        return
    try:
        resolved = resolve(os.environ, service=service, endpoint=endpoint, headers=headers, environment=environment)
    except SettingsError as error:
        log.error("andon.init: %s; nothing is recorded", error)
        runtime.switch_off()
        return
    carrying.install()
    runtime.start(resolved, capture_content if callable(capture_content) else None)


@never_raises
def shutdown(timeout_seconds: float = SHUTDOWN_SECONDS) -> None:
    """Send what is still queued, for at most `timeout_seconds`, and stop recording. Runs by itself at exit."""
    runtime.stop(timeout_seconds)
