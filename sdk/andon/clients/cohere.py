"""Cohere: chat, version 2 and 1, embeddings, and the streams of both versions.

`tokens` is what the model read and wrote, `billed_units` what is charged, without Cohere's own part of the prompt; the
billed units stand in only where the tokens are missing. The answers do not name the model.
"""

from collections.abc import Sequence
from typing import Any, Final

from andon.clients.client import Arguments, Client
from andon.clients.meter import StreamMeter
from andon.clients.parts import counted, held, part, text, total, word
from andon.clients.reading import Reading, normal_tokens

_PROVIDER: Final = "cohere"
_CHAT: Final = "chat"
_OTHERS: Final = frozenset(
    (
        "citation-end",
        "citation-start",
        "content-end",
        "content-start",
        "debug",
        "tool-call-delta",
        "tool-call-end",
        "tool-call-start",
        "tool-plan-delta",
    )
)


def _usage_parts(usage: object) -> dict[str, int | None]:
    real, billed = part(usage, "tokens"), part(usage, "billed_units")
    read, output = counted(real, "input_tokens"), counted(real, "output_tokens")
    return {
        "input": counted(billed, "input_tokens") if read is None else read,
        "output": counted(billed, "output_tokens") if output is None else output,
        "cached": counted(usage, "cached_tokens"),
    }


def _normal(parts: dict[str, int]) -> dict[str, int]:
    return normal_tokens(parts.get("input"), parts.get("output"), parts.get("cached"))


def _known(parts: dict[str, int | None]) -> dict[str, int]:
    return {name: number for name, number in parts.items() if number is not None}


def _reading(usage: object, value: object, response_id: object, reason: object) -> Reading:
    finish = text(reason)
    return Reading(
        _normal(_known(_usage_parts(usage))),
        _CHAT,
        _PROVIDER,
        None,
        text(response_id),
        () if finish is None else (finish,),
        value if usage is None else usage,
    )


def _read_chat(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    usage = part(value, "usage")
    if word(part(value, "message"), "role") != "assistant" or not _known(_usage_parts(usage)):
        return None
    return (_reading(usage, value, part(value, "id"), part(value, "finish_reason")),)


def _read_chat_v1(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    meta = part(value, "meta")
    if type(part(value, "text")) is not str or meta is None:
        return None
    return (_reading(meta, value, part(value, "response_id"), part(value, "finish_reason")),)


def _read_embeddings(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    meta = part(value, "meta")
    billed = part(meta, "billed_units")
    read = counted(part(meta, "tokens"), "input_tokens")
    if read is None:
        read = total(counted(billed, "input_tokens"), counted(billed, "image_tokens"))
    if part(value, "embeddings") is None or read is None:
        return None
    return (Reading(normal_tokens(read), "embeddings", _PROVIDER, None, word(value, "id"), (), meta),)


def _take(meter: StreamMeter, event: Any) -> bool:
    kind = held(event).get("type")
    if type(kind) is not str:
        return False
    if kind == "content-delta":
        meter.current(_CHAT, _PROVIDER)
        if meter.keep_text:
            meter.say(part(part(part(part(event, "delta"), "message"), "content"), "text"))
    elif kind == "message-start":
        meter.begin(_CHAT, _PROVIDER).response_id = word(event, "id")
    elif kind == "message-end":
        delta = part(event, "delta")
        answer = meter.current(_CHAT, _PROVIDER)
        answer.finish(word(delta, "finish_reason"))
        if (usage := part(delta, "usage")) is not None:
            answer.put(_usage_parts(usage), _normal, usage)
    else:
        return kind in _OTHERS
    return True


def _take_v1(meter: StreamMeter, event: Any) -> bool:
    kind = word(event, "event_type")
    if kind == "text-generation":
        meter.current(_CHAT, _PROVIDER)
        if meter.keep_text:
            meter.say(part(event, "text"))
    elif kind == "stream-start":
        meter.begin(_CHAT, _PROVIDER)
    elif kind == "stream-end":
        response = part(event, "response")
        answer = meter.current(_CHAT, _PROVIDER)
        answer.response_id = word(response, "response_id")
        answer.finish(word(event, "finish_reason"))
        if (meta := part(response, "meta")) is not None:
            answer.put(_usage_parts(meta), _normal, meta)
    else:
        return False
    return True


CLIENT: Final = Client(
    answers={"finish_reason": _read_chat, "generation_id": _read_chat_v1, "embeddings": _read_embeddings},
    chunks={"type": _take, "event_type": _take_v1},
)
