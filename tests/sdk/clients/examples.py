"""The examples of the guide, by the heading above them, and what the span of each call in them must say.

Read from `docs/clients.md`; both environments run each program as it is printed, and compare every `gen_ai.` attribute
of the spans that arrived.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

GUIDE = (Path(__file__).parents[3] / "docs" / "clients.md").read_text(encoding="utf-8")

# Input and output, then read from and written to the cache, and reasoning; None: unknown, so absent.
OPENAI = (100, 40, 60, 10, 30)
ANTHROPIC = (420, 50, 300, 20, 10)
GOOGLE = (107, 50, 40, None, 30)
BEDROCK = (150, 50, 30, 20, None)
COHERE = (100, 20, 30, None, None)
MISTRAL = (100, 20, 64, None, None)

_KINDS = ("input_tokens", "output_tokens", "cache_read.input_tokens", "cache_write.input_tokens")
USAGE = [f"gen_ai.usage.{kind}" for kind in (*_KINDS, "reasoning.output_tokens")]


def call(
    stage: str,
    operation: str,
    tokens: tuple[int | None, ...],
    provider: str | None = None,
    model: str | None = None,
    response_id: str | None = None,
    finish: str | None = None,
    *,
    asked: str | None = None,
    stream: bool = False,
) -> dict[str, Any]:
    """What is said of one call; a stream's own two measurements are only said to be there."""
    found = {
        "andon.stage": stage,
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": asked,
        "gen_ai.response.model": model,
        "gen_ai.response.id": response_id,
        "gen_ai.response.finish_reasons": finish and finish.split(),
        "gen_ai.request.stream": stream or None,
        "gen_ai.response.time_to_first_chunk": stream or None,
        "andon.stream.tokens_per_second": stream or None,
        **dict(zip(USAGE, tokens, strict=False)),
    }
    return {name: value for name, value in found.items() if value is not None}


_CLAUDE, _COMMAND, _MISTRAL_MODEL = "claude-fable-5-2", "command-a-03-2025", "mistral-small-latest"
_ON_BEDROCK: dict[str, Any] = {"provider": "aws.bedrock", "asked": "anthropic.claude-fable-5-2"}
_GEMINI = ("generate_content", GOOGLE, "gcp.gemini", "gemini-2.5-flash", "resp-g", "STOP")
_GPT = ("chat", OPENAI, "openai", "gpt-4o")
_MISTRAL_CHAT = ("chat", MISTRAL, "mistral_ai", _MISTRAL_MODEL, "mis-1", "stop")
_ANTHROPIC_CHAT = ("chat", ANTHROPIC, "anthropic", _CLAUDE, "msg_01", "end_turn")
_COHERE_CHAT = ("chat", COHERE, "cohere", None, "co-1", "COMPLETE")

EXPECTED: dict[str, list[list[dict[str, Any]]]] = {
    "OpenAI, and servers that speak its protocol": [
        [
            call("answer", *_GPT, "chatcmpl-1", "stop"),
            call("respond", "chat", OPENAI, "openai", "gpt-5-2025-08-07", "resp_1", "completed"),
            call("embed", "embeddings", (9,), model="text-embedding-3-small"),
        ],
        [call("answer", *_GPT, "chatcmpl-1", "stop", stream=True)],
    ],
    "Anthropic": [[call("answer", *_ANTHROPIC_CHAT), call("stream", *_ANTHROPIC_CHAT, stream=True)]],
    "Google GenAI": [
        [
            call("answer", *_GEMINI),
            call("stream", *_GEMINI, stream=True),
            call("embed", "embeddings", (8,), "gcp.gemini"),
        ]
    ],
    "Amazon Bedrock": [
        [
            call("answer", "chat", BEDROCK, finish="end_turn", **_ON_BEDROCK),
            call("stream", "chat", BEDROCK, finish="end_turn", stream=True, **_ON_BEDROCK),
            call("invoke", "chat", (100, 50), response_id="req-1", **_ON_BEDROCK),
        ]
    ],
    "Cohere": [
        [
            call("answer", *_COHERE_CHAT),
            call("stream", *_COHERE_CHAT, stream=True),
            call("embed", "embeddings", (6,), "cohere", response_id="emb-1"),
        ]
    ],
    "Mistral": [
        [
            call("answer", *_MISTRAL_CHAT),
            call("stream", *_MISTRAL_CHAT, stream=True),
            call("embed", "embeddings", (9,), "mistral_ai", "mistral-embed", "mis-2"),
        ]
    ],
    "LiteLLM": [
        [
            call("answer", *_GPT, "chatcmpl-1", "stop"),
            call("stream", *_GPT, "chatcmpl-2", "stop", stream=True),
            call("embed", "embeddings", (9,), model="text-embedding-3-small"),
        ]
    ],
    "Ollama": [
        [
            call("answer", "chat", (26, 12), "ollama", "llama3.2", finish="stop"),
            call("stream", "text_completion", (26, 12), "ollama", "llama3.2", finish="stop", stream=True),
            call("embed", "embeddings", (8,), "ollama", "nomic-embed-text"),
        ]
    ],
    "LangChain": [
        [
            call("answer", "chat", OPENAI, None, "gpt-4o", "chatcmpl-1", "stop"),
            call("stream", "chat", OPENAI, None, "gpt-4o", None, "stop", stream=True),
            # Two answers on one span: their tokens add up, and no id is that of both.
            call("batch", "chat", (200, 80, 120, 20, 60), None, "gpt-4o", None, "stop stop"),
        ]
    ],
    "LlamaIndex": [[call("answer", *_GPT, "chatcmpl-1", "stop")]],
    "Async clients": [
        [call("answer", *_GPT, "chatcmpl-1", "stop"), call("stream", *_GPT, "chatcmpl-2", "stop", stream=True)]
    ],
    "Streams that end early": [
        [
            {
                "andon.stage": "answer",
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.response.model": "gpt-4o",
                "gen_ai.response.id": "chatcmpl-1",
                "gen_ai.request.stream": True,
                "gen_ai.response.time_to_first_chunk": True,
            }
        ]
    ],
    "Transformers": [[call("generate", "text_completion", (3, 8), "transformers")]],
    "vLLM in the same process": [[call("generate", "text_completion", (10, 4), "vllm", finish="stop stop")]],
}

LOCAL = frozenset(("Transformers", "vLLM in the same process"))


def examples(local: bool) -> list[Any]:
    """Program and expectation of each example that is, or is not, for a model in the process."""
    found: list[tuple[str, Any]] = []
    for section in GUIDE.split("\n## ")[1:]:
        heading = section.partition("\n")[0]
        programs = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        if programs and (heading in LOCAL) is local:
            found += zip(programs, EXPECTED[heading], strict=True)
    return found


def said_by(collector: Any) -> list[dict[str, Any]]:
    """What the spans of the decorated calls say that arrived, in the order in which the calls began."""
    spans = [
        span
        for request in collector.traces
        for resource in request.resource_spans
        for scope in resource.scope_spans
        if scope.scope.name == "andon"
        for span in scope.spans
    ]
    return [_said(span) for span in sorted(spans, key=lambda span: span.start_time_unix_nano)]


def _said(span: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in span.attributes:
        if not pair.key.startswith(("gen_ai.", "andon.stage", "andon.stream.", "andon.usage.", "error.")):
            continue
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        found[pair.key] = [each.string_value for each in value.values] if kind == "array_value" else value
    for measured in ("gen_ai.response.time_to_first_chunk", "andon.stream.tokens_per_second"):
        if measured in found:
            found[measured] = found[measured] > 0
    if span.status.code:
        found["status"] = span.status.code
    return found
