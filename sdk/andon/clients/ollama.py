"""Ollama: chat, generate and embed, objects and dicts. The last chunk of a stream is the one that is `done` and counts.

The server leaves a count out when it has nothing to tell, which is unknown here.
"""

from collections.abc import Sequence
from typing import Any, Final

from andon.clients.client import Arguments, Client
from andon.clients.meter import StreamMeter
from andon.clients.parts import counted, part, word
from andon.clients.reading import Reading, normal_tokens

_PROVIDER: Final = "ollama"


def _operation(value: object) -> str | None:
    if part(value, "message") is not None:
        return "chat"
    return "text_completion" if type(part(value, "response")) is str else None


def _usage_parts(value: object) -> dict[str, int | None]:
    return {"input": counted(value, "prompt_eval_count"), "output": counted(value, "eval_count")}


def _normal(parts: dict[str, int]) -> dict[str, int]:
    return normal_tokens(parts.get("input"), parts.get("output"))


def _read(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    operation = _operation(value)
    model = word(value, "model")
    if operation is None or model is None or part(value, "created_at") is None or part(value, "done") is not True:
        return None
    parts = _usage_parts(value)
    reason = word(value, "done_reason")
    tokens = normal_tokens(parts["input"], parts["output"])
    return (Reading(tokens, operation, _PROVIDER, model, None, () if reason is None else (reason,), value),)


def _read_embeddings(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    model = word(value, "model")
    if part(value, "embeddings") is None or model is None or part(value, "total_duration") is None:
        return None
    tokens = normal_tokens(counted(value, "prompt_eval_count"))
    return (Reading(tokens, "embeddings", _PROVIDER, model, None, (), value),)


def _take(meter: StreamMeter, chunk: Any) -> bool:
    answer = meter.answer
    if answer is None or answer.ended:
        operation = _operation(chunk)
        if operation is None or part(chunk, "created_at") is None:
            return False
        answer = meter.begin(operation, _PROVIDER)
        answer.model = word(chunk, "model")
    if meter.keep_text:
        meter.say(word(part(chunk, "message"), "content") or part(chunk, "response"))
    if part(chunk, "done") is True:
        answer.put(_usage_parts(chunk), _normal, chunk)
        answer.finish(word(chunk, "done_reason"))
    return True


CLIENT: Final = Client(
    answers={"done": _read, "prompt_eval_count": _read_embeddings},
    chunks={"done": _take},
)
