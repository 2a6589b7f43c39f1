"""Amazon Bedrock through boto3: plain dicts of `converse`, `invoke_model`, and the events of their streams.

Fresh input, cache reads and cache writes are reported apart and summed here. The answers do not name the model: it
stands in the request alone.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from andon.clients.client import Arguments, Client
from andon.clients.meter import StreamMeter
from andon.clients.parts import count, counted, part, word
from andon.clients.reading import Reading, normal_tokens

_PROVIDER: Final = "aws.bedrock"
_CHAT: Final = "chat"
_METRICS: Final = "amazon-bedrock-invocationMetrics"
_HEADERS: Final = {
    "fresh": "x-amzn-bedrock-input-token-count",
    "output": "x-amzn-bedrock-output-token-count",
    "read": "x-amzn-bedrock-cache-read-input-token-count",
    "written": "x-amzn-bedrock-cache-write-input-token-count",
}


def _usage_parts(usage: object) -> dict[str, int | None]:
    return {
        "fresh": counted(usage, "inputTokens", "inputTokenCount"),
        "output": counted(usage, "outputTokens", "outputTokenCount"),
        "read": counted(usage, "cacheReadInputTokens", "cacheReadInputTokenCount"),
        "written": counted(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount"),
    }


def _normal(parts: dict[str, int]) -> dict[str, int]:
    fresh, read, written = parts.get("fresh"), parts.get("read"), parts.get("written")
    whole = None if fresh is None else fresh + (read or 0) + (written or 0)
    return normal_tokens(whole, parts.get("output"), read, written)


def _known(parts: dict[str, int | None]) -> dict[str, int]:
    return {name: number for name, number in parts.items() if number is not None}


def _read_converse(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    usage = part(value, "usage")
    parts = _known(_usage_parts(usage))
    if "fresh" not in parts or part(value, "output") is None:
        return None
    reason = word(value, "stopReason")
    return (
        Reading(
            _normal(parts),
            _CHAT,
            _PROVIDER,
            word(part(part(value, "trace"), "promptRouter"), "invokedModelId"),
            word(part(value, "ResponseMetadata"), "RequestId"),
            () if reason is None else (reason,),
            usage,
        ),
    )


def _read_invoked(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    metadata = part(value, "ResponseMetadata")
    headers = part(metadata, "HTTPHeaders")
    if type(headers) is not dict or part(value, "usage") is not None:
        return None
    parts = {name: _header(headers, header) for name, header in _HEADERS.items()}
    if parts["fresh"] is None and parts["output"] is None:
        return None
    response_id = word(metadata, "RequestId")
    return (Reading(_normal(_known(parts)), None, _PROVIDER, None, response_id, (), headers),)


def _header(headers: dict[str, Any], name: str) -> int | None:
    value = part(headers, name)
    return count(int(value)) if type(value) is str and value.isascii() and value.isdigit() else None


def _take(meter: StreamMeter, event: Any) -> bool:
    if type(event) is not dict:
        return False
    if (delta := event.get("contentBlockDelta")) is not None:
        meter.current(_CHAT, _PROVIDER)
        if meter.keep_text:
            meter.say(part(part(delta, "delta"), "text"))
    elif (metadata := part(event, "metadata")) is not None:
        usage = part(metadata, "usage")
        parts = _usage_parts(usage)
        if parts["fresh"] is None:
            return False
        meter.current(_CHAT, _PROVIDER).put(parts, _normal, usage)
    elif part(event, "messageStart") is not None:
        meter.begin(_CHAT, _PROVIDER)
    elif (stop := part(event, "messageStop")) is not None:
        meter.current(_CHAT, _PROVIDER).finish(word(stop, "stopReason"))
    else:
        return "contentBlockStart" in event or "contentBlockStop" in event
    return True


def _take_invoked(meter: StreamMeter, event: Any) -> bool:
    body = part(part(event, "chunk"), "bytes")
    if type(body) is not bytes:
        return False
    meter.current(None, _PROVIDER)
    if _METRICS.encode() in body:
        with suppress(ValueError):  # not what it looked like
            _take_metrics(meter, json.loads(body))
    return True


def _take_metrics(meter: StreamMeter, event: Any) -> bool:
    usage = part(event, _METRICS)
    if usage is None:
        return False
    answer = meter.current(None, _PROVIDER)
    answer.put(_usage_parts(usage), _normal, usage)
    return True


CLIENT: Final = Client(
    answers={"stopReason": _read_converse, "ResponseMetadata": _read_invoked},
    chunks={
        **dict.fromkeys(
            ("messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"),
            _take,
        ),
        "chunk": _take_invoked,
        _METRICS: _take_metrics,
    },
)
