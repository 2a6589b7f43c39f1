"""LlamaIndex: chat and completion responses. Usage stands in `raw`, which is the answer of the client underneath.

Where that tells nothing, in `additional_kwargs`, which some integrations fill with OpenAI's names.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from andon.clients import openai
from andon.clients.client import Arguments, Client
from andon.clients.meter import StreamMeter
from andon.clients.parts import part
from andon.clients.reading import Reading


def _operation(value: object) -> str | None:
    if type(part(value, "additional_kwargs")) is not dict:
        return None
    if part(value, "message") is not None:
        return openai.CHAT
    return openai.TEXT if type(part(value, "text")) is str else None


def _underneath(value: object) -> Any:
    raw = part(value, "raw")
    return None if part(raw, "raw") is not None else raw  # nothing wraps twice


def _read(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    operation = _operation(value)
    if operation is None:
        return None
    raw, beside = _underneath(value), part(value, "additional_kwargs")
    from andon.clients import table  # which lists this file

    found = [] if raw is None else list(table.read(raw, None) or ())
    if any(reading.tokens for reading in found):
        return found
    tokens = openai.tokens(beside)
    if found and tokens:
        return (replace(found[0], tokens=tokens, source=beside),)
    if not tokens and not found and type(value) is dict:
        return None  # anybody's
    return found or (Reading(tokens, operation, None, None, None, (), beside if tokens else value),)


def _take(meter: StreamMeter, chunk: Any) -> bool:
    operation = _operation(chunk)
    if operation is None:
        return False
    from andon.clients import table  # which lists this file

    raw = _underneath(chunk)
    if raw is None or not table.take(meter, raw):
        answer = meter.current(operation, None)
        parts = openai.usage_parts(part(chunk, "additional_kwargs"))
        if parts["input"] is not None or parts["output"] is not None:
            answer.put(parts, openai.normal, part(chunk, "additional_kwargs"))
        if meter.keep_text:
            meter.say(part(chunk, "delta"))
    return True


CLIENT: Final = Client(answers={"raw": _read}, chunks={"raw": _take}, roots=frozenset(("llama_index",)))
