"""Google GenAI: generated content and embeddings, from the Gemini API or from Vertex AI, in snake or camel case.

Output is the candidates plus the thoughts; tokens that tools have put into the prompt are input. In a stream every
chunk tells the usage so far.
"""

from collections.abc import Sequence
from typing import Any, Final

from andon.clients.client import Arguments, Client
from andon.clients.meter import StreamMeter
from andon.clients.parts import counted, first, held, items, part, text, texts, total
from andon.clients.reading import Reading, normal_tokens

_GENERATE: Final = "generate_content"
_EMBEDDINGS: Final = "embeddings"
_TELLING: Final = ("prompt_token_count", "promptTokenCount", "total_token_count", "totalTokenCount")


def _usage_parts(usage: object) -> dict[str, int | None]:
    return {
        "prompt": counted(usage, "prompt_token_count", "promptTokenCount"),
        "tools": counted(usage, "tool_use_prompt_token_count", "toolUsePromptTokenCount"),
        "cached": counted(usage, "cached_content_token_count", "cachedContentTokenCount"),
        "candidates": counted(usage, "candidates_token_count", "candidatesTokenCount"),
        "thoughts": counted(usage, "thoughts_token_count", "thoughtsTokenCount"),
        "total": counted(usage, "total_token_count", "totalTokenCount"),
    }


def _normal(parts: dict[str, int]) -> dict[str, int]:
    prompt, thoughts = parts.get("prompt"), parts.get("thoughts")
    whole = None if prompt is None else prompt + parts.get("tools", 0)
    output = total(parts.get("candidates"), thoughts)
    if output is None and whole is not None and parts.get("total", -1) >= whole:
        output = parts["total"] - whole  # zero is left out on the wire, and the total tells that it was zero
    return normal_tokens(whole, output, parts.get("cached"), None, thoughts)


def _provider(value: object, usage: object) -> str:
    # Only Vertex AI tells when the answer was made and which kind of capacity it came from.
    if first(value, "create_time", "createTime") is not None or first(usage, "traffic_type", "trafficType") is not None:
        return "gcp.vertex_ai"
    return "gcp.gemini"


def _is_generated(value: object, usage: object) -> bool:
    if part(value, "embeddings") is not None:
        return False
    if type(part(value, "candidates")) is list:
        return usage is not None or first(value, "model_version", "modelVersion") is not None
    return counted(usage, *_TELLING) is not None


def _read(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    usage = first(value, "usage_metadata", "usageMetadata")
    if not _is_generated(value, usage):
        return None
    parts = _usage_parts(usage)
    candidates = items(part(value, "candidates"))
    return (
        Reading(
            _normal({name: number for name, number in parts.items() if number is not None}),
            _GENERATE,
            _provider(value, usage),
            text(first(value, "model_version", "modelVersion")),
            text(first(value, "response_id", "responseId")),
            texts(candidates, "finish_reason") or texts(candidates, "finishReason"),
            value if usage is None else usage,
        ),
    )


def _read_embeddings(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    vectors = part(value, "embeddings")
    if type(vectors) is not list or not vectors or type(part(vectors[0], "values")) is not list:
        return None
    usage = first(value, "usage_metadata", "usageMetadata")
    read = counted(usage, "prompt_token_count", "promptTokenCount")
    provider = "gcp.gemini"
    if read is None:
        # Vertex AI counts each text for itself; one unknown makes the sum unknown.
        counts = [counted(part(vector, "statistics"), "token_count", "tokenCount") for vector in vectors]
        if None not in counts:
            read, provider = total(*counts), "gcp.vertex_ai"
    if read is None and type(value) is dict:
        return None
    source = value if usage is None else usage
    return (Reading(normal_tokens(read), _EMBEDDINGS, provider, None, None, (), source),)


def _take(meter: StreamMeter, chunk: Any) -> bool:
    fields = held(chunk)
    usage, response = fields.get("usage_metadata"), fields.get("response_id")
    if type(chunk) is dict:
        usage, response = fields.get("usageMetadata", usage), fields.get("responseId", response)
    candidates = fields.get("candidates")
    if usage is None and type(candidates) is not list:
        return False
    answer = meter.answer
    response_id = response if type(response) is str else None
    if answer is None or (response_id is not None and response_id != answer.response_id):
        if not _is_generated(chunk, usage):
            return False
        answer = meter.begin(_GENERATE, _provider(chunk, usage))
        answer.response_id = response_id
        answer.model = text(first(chunk, "model_version", "modelVersion"))
    for candidate in candidates if type(candidates) is list else ():
        said = held(candidate)
        reason = said["finish_reason"] if "finish_reason" in said else said.get("finishReason")
        if reason is not None:
            answer.finish(text(reason))
        if meter.keep_text:
            for piece in items(part(part(candidate, "content"), "parts")):
                if part(piece, "thought") is not True:
                    meter.say(part(piece, "text"))
    if usage is not None:
        answer.put(_usage_parts(usage), _normal, usage)
    return True


CLIENT: Final = Client(
    answers={
        "usage_metadata": _read,
        "usageMetadata": _read,
        "candidates": _read,
        "embeddings": _read_embeddings,
    },
    chunks={"usage_metadata": _take, "usageMetadata": _take, "candidates": _take},
)
