"""Anthropic's messages. Input comes in three parts (fresh, cache read, cache written) and is summed here.

In a stream `message_start` tells the input, `message_delta` the output so far; the output that `message_start` names is
that of the first token alone, and is not believed.
"""

from collections.abc import Sequence
from typing import Any, Final

from andon.clients.client import Arguments, Client
from andon.clients.meter import StreamMeter
from andon.clients.parts import counted, held, items, part, total, word
from andon.clients.reading import Reading, normal_tokens

_CHAT: Final = "chat"
_EVENTS: Final = frozenset(
    (
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_stop",
        "ping",
    )
)


def usage_parts(usage: object) -> dict[str, int | None]:
    """Return the counts of a usage; the three parts of the input are still apart."""
    parts = _counts(usage)
    # The server's own request that shortens a long context is told apart, and is not in the other counts.
    for iteration in items(part(usage, "iterations")):
        if word(iteration, "type") == "compaction":
            for name, number in _counts(iteration).items():
                parts[name] = total(parts[name], number)
    return parts


def _counts(usage: object) -> dict[str, int | None]:
    written = counted(usage, "cache_creation_input_tokens")
    if written is None and (created := part(usage, "cache_creation")) is not None:
        written = total(counted(created, "ephemeral_5m_input_tokens"), counted(created, "ephemeral_1h_input_tokens"))
    return {
        "fresh": counted(usage, "input_tokens"),
        "read": counted(usage, "cache_read_input_tokens"),
        "written": written,
        "output": counted(usage, "output_tokens"),
        "reasoning": counted(part(usage, "output_tokens_details"), "thinking_tokens"),
    }


def normal(parts: dict[str, int]) -> dict[str, int]:
    """Return our counts: the input is all three parts."""
    fresh, read, written = parts.get("fresh"), parts.get("read"), parts.get("written")
    whole = None if fresh is None else fresh + (read or 0) + (written or 0)
    return normal_tokens(whole, parts.get("output"), read, written, parts.get("reasoning"))


def _provider(response_id: str | None, model: str | None) -> str | None:
    # The same messages are served by two clouds, which sign their ids, and imitated by others.
    if response_id is not None and response_id.startswith("msg_bdrk_"):
        return "aws.bedrock"
    if response_id is not None and response_id.startswith("msg_vrtx_"):
        return "gcp.vertex_ai"
    return "anthropic" if model is not None and model.startswith("claude") else None


def _read(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    if word(value, "type") != "message" or word(value, "role") != "assistant":
        return None
    if type(part(value, "content")) is not list:
        return None
    model, response_id = word(value, "model"), word(value, "id")
    usage = part(value, "usage")
    parts = {} if usage is None else usage_parts(usage)
    reason = word(value, "stop_reason")
    return (
        Reading(
            normal({name: number for name, number in parts.items() if number is not None}),
            _CHAT,
            _provider(response_id, model),
            model,
            response_id,
            () if reason is None else (reason,),
            value if usage is None else usage,
        ),
    )


def _take(meter: StreamMeter, event: Any) -> bool:
    kind = held(event).get("type")
    if type(kind) is not str:
        return False
    if kind == "content_block_delta":
        if meter.keep_text:
            meter.say(part(part(event, "delta"), "text"))
        elif meter.answer is None:
            meter.current(_CHAT, None)
        return True
    if kind == "message_start" and (message := part(event, "message")) is not None:
        model, response_id = word(message, "model"), word(message, "id")
        answer = meter.begin(_CHAT, _provider(response_id, model))
        answer.model, answer.response_id = model, response_id
        usage = part(message, "usage")
        if usage is not None:
            answer.put({**usage_parts(usage), "output": None}, normal, usage)
        return True
    if kind == "message_delta" and (usage := part(event, "usage")) is not None:
        answer = meter.current(_CHAT, None)
        answer.put(usage_parts(usage), normal, usage)
        answer.finish(word(part(event, "delta"), "stop_reason"))
        return True
    return kind in _EVENTS and meter.answer is not None


CLIENT: Final = Client(answers={"stop_reason": _read}, chunks={"type": _take})
