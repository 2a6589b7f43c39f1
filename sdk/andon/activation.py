"""`andon.activate`: turns on the instrumentation of model clients and frameworks that is installed beside Andon.

Finds it by entry point, takes one family for each library, and leaves alone what runs already. What those packages
record goes to the program's tracer provider, and so through `andon.init` to the collector.
"""

import os
import threading
from collections.abc import Iterable, MutableMapping
from typing import TYPE_CHECKING, Final

from andon.guard import never_raises
from andon.notices import log, warn_once
from andon.runtime import State, runtime
from andon.settings import is_disabled

if TYPE_CHECKING:
    from andon.instrumentors import Instrumentor

# OpenTelemetry's own need no switch: they keep content out unless told otherwise.
CONTENT_SWITCHES: Final = {
    "TRACELOOP_TRACE_CONTENT": "false",
    "OPENINFERENCE_HIDE_INPUTS": "true",
    "OPENINFERENCE_HIDE_OUTPUTS": "true",
    "OPENINFERENCE_HIDE_EMBEDDINGS_TEXT": "true",
    "OPENINFERENCE_HIDE_EMBEDDINGS_VECTORS": "true",
}

_turn = threading.Lock()


def activate(*names: str) -> list[str]:
    """Turn on instrumentation that is installed; returns the names of the libraries that are instrumented now.

    Prompts and answers are not captured, unless the environment says so before the call: a switch of
    `CONTENT_SWITCHES` that is set is left as it is. What cannot be turned on is named in the log, and never raises.

    Args:
        names: libraries (`"openai"`, `"requests"`) or packages (`"openinference-instrumentation-openai"`). Without
            any: everything that instruments model clients, agent and LLM frameworks and vector stores.
    """
    return _activate(names) or []


@never_raises
def _activate(names: tuple[str, ...]) -> list[str]:
    if runtime.state is State.OFF or is_disabled(os.environ):
        return []
    # Only who activates pays for these.
    from andon.instrumentors import (
        GENAI_LIBRARIES,
        already_instrumented,
        installed,
        library_called,
        provider_of_logfire,
    )

    with _turn:
        _keep_content_out(os.environ)
        running = already_instrumented()
        candidates = installed()
        chosen: dict[str, list[Instrumentor]] = {}
        for one in candidates:
            if any(one.is_meant_by(name) for name in names) if names else one.is_genai:
                chosen.setdefault(one.library, []).append(one)
        _tell_what_is_missing([name for name in names if library_called(name) not in running], candidates)
        on = {library for library, ones in sorted(chosen.items()) if _turn_on(library, ones, running.get(library))}
        # What Logfire or OpenLIT has turned on counts, though no entry point names it.
        meant = {library_called(name) for name in names} or GENAI_LIBRARIES.keys()
        if "logfire" in running.values() and (provider := provider_of_logfire()) is not None:
            runtime.adopt(provider)
        return sorted(on | (meant & running.keys()))


def _keep_content_out(environment: MutableMapping[str, str]) -> None:
    for name, value in CONTENT_SWITCHES.items():
        environment.setdefault(name, value)


def _turn_on(library: str, candidates: "list[Instrumentor]", running: str | None) -> bool:
    from andon.instrumentors import CannotTurnOnError, LibraryMissingError

    if running is not None:
        log.info("andon.activate: %s is instrumented already, by %s; it is left alone", library, running)
        return True
    for place, one in enumerate(candidates):
        try:
            one.turn_on()
        except LibraryMissingError as reason:
            log.debug("andon.activate: %s is not turned on: %s", one.package, reason)
        except CannotTurnOnError as reason:
            key = f"activate.{one.package}"
            warn_once(
                key, "andon.activate: %s is installed, but cannot instrument %s: %s", one.package, library, reason
            )
        else:
            others = ", ".join(other.package for other in candidates[place + 1 :])
            told = f"; {others} would record the same calls again and stays off" if others else ""
            log.info("andon.activate: %s is instrumented by %s%s", library, one.package, told)
            return True
    return False


def _tell_what_is_missing(names: list[str], candidates: "Iterable[Instrumentor]") -> None:
    for name in names:
        if not any(one.is_meant_by(name) for one in candidates):
            there = ", ".join(sorted({one.library for one in candidates})) or "none"
            warn_once(
                f"activate.{name}",
                "andon.activate: no instrumentation of %r is installed; installed is that of: %s",
                name,
                there,
            )
