"""LangChain: messages, their chunks, results of `generate`, and the pair of raw and parsed of structured output.

Counts are inclusive already. The usage of chunks is additive: each chunk of a stream tells what it adds.
"""

from collections.abc import Sequence
from typing import Any, Final

from andon.clients import openai
from andon.clients.client import Arguments, Client
from andon.clients.meter import Answer, StreamMeter
from andon.clients.parts import counted, first, held, items, part, text, word
from andon.clients.reading import Reading, normal_tokens

_CHAT: Final = "chat"

# LangChain's names where the GenAI conventions have another one. Its `openai` is whatever speaks that protocol.
_PROVIDERS: Final = {
    "anthropic": "anthropic",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "google_genai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "groq": "groq",
    "mistralai": "mistral_ai",
    "ollama": "ollama",
    "perplexity": "perplexity",
    "xai": "x_ai",
}


def _usage_parts(usage: object) -> dict[str, int | None]:
    into, out = part(usage, "input_token_details"), part(usage, "output_token_details")
    return {
        "input": counted(usage, "input_tokens"),
        "output": counted(usage, "output_tokens"),
        "read": counted(into, "cache_read"),
        "written": counted(into, "cache_creation"),
        "reasoning": counted(out, "reasoning"),
    }


def _normal(parts: dict[str, int]) -> dict[str, int]:
    return normal_tokens(*(parts.get(name) for name in ("input", "output", "read", "written", "reasoning")))


def _tokens(usage: object) -> dict[str, int]:
    return _normal({name: number for name, number in _usage_parts(usage).items() if number is not None})


def _read_message(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    if word(value, "type") not in ("ai", "AIMessageChunk") or type(part(value, "response_metadata")) is not dict:
        return None
    usage = part(value, "usage_metadata")
    said = part(value, "response_metadata")
    if usage is None and (before := part(said, "token_usage")) is not None:
        return (_reading(value, openai.tokens(before), before),)
    return (_reading(value, _tokens(usage), value if usage is None else usage),)


def _reading(message: object, tokens: dict[str, int], source: object) -> Reading:
    said = part(message, "response_metadata")
    reason = text(first(said, "finish_reason", "stop_reason", "done_reason"))
    return Reading(
        tokens, _CHAT, _provider(said), _model(said), _response_id(message), () if reason is None else (reason,), source
    )


def _provider(said: object) -> str | None:
    return _PROVIDERS.get(word(said, "model_provider") or "")


def _model(said: object) -> str | None:
    return text(first(said, "model_name", "model"))


def _response_id(message: object) -> str | None:
    said = word(part(message, "response_metadata"), "id")
    own = word(message, "id")
    # An id that LangChain makes up is not the provider's.
    return said or (own if own is not None and not own.startswith(("run-", "lc_")) else None)


def _read_results(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    generations = part(value, "generations")
    if type(generations) is not list:
        return None
    found: list[Reading] = []
    for prompt in generations if generations and type(generations[0]) is list else [generations]:
        # Every choice for a prompt repeats the usage of the one call that made them all.
        choices = items(prompt)
        message = part(choices[0], "message") if choices else None
        readings = None if message is None else _read_message(message, None)
        found.extend(readings or ())
    if any(reading.tokens for reading in found):
        return found
    usage = first(part(value, "llm_output"), "token_usage", "usage")
    tokens = openai.tokens(usage)
    if not tokens:
        return found or None
    return (Reading(tokens, _CHAT, None, _model(part(value, "llm_output")), None, (), usage),)


def _read_pair(value: Any, arguments: Arguments | None) -> Sequence[Reading] | None:
    return _read_message(part(value, "raw"), arguments) if "parsed" in value and "parsing_error" in value else None


def _take(meter: StreamMeter, chunk: Any) -> bool:
    fields = held(chunk)
    kind = fields.get("type")
    if type(kind) is not str or kind != "AIMessageChunk":
        return False
    answer = meter.answer
    own = fields.get("id")
    if answer is None or (type(own) is str and answer.memory != own):
        answer = meter.begin(_CHAT, None)
        answer.memory = own
    said = fields.get("response_metadata")
    if type(said) is dict and said:
        _learn(answer, chunk, said)
    if meter.keep_text:
        _say(meter, fields.get("content"))
    usage = fields.get("usage_metadata")
    if usage is not None:
        answer.add(_usage_parts(usage), _normal, usage)
    return True


def _learn(answer: Answer, chunk: object, said: object) -> None:
    answer.model = answer.model or _model(said)
    answer.provider = answer.provider or _provider(said)
    answer.response_id = answer.response_id or _response_id(chunk)
    if (reason := text(first(said, "finish_reason", "stop_reason", "done_reason"))) is not None:
        answer.finish(reason)


def _say(meter: StreamMeter, content: object) -> None:
    if type(content) is str:
        meter.say(content)
    for block in items(content):
        meter.say(block if type(block) is str else part(block, "text"))


CLIENT: Final = Client(
    answers={"usage_metadata": _read_message, "generations": _read_results, "raw": _read_pair},
    chunks={"usage_metadata": _take},
    roots=frozenset(("langchain_core",)),
)
