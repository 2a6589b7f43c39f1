"""Every client asked one question, whole and streamed, synchronous and not; for tests that hold for all of them.

A call is a function without arguments; what it must be counted as stands beside it. Clients are made at the call, when
they are pointed at the provider.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import anthropic
import boto3
import cohere
import litellm
import ollama
import openai
from google import genai
from langchain_openai import ChatOpenAI
from llama_index.core.llms import ChatMessage, ChatResponse
from mistralai.client import Mistral

QUESTION: Any = [{"role": "user", "content": "Hello"}]
GPT: dict[str, Any] = {"model": "gpt-4o", "messages": QUESTION}
STREAM: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
LITELLM: dict[str, Any] = {"model": "openai/gpt-4o", "messages": QUESTION}
CLAUDE: dict[str, Any] = {"model": "claude-fable-5-2", "max_tokens": 9, "messages": QUESTION}
GEMINI: dict[str, Any] = {"model": "gemini-2.5-flash", "contents": "Hello"}
COMMAND: dict[str, Any] = {"model": "command-a-03-2025", "messages": QUESTION}
SMALL: dict[str, Any] = {"model": "mistral-small-latest", "messages": QUESTION}
LLAMA: dict[str, Any] = {"model": "llama3.2", "messages": QUESTION}


class Asked(NamedTuple):
    """One call, its input and output tokens, and those that are known of a stream when it is left after one item."""

    call: Callable[[], Any]
    tokens: tuple[int | None, int | None]
    left_early: tuple[int | None, int | None] = (None, None)


_KEPT: list[Any] = []


def _google() -> genai.Client:
    _KEPT[:] = [client := genai.Client()]  # closes itself when it is dropped, also under a stream
    return client


def _mistral() -> Mistral:
    return Mistral(api_key="none", server_url=os.environ["MISTRAL_URL"])


def _langchain() -> ChatOpenAI:
    return ChatOpenAI(model="gpt-4o", stream_usage=True)


def _llama_index() -> ChatResponse:
    raw = openai.OpenAI().chat.completions.create(**GPT)
    return ChatResponse(message=ChatMessage(role="assistant", content="Good morning"), raw=raw)


def _bedrock() -> Any:
    return boto3.client("bedrock-runtime")


def _converse(method: str) -> Any:
    messages = [{"role": "user", "content": [{"text": "Hello"}]}]
    return getattr(_bedrock(), method)(modelId="anthropic.claude-fable-5-2", messages=messages)


WHOLE: dict[str, Asked] = {
    "openai chat": Asked(lambda: openai.OpenAI().chat.completions.create(**GPT), (100, 40)),
    "openai responses": Asked(lambda: openai.OpenAI().responses.create(model="gpt-5", input="Hello"), (100, 40)),
    "openai embeddings": Asked(lambda: openai.OpenAI().embeddings.create(model="e", input="Hello"), (9, None)),
    "anthropic": Asked(lambda: anthropic.Anthropic().messages.create(**CLAUDE), (420, 50)),
    "google": Asked(lambda: _google().models.generate_content(**GEMINI), (107, 50)),
    "bedrock converse": Asked(lambda: _converse("converse"), (150, 50)),
    "bedrock invoke": Asked(lambda: _bedrock().invoke_model(modelId="m", body="{}"), (100, 50)),
    "cohere": Asked(lambda: cohere.ClientV2().chat(**COMMAND), (100, 20)),
    "mistral": Asked(lambda: _mistral().chat.complete(**SMALL), (100, 20)),
    "litellm": Asked(lambda: litellm.completion(**LITELLM), (100, 40)),
    "ollama": Asked(lambda: ollama.Client().chat(**LLAMA), (26, 12)),
    "langchain": Asked(lambda: _langchain().invoke("Hello"), (100, 40)),
    "llama_index": Asked(_llama_index, (100, 40)),
}

ASYNC_WHOLE: dict[str, Asked] = {
    "openai chat": Asked(lambda: openai.AsyncOpenAI().chat.completions.create(**GPT), (100, 40)),
    "openai responses": Asked(lambda: openai.AsyncOpenAI().responses.create(model="gpt-5", input="Hello"), (100, 40)),
    "anthropic": Asked(lambda: anthropic.AsyncAnthropic().messages.create(**CLAUDE), (420, 50)),
    "google": Asked(lambda: _google().aio.models.generate_content(**GEMINI), (107, 50)),
    "cohere": Asked(lambda: cohere.AsyncClientV2().chat(**COMMAND), (100, 20)),
    "mistral": Asked(lambda: _mistral().chat.complete_async(**SMALL), (100, 20)),
    "litellm": Asked(lambda: litellm.acompletion(**LITELLM), (100, 40)),
    "ollama": Asked(lambda: ollama.AsyncClient().chat(**LLAMA), (26, 12)),
    "langchain": Asked(lambda: _langchain().ainvoke("Hello"), (100, 40)),
}

# Anthropic tells the input at once; Google tells with each chunk what was used so far, here thoughts.
STREAMS: dict[str, Asked] = {
    "openai chat": Asked(lambda: openai.OpenAI().chat.completions.create(**GPT, **STREAM), (100, 40)),
    "openai responses": Asked(
        lambda: openai.OpenAI().responses.create(model="gpt-5", input="Hello", stream=True), (100, 40)
    ),
    "anthropic": Asked(lambda: anthropic.Anthropic().messages.create(**CLAUDE, stream=True), (420, 50), (420, None)),
    "google": Asked(lambda: _google().models.generate_content_stream(**GEMINI), (107, 50), (107, 30)),
    "bedrock converse": Asked(lambda: _converse("converse_stream")["stream"], (150, 50)),
    "cohere": Asked(lambda: cohere.ClientV2().chat_stream(**COMMAND), (100, 20)),
    "mistral": Asked(lambda: _mistral().chat.stream(**SMALL), (100, 20)),
    "litellm": Asked(lambda: litellm.completion(**LITELLM, **STREAM), (100, 40)),
    "ollama": Asked(lambda: ollama.Client().chat(**LLAMA, stream=True), (26, 12)),
    "langchain": Asked(lambda: _langchain().stream("Hello"), (100, 40)),
}

# Some give the stream at once, others after waiting for it; see `opened`.
ASYNC_STREAMS: dict[str, Asked] = {
    "openai chat": Asked(lambda: openai.AsyncOpenAI().chat.completions.create(**GPT, **STREAM), (100, 40)),
    "openai responses": Asked(
        lambda: openai.AsyncOpenAI().responses.create(model="gpt-5", input="Hello", stream=True), (100, 40)
    ),
    "anthropic": Asked(
        lambda: anthropic.AsyncAnthropic().messages.create(**CLAUDE, stream=True), (420, 50), (420, None)
    ),
    "google": Asked(lambda: _google().aio.models.generate_content_stream(**GEMINI), (107, 50), (107, 30)),
    "cohere": Asked(lambda: cohere.AsyncClientV2().chat_stream(**COMMAND), (100, 20)),
    "mistral": Asked(lambda: _mistral().chat.stream_async(**SMALL), (100, 20)),
    "litellm": Asked(lambda: litellm.acompletion(**LITELLM, **STREAM), (100, 40)),
    "ollama": Asked(lambda: ollama.AsyncClient().chat(**LLAMA, stream=True), (26, 12)),
    "langchain": Asked(lambda: _langchain().astream("Hello"), (100, 40)),
}


async def opened(stream: Any) -> Any:
    """The stream that a call has given, or that awaiting it gives."""
    return stream if hasattr(stream, "__anext__") or hasattr(stream, "__aiter__") else await stream
