"""LiteLLM's own classes: OpenAI's shapes and inclusive counts from any provider.

LiteLLM notes beside each answer which provider it has asked, which its plain dicts do not carry.
"""

from collections.abc import Sequence
from typing import Any, Final

from andon.clients import openai
from andon.clients.client import Arguments, Client
from andon.clients.meter import StreamMeter
from andon.clients.parts import word
from andon.clients.reading import Reading

# LiteLLM's names -> those of the GenAI conventions.
_PROVIDERS: Final = {
    "anthropic": "anthropic",
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepseek": "deepseek",
    "gemini": "gcp.gemini",
    "groq": "groq",
    "hosted_vllm": "vllm",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "ollama": "ollama",
    "ollama_chat": "ollama",
    "perplexity": "perplexity",
    "vertex_ai": "gcp.vertex_ai",
    "vertex_ai_beta": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}


def _provider(value: object) -> str | None:
    try:
        hidden = object.__getattribute__(value, "__pydantic_private__")["_hidden_params"]
    except (AttributeError, KeyError, TypeError):
        return None
    name = word(hidden, "custom_llm_provider")
    if name is None:
        name = (word(hidden, "litellm_model_name") or "").partition("/")[0]
        return _PROVIDERS.get(name)
    if name in ("openai", "text-completion-openai", "custom_openai"):
        return openai.proven_provider(value)  # what LiteLLM calls every server that speaks OpenAI's protocol
    return _PROVIDERS.get(name, name)


def _read(value: Any, _: Arguments | None) -> Sequence[Reading] | None:
    provider = _provider(value)
    named = word(value, "object")
    if named == "response":
        reading = openai.read_response(value, provider)
    elif named == "list":
        reading = openai.read_embeddings(value, provider)
    else:
        reading = openai.read_choices(value, provider)
    return None if reading is None else (reading,)


def _take(meter: StreamMeter, chunk: Any) -> bool:
    answer = meter.answer
    known = answer.provider if answer is not None else None
    return openai.take_choices(meter, chunk, known or _provider(chunk))


CLIENT: Final = Client(answers={"object": _read}, chunks={"object": _take}, roots=frozenset(("litellm",)), dicts=False)
