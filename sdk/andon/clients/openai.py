"""OpenAI's answers, and those of the many servers that speak its protocol: chat, completions, responses, embeddings.

Counts are inclusive already, but for servers that leave reasoning out of the output. The classes of this client prove
nothing about who answered; `proven_provider` says what does.
"""

from collections.abc import Sequence
from typing import Any, Final

from andon.clients.client import Arguments, Client
from andon.clients.meter import Answer, StreamMeter
from andon.clients.parts import counted, first, held, items, part, text, texts, word
from andon.clients.reading import Reading, normal_tokens

CHAT: Final = "chat"
TEXT: Final = "text_completion"
EMBEDDINGS: Final = "embeddings"

_OPERATIONS: Final = {
    "chat.completion": CHAT,
    "chat.completion.chunk": CHAT,
    "text_completion": TEXT,
    "text_completion.chunk": TEXT,
}
_OWN_MODELS: Final = ("gpt-3", "gpt-4", "gpt-5", "o1", "o3", "o4", "chatgpt-", "codex-", "computer-use-")
_OWN_TIERS: Final = frozenset(("default", "flex", "priority", "scale", "fast"))


def usage_parts(usage: object) -> dict[str, int | None]:
    """Return the counts of a usage in either vocabulary: prompt and completion, or input and output."""
    into = first(usage, "prompt_tokens_details", "input_tokens_details")
    out = first(usage, "completion_tokens_details", "output_tokens_details")
    cached = counted(into, "cached_tokens")
    return {
        "input": counted(usage, "prompt_tokens", "input_tokens"),
        "output": counted(usage, "completion_tokens", "output_tokens"),
        "total": counted(usage, "total_tokens"),
        "cached": counted(usage, "prompt_cache_hit_tokens", "cached_tokens") if cached is None else cached,
        "written": counted(into, "cache_write_tokens", "cache_creation_tokens"),
        "reasoning": counted(out, "reasoning_tokens"),
    }


def normal(parts: dict[str, int]) -> dict[str, int]:
    """Return our counts.

    Some servers of this protocol leave reasoning out of the completion; only then does the total need it as well.
    """
    read, output, reasoning = parts.get("input"), parts.get("output"), parts.get("reasoning")
    if read is not None and output is not None and reasoning and parts.get("total") == read + output + reasoning:
        output += reasoning
    return normal_tokens(read, output, parts.get("cached"), parts.get("written"), reasoning)


def tokens(usage: object) -> dict[str, int]:
    """Return our counts of a usage object or dict; empty where it tells nothing."""
    return normal({name: value for name, value in usage_parts(usage).items() if value is not None})


def proven_provider(value: object) -> str | None:
    """Return who answered, where the answer proves it."""
    if part(value, "x_groq") is not None:
        return "groq"
    if part(value, "prompt_filter_results") is not None:
        return "azure.ai.openai"
    if part(part(value, "usage"), "prompt_cache_hit_tokens") is not None:
        return "deepseek"
    # Its own model by name and its own billing tier: others offer the name as an alias, or the tier as an echo.
    model = word(value, "model") or ""
    if word(value, "service_tier") in _OWN_TIERS and model.startswith(_OWN_MODELS):
        return "openai"
    return None


def read_choices(value: object, provider: str | None) -> Reading | None:
    """Read a chat or text completion."""
    choices = part(value, "choices")
    usage = part(value, "usage")
    found = {} if usage is None else tokens(usage)
    named = word(value, "object")
    operation = _OPERATIONS.get(named or "")
    whole = named in ("chat.completion", "text_completion")
    if type(choices) is not list or not (whole or found):
        return None  # a chunk, or something that only looks like an answer
    return Reading(
        found,
        operation or CHAT,
        provider,
        word(value, "model"),
        word(value, "id"),
        texts(items(choices), "finish_reason"),
        value if usage is None else usage,
    )


def read_embeddings(value: object, provider: str | None) -> Reading | None:
    """Read a list of embeddings; they write nothing."""
    data = items(part(value, "data"))
    usage = part(value, "usage")
    if usage is None or not data or part(data[0], "embedding") is None:
        return None
    found = normal_tokens(counted(usage, "prompt_tokens"))
    return Reading(found, EMBEDDINGS, provider, word(value, "model"), word(value, "id"), (), usage)


def read_response(value: object, provider: str | None) -> Reading | None:
    """Read an answer of the responses API."""
    if type(part(value, "output")) is not list:
        return None
    usage = part(value, "usage")
    reason = word(part(value, "incomplete_details"), "reason") or word(value, "status")
    return Reading(
        {} if usage is None else tokens(usage),
        CHAT,
        provider,
        word(value, "model"),
        word(value, "id"),
        () if reason is None else (reason,),
        value if usage is None else usage,
    )


def _read_named(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    named = word(value, "object")
    if named == "list":
        reading = read_embeddings(value, None)
    elif named == "response":
        reading = read_response(value, proven_provider(value))
    else:
        reading = read_choices(value, proven_provider(value))
    return None if reading is None else (reading,)


def _read_unnamed(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    if part(value, "object") is not None or type(part(value, "model")) is not str:
        return None
    reading = read_choices(value, proven_provider(value))
    return None if reading is None else (reading,)


def take_choices(meter: StreamMeter, chunk: object, provider: str | None = None) -> bool:
    """Take a chunk of a chat or text completion. The usage, where asked for, comes with the last one."""
    fields = held(chunk)
    choices = fields.get("choices")
    named = fields.get("object")
    if type(choices) is not list or (type(named) is str and named == "chat.completion"):
        return False  # that one is whole
    answer = meter.answer
    if answer is None or (answer.ended and choices and _is_another(answer, chunk)):
        operation = _OPERATIONS.get(text(named) or "")
        if operation is None:
            return False
        answer = meter.begin(operation, provider or proven_provider(chunk))
    if answer.model is None or answer.response_id is None:
        answer.model = answer.model or text(fields.get("model"))
        answer.response_id = answer.response_id or text(fields.get("id"))
    for choice in choices:
        parts = held(choice)  # where a class declares no fields, they stand apart from these
        reason = parts["finish_reason"] if "finish_reason" in parts else part(choice, "finish_reason")
        if reason is not None:
            answer.finish(text(reason))
        if meter.keep_text:
            meter.say(word(part(choice, "delta"), "content") or part(choice, "text"))
    usage = fields["usage"] if "usage" in fields else part(chunk, "usage")
    if usage is not None:
        answer.put(usage_parts(usage), normal, usage)
        answer.provider = answer.provider or provider or proven_provider(chunk)
    return True


def _is_another(answer: Answer, chunk: object) -> bool:
    response_id = word(chunk, "id")
    return response_id is not None and answer.response_id is not None and response_id != answer.response_id


def _take_event(meter: StreamMeter, event: Any) -> bool:
    kind = held(event).get("type")
    if type(kind) is not str:
        return False
    if kind == "chunk":  # of the client's own helper around a chat stream
        return take_choices(meter, part(event, "chunk"))
    if not kind.startswith("response."):
        return False
    if kind == "response.output_text.delta":
        meter.current(CHAT, None)
        if meter.keep_text:
            meter.say(part(event, "delta"))
        return True
    response = part(event, "response")
    if kind == "response.created":
        meter.begin(CHAT, None)
    answer = meter.current(CHAT, None)
    if response is None or (reading := read_response(response, proven_provider(response))) is None:
        return True
    answer.model = reading.model
    answer.response_id = reading.response_id
    if kind in ("response.completed", "response.incomplete", "response.failed"):
        answer.provider = reading.provider
        answer.finish(reading.finish_reasons[0] if reading.finish_reasons else None)
        if (usage := part(response, "usage")) is not None:
            answer.put(usage_parts(usage), normal, usage)
    return True


CLIENT: Final = Client(
    answers={"object": _read_named, "choices": _read_unnamed},
    chunks={"object": take_choices, "type": _take_event},
)
